"""Structured logs: a line that any program reads of every shard, candidate and fit, where they are asked for."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from headstart.flows.errors import JobError
from headstart.flows.fitting.job import fit
from headstart.flows.output.logs import VARIABLE, JsonLines, attach_json_lines, log_event, timed

Embed = Callable[..., Any]


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Log into a file; returns what it holds so far."""
    path = tmp_path / "log.jsonl"
    monkeypatch.setenv(VARIABLE, str(path))
    yield lambda: [json.loads(line) for line in path.read_text().splitlines()]
    handler = attach_json_lines(str(path))
    assert handler is not None
    logging.getLogger("headstart").removeHandler(handler)
    logging.getLogger("headstart").setLevel(logging.NOTSET)
    handler.close()
    attach_json_lines.cache_clear()


def test_extraction_and_fit_leave_a_line_for_each_shard_candidate_and_fit(
    lines: Callable[[], list[dict[str, Any]]], embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.extractors.extraction.extraction._SHARD_ROWS", 24)
    extracted = embed()
    shards = lines()
    assert [(line["logger"], line["level"]) for line in shards] == [("headstart.extraction", "INFO")] * 2
    numbers = [tuple(line[name] for name in ("shard", "shards", "rows", "unreadable")) for line in shards]
    assert numbers == [(1, 2, 24, 0), (2, 2, 12, 0)]
    assert {line["key"] for line in shards} == {extracted.keys[0].id}
    assert shards[0]["message"].startswith("headstart/small_cnn, shard 1 of 2: 24 rows in ")
    assert all(line["seconds"] > 0 for line in shards)
    fitted = fit(extracted.cache, ["ridge", "dummy"], folds=2, out=tmp_path / "out")
    *candidates, won = lines()[2:]
    assert {line["logger"] for line in candidates} == {"headstart.sweep"}
    assert len(candidates) == len(fitted.leaderboard)
    assert {line["head"] for line in candidates} == {"ridge", "dummy"}
    assert won["logger"] == "headstart.fit"
    assert won["run"] == json.loads((tmp_path / "out" / "run.json").read_text())["id"]
    score = fitted.test.scores["accuracy"]
    assert [won[name] for name in ("score", "low", "high")] == [score.value, score.low, score.high]


def test_shards_on_dask_workers_leave_their_lines_too(
    lines: Callable[[], list[dict[str, Any]]], embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.flows.extraction.scaled.SHARD_IMAGES", 24)
    quiet: dict[str, Any] = {"dashboard_address": "127.0.0.1:0", "silence_logs": 60, "memory_limit": 0}
    with LocalCluster(processes=False, n_workers=1, threads_per_worker=1, **quiet) as cluster:
        embed(dask=cluster.scheduler_address)
    assert sorted((line["logger"], line["shard"], line["rows"]) for line in lines()) == [
        ("headstart.extraction", 1, 24),
        ("headstart.extraction", 2, 12),
    ]


def test_a_line_has_its_fields_a_time_in_utc_and_plain_values() -> None:
    record = logging.LogRecord("headstart.fit", logging.INFO, "", 0, "fitted %d", (3,), None)
    record.created = 1_700_000_000.25
    record.fields = {"score": float("nan"), "cache": Path("a.headstart"), "text": "two\nlines", "level": "mine"}
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "INFO",
        "logger": "headstart.fit",
        "message": "fitted 3",
        "score": None,
        "cache": "a.headstart",
        "text": "two\nlines",
    }


def test_an_error_keeps_its_traceback_in_one_line() -> None:
    try:
        raise ValueError("here")  # noqa: TRY301 - a traceback is wanted
    except ValueError:
        record = logging.LogRecord("headstart", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    assert json.loads(JsonLines().format(record))["traceback"].endswith("ValueError: here")


def test_fields_are_on_the_record_for_programs_with_logging_of_their_own(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="headstart"):
        log_event("extraction", "done", rows=12)
    assert [(record.name, record.fields) for record in caplog.records] == [("headstart.extraction", {"rows": 12})]


def test_unasked_nothing_is_written(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    log_event("extraction", "done", rows=12)
    assert capfd.readouterr() == ("", "")


def test_stderr_is_a_place_of_its_own_and_each_record_is_written_once() -> None:
    code = (
        "from headstart.flows.output.logs import log_event\n"
        "for rows in (1, 2): log_event('extraction', 'done', rows=rows)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={VARIABLE: "stderr"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert [json.loads(line)["rows"] for line in done.stderr.splitlines()] == [1, 2]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere" / "log.jsonl"))
    with pytest.raises(JobError, match=r"HEADSTART_LOG=.*log\.jsonl: cannot be written \(No such file or directory\)"):
        log_event("extraction", "done")


def test_steps_are_timed_without_what_is_done_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 5.0, 8.0, 9.0])
    monkeypatch.setattr("headstart.flows.output.logs.time.monotonic", lambda: next(now))
    assert list(timed(["a", "b"])) == [("a", 1.0), ("b", 3.0)]
