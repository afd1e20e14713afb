"""What is kept of a fit: a table that plain pandas reads, and a history that neither a kill nor a neighbour harms."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.synthetic_runs import keep, predictions_of, row, run_of

from headstart.flows.errors import JobError
from headstart.flows.history.run import Run
from headstart.flows.history.runs import FOLDER, append_run, read_predictions, read_runs, write_results
from headstart.flows.history.search import find_run, gather_runs
from headstart.flows.output.run_place import new_id
from headstart.heads.report.rows import ScoreRow

TESTS = Path(__file__).parent.parent.parent


def test_a_table_has_one_row_a_candidate_and_plain_pandas_reads_its_types(tmp_path: Path) -> None:
    folds = [{"accuracy": 0.88, "log_loss": None}, {"accuracy": 0.92, "log_loss": 0.3}]
    rows = [row(accuracy=0.9, tied=True), row("knn", None, params={})]
    table = pd.read_parquet(write_results(tmp_path, rows, [folds, []]))
    assert table["head"].tolist() == ["logreg", "knn"]
    assert table["params"].tolist() == ['{"C": 0.01}', "{}"]
    assert table.loc[0, ["score", "accuracy", "accuracy_low", "accuracy_high"]].tolist() == [0.9, 0.9, 0.88, 0.92]
    assert table["accuracy_per_fold"][0].tolist() == [0.88, 0.92]
    assert table["log_loss_per_fold"][0].tolist() == pytest.approx([np.nan, 0.3], nan_ok=True)
    assert table["error"].isna().tolist() == [True, False]
    assert table["error"][1] == "ValueError: C must be positive"
    assert table["tied"].tolist() == [True, None]
    assert table["accuracy"].dtype == table["fit_seconds"].dtype == np.float64
    assert np.isnan(table["accuracy"][1])


def test_a_table_in_which_all_failed_has_the_same_columns_and_types(tmp_path: Path) -> None:
    sound = pd.read_parquet(write_results(tmp_path, [row()])).columns
    failed = pd.read_parquet(write_results(tmp_path, [row(accuracy=None)]))
    assert failed.columns.tolist() == sound.tolist()
    assert failed["accuracy"].dtype == np.float64


def test_a_metric_that_only_some_heads_have_gets_columns(tmp_path: Path) -> None:
    table = pd.read_parquet(write_results(tmp_path, [row(), row(scores={"r2": ScoreRow(0.5, 0.4, 0.6)})]))
    assert table["r2"].tolist() == pytest.approx([np.nan, 0.5], nan_ok=True)


def test_numbers_of_numpy_and_odd_parameters_are_written_as_json(tmp_path: Path) -> None:
    params = {"C": np.float64(0.5), "k": np.int64(3), "sizes": (64, 32), "gamma": np.inf, "kind": Path("x")}
    table = pd.read_parquet(write_results(tmp_path, [row(params=params)]))
    assert table["params"][0] == '{"C": 0.5, "k": 3, "sizes": [64, 32], "gamma": null, "kind": "x"}'


def test_runs_and_predictions_come_back_as_they_were_given(tmp_path: Path) -> None:
    first, second = keep(tmp_path, run_of(1)), keep(tmp_path, run_of(2, head="knn"), predictions_of(7))
    assert read_runs(tmp_path) == ([first, second], [])
    pd.testing.assert_frame_equal(read_predictions(tmp_path, second), predictions_of(7), check_categorical=False)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda line: line["winner"].pop("head"), "winner.head: Field required"),
        (lambda line: line["winner"].update(heads="knn"), "winner.heads: Unexpected"),
        (lambda line: line["settings"].update(fold=3), "settings.fold: Unexpected"),
        (lambda line: line["test"]["scores"]["accuracy"].pop("low"), "test.scores.accuracy.low: Field required"),
        (lambda line: line["data"].update(n_test="many"), "data.n_test: Input should be a valid integer"),
        (lambda line: line["embedding"].pop("weights"), "embedding.weights: Field required"),
        (lambda line: line.update(seconds=None), "seconds: Input should be a valid number"),
    ],
    ids=["missing", "misspelt", "of the settings", "of a score", "type", "of the key", "null"],
)
def test_a_run_with_a_field_that_is_missing_misspelt_or_of_another_type_is_refused(
    damage: Callable[[dict[str, Any]], Any], message: str
) -> None:
    line = json.loads(run_of(1).as_line())
    assert Run.from_line(json.dumps(line).encode()) == run_of(1)
    damage(line)
    with pytest.raises(ValueError, match=re.escape(message)):
        Run.from_line(json.dumps(line).encode())


def test_what_older_runs_did_not_have_is_what_they_went_by() -> None:
    line = json.loads(run_of(1).as_line())
    for name in ("calibrate", "repeats", "nested"):
        del line["settings"][name]
    for name in ("tied", "p_value", "warnings"):
        del line["winner"][name]
    del line["data"]["task"]
    assert Run.from_line(json.dumps(line).encode()) == run_of(1)


def test_ids_sort_by_time_and_differ_within_a_second() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert new_id(now).startswith("20260102-030405-")
    assert new_id(now) < new_id(now.replace(second=6))
    assert len({new_id(now) for _ in range(20)}) > 15


@pytest.mark.parametrize(
    "damage",
    [
        b'{"format_version": 1, "id": "2026',
        b"\xff\xfe\n",
        b"[]\n",
        b'{"format_version": 99}\n',
        b'{"format_version": 1, "id": "x"}\n',
    ],
    ids=["cut short", "no text", "no object", "later format", "fields missing"],
)
def test_a_damaged_line_is_left_out_with_a_note_and_what_follows_is_kept(tmp_path: Path, damage: bytes) -> None:
    first = keep(tmp_path, run_of(1))
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(damage)
    second = keep(tmp_path, run_of(2))
    runs, notes = read_runs(tmp_path)
    assert runs == [first, second]
    assert len(notes) == 1
    assert "history.jsonl, line 2: no run can be read here" in notes[0]


def test_processes_that_append_at_once_lose_no_run(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from support.synthetic_runs import keep, run_of\n"
        "for number in range(5): keep(Path(sys.argv[1]), run_of(int(sys.argv[2]) * 10 + number))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(number)], cwd=TESTS.parent, env=_environment())
        for number in range(3)
    ]
    assert [process.wait() for process in started] == [0, 0, 0]
    runs, notes = read_runs(tmp_path)
    assert notes == []
    assert [run.id[13:15] for run in runs] == [f"{a}{b}" for a in range(3) for b in range(5)]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}


def test_predictions_that_are_gone_or_damaged_are_said(tmp_path: Path) -> None:
    run = keep(tmp_path, run_of())
    (tmp_path / f"{run.id}.parquet").write_bytes(b"PAR1")
    with pytest.raises(JobError, match=r"damaged .*fit again to compare run"):
        read_predictions(tmp_path, run)
    (tmp_path / f"{run.id}.parquet").unlink()
    with pytest.raises(JobError, match=r"the predictions of run .* are gone"):
        read_predictions(tmp_path, run)


def test_runs_are_found_by_id_by_its_beginning_or_end_and_by_results_folder(tmp_path: Path) -> None:
    cache, out = tmp_path / "c.headstart", tmp_path / "c.results"
    here = run_of(1)
    here = replace(here, data=replace(here.data, cache=str(cache)))
    keep(cache / FOLDER, here, results=out)
    other = keep(cache / FOLDER, run_of(2))
    for word in (here.id, "20260102-030401", "0001", str(out)):
        found = find_run(word, [tmp_path])
        assert (found.run, found.history) == (here, cache / FOLDER)
    assert [kept.run for kept in gather_runs([cache, out, tmp_path])[0]] == [here, other]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("20260102", "'20260102' means 2 runs: 20260102-030401-0001, 20260102-030402-0002"),
        ("20260102-030401-0009", "no run '20260102-030401-0009' in .*; nearest: 20260102-030401-0001"),
        (".", r"\.: no run.json here; name a folder of results"),
    ],
)
def test_a_run_that_is_not_there_or_not_the_only_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    keep(Path("c") / FOLDER, run_of(1))
    keep(Path("c") / FOLDER, run_of(2))
    with pytest.raises(JobError, match=message):
        find_run(word, [Path()])


def test_a_run_that_cannot_be_kept_anywhere_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(OSError, match="runs"):
        append_run(tmp_path / "runs", run_of(), predictions_of(1))
