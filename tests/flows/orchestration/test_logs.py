"""Logs of a run name files, and hold nothing of Dask's."""

import logging
from pathlib import Path

import pandas as pd
import pytest

from headstart.extractors.extraction.shard_result import ShardResult
from headstart.extractors.listing.cache_listing import CacheListing
from headstart.flows.orchestration import tasks
from headstart.heads.sweep.cluster import open_client


@pytest.mark.parametrize(
    "result",
    [ShardResult(3, {"ab12": "cut off"}, {}), ShardResult(3, {}, {"cat/1.png": "cut off"})],
    ids=["unreadable", "not read"],
)
def test_what_could_not_be_embedded_is_named_by_its_file(
    result: ShardResult, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "run_logger", lambda: logging.getLogger("headstart.test"))
    listing = CacheListing(
        pd.DataFrame({"path": ["cat/0.png", "cat/1.png"], "digest": ["cd34", "ab12"]}), Path(), "flat"
    )
    with caplog.at_level(logging.INFO, "headstart.test"):
        tasks.log_shard("pixels, shard 1 of 1", result, 1.0, listing)
    assert caplog.messages == [
        "pixels, shard 1 of 1: 3 rows in 1.0 s, 3.0 images/s; quarantined 1, first cat/1.png: cut off"
    ]


def test_a_sweep_on_dask_adds_nothing_to_a_program_s_own_log(caplog: pytest.LogCaptureFixture) -> None:
    level = logging.getLogger("distributed").level
    with caplog.at_level(logging.INFO), open_client("processes", 1) as client:
        assert client.submit(abs, -1).result() == 1
    assert [record.name for record in caplog.records if record.name.startswith("distributed")] == []
    assert logging.getLogger("distributed").level == level
