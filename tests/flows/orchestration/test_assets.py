"""What Prefect is told of images, embeddings, models and figures: names that it takes, and pictures that are whole."""

import base64
import logging
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from prefect.assets import Asset
from prefect.settings import PREFECT_API_URL, temporary_settings
from support.report_example import candidate

from headstart.extractors.extraction.shard_result import ShardResult
from headstart.extractors.listing.cache_listing import CacheListing
from headstart.flows.orchestration.artifacts import _image_url, progress_artifact
from headstart.flows.orchestration.assets import asset_key
from headstart.flows.orchestration.tasks import log_shard
from headstart.heads.report.charts.plots import cost_chart


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ("/data/photos", "file:///data/photos"),
        ("s3://bucket/photos", "s3://bucket/photos"),
        ("https://user:secret@host/list.csv?signature=secret", "https://host/list.csv"),
        ("/data/my photos", r"file:///data/my_photos-\w{12}"),
        ("/data/Füße #1", r"file:///data/F__e__1-\w{12}"),
        ("/" + 600 * "x", r"file:///x{491}-\w{12}"),
    ],
)
def test_a_place_becomes_a_key_that_prefect_takes_and_that_holds_no_secret(place: str, key: str) -> None:
    assert re.fullmatch(key, Asset(key=asset_key(place)).key)


def test_places_that_look_alike_as_keys_are_told_apart() -> None:
    assert asset_key("/data/my photos") != asset_key("/data/my#photos")


def test_a_relative_place_is_named_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert asset_key("photos") == f"file://{tmp_path}/photos"


def test_a_figure_for_prefect_is_a_whole_picture_by_itself() -> None:
    rows = [replace(candidate(head, score), fit_seconds=1.0 + score) for head, score in (("logreg", 0.9), ("knn", 0.8))]
    chart = cost_chart(rows, "accuracy")
    assert chart is not None
    kind, _, content = _image_url(chart[0]).partition(",")
    assert kind == "data:image/svg+xml;base64"
    figure = ET.fromstring(base64.b64decode(content))  # noqa: S314 - our own figure
    assert figure.tag == "{http://www.w3.org/2000/svg}svg"
    assert "background:#fff" in figure.attrib["style"]


def test_outside_a_flow_progress_is_told_to_the_terminal_alone() -> None:
    counts: list[int] = []
    progress_artifact("embedding pixels", 3, also=counts.append)(2)
    assert counts == [2]


def test_a_server_that_is_away_costs_the_bar_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr("headstart.flows.orchestration.artifacts._UPDATE_EVERY_S", 0.0)
    monkeypatch.setattr("headstart.flows.orchestration.artifacts.FlowRunContext", SimpleNamespace(get=lambda: True))
    monkeypatch.setattr("headstart.flows.orchestration.artifacts.create_progress_artifact", lambda *_, **__: uuid4())
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        advance = progress_artifact("embedding pixels", 3, also=counts.append)
        advance(2)
        advance(1)
    assert counts == [2, 1]


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (ShardResult(100, {}, {}), "pixels, shard 1 of 2: 100 rows in 4.0 s, 25.0 images/s"),
        (
            ShardResult(1, {"ab12": "truncated"}, {"b.png": "gone"}),
            "pixels, shard 1 of 2: 1 rows in 4.0 s, 0.2 images/s; quarantined 2, first cat/a.jpg: truncated",
        ),
    ],
)
def test_a_shard_logs_rows_rate_and_what_was_lost(
    result: ShardResult, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = pd.DataFrame({"path": ["cat/a.jpg"], "digest": ["ab12"]})
    listing = CacheListing(rows, Path("photos"), "folder", 0)
    with caplog.at_level(logging.INFO, logger="prefect.headstart"):
        log_shard("pixels, shard 1 of 2", result, 4.0, listing)
    assert line in caplog.text or line in [record.getMessage() for record in caplog.records]
