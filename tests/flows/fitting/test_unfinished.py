"""An interrupted sweep keeps what it found, and the same command fits only the rest."""

import base64
import json
import os
import signal
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from support.array_cache import cache_of

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.listing.cache_listing import read_listing
from headstart.flows.cli.app import main
from headstart.flows.fitting import unfinished as kept_results
from headstart.flows.fitting.job import fit
from headstart.flows.fitting.unfinished import UNFINISHED, KeptResults
from headstart.flows.problem.problem import Problem, pose_problem
from headstart.heads import Head
from headstart.heads.registry import table as registry
from headstart.heads.registry.candidates import Candidate
from headstart.heads.scoring.linearised import Predictions
from headstart.heads.scoring.metrics import Score
from headstart.heads.splits import SplitPlan, plan_splits
from headstart.heads.sweep.trial import Result

N_IMAGES = 60
CANDIDATE = Candidate(features=None, backbone="b", tap="t", key="k", head="logreg", params={"C": 0.1, "sizes": (8, 2)})
RESULT = Result(
    candidate=CANDIDATE,
    scores={"accuracy": Score(1 / 3, 0.1, 0.9), "log_loss": None},
    per_fold=[{"accuracy": float(np.float64(2) / 3), "log_loss": None}],
    fit_seconds=0.12345678901234567,
    history=[{"epoch": 1, "train_loss": 0.1, "val_loss": None}],
    warnings=["ConvergenceWarning: lbfgs"],
    predictions=Predictions(
        classes=np.array([0, 2, 1], dtype=np.int32),
        probability=np.array([0.5, 1 / 3, 0], dtype=np.float32),
        added={"roc_auc": np.array([0.1, 1 / 3, 0], dtype=np.float32)},
    ),
)

BOMB = base64.b64encode(zlib.compress(bytes(2**26))).decode()
WRONG_ARRAYS: tuple[dict[str, Any], ...] = (
    {"content": BOMB}, {"content": "AA=="}, {"shape": [10**12]}, {"shape": [-1]}, {"shape": "x"}, {"dtype": "O"},
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = ["cat", "dog"] * (N_IMAGES // 2)
    noise = np.random.default_rng(0).normal(size=(N_IMAGES, 8))
    features = noise + np.arange(N_IMAGES)[:, None] % 2
    return cache_of(tmp_path_factory.mktemp("cache"), features, labels)


@pytest.fixture(scope="module")
def problem(cache: Path) -> Problem:
    return pose_problem(EmbeddingCache(cache))


@pytest.fixture(scope="module")
def plan(problem: Problem) -> SplitPlan:
    return plan_splits(problem.y, groups=problem.groups)


def test_every_field_of_a_result_comes_back(tmp_path: Path, problem: Problem, plan: SplitPlan) -> None:
    KeptResults(tmp_path, problem, plan, 0).keep(RESULT)
    (found,) = KeptResults(tmp_path, problem, plan, 0).find([CANDIDATE])
    assert found.candidate is CANDIDATE
    for field in fields(Result):
        if field.name != "predictions":
            assert getattr(found, field.name) == getattr(RESULT, field.name), field.name
    assert found.predictions is not None
    assert RESULT.predictions is not None
    assert [field.name for field in fields(Predictions)] == ["classes", "probability", "added"]
    mine, theirs = (
        [one.classes, one.probability, *one.added.values()] for one in (found.predictions, RESULT.predictions)
    )
    assert [(array.dtype, array.tolist()) for array in mine] == [(array.dtype, array.tolist()) for array in theirs]
    assert list(found.predictions.added) == list(RESULT.predictions.added)


def test_what_a_head_cannot_have_comes_back_as_none(tmp_path: Path, problem: Problem, plan: SplitPlan) -> None:
    bare = replace(RESULT, predictions=Predictions(classes=np.array([1.5, 2.5])), history=None)
    KeptResults(tmp_path, problem, plan, 0).keep(bare)
    (found,) = KeptResults(tmp_path, problem, plan, 0).find([CANDIDATE])
    assert found.predictions is not None
    assert found.predictions.probability is None
    assert found.predictions.classes.tolist() == [1.5, 2.5]
    assert found.history is None


def test_a_result_is_on_the_disk_once_it_is_kept(tmp_path: Path, problem: Problem, plan: SplitPlan) -> None:
    kept = KeptResults(tmp_path, problem, plan, 0)
    kept.keep(RESULT)
    assert len(KeptResults(tmp_path, problem, plan, 0).find([CANDIDATE])) == 1


def test_a_line_that_was_being_written_is_dropped_and_the_next_one_is_whole(
    tmp_path: Path, problem: Problem, plan: SplitPlan
) -> None:
    other = replace(RESULT, candidate=replace(CANDIDATE, params={"C": 1.0}))
    KeptResults(tmp_path, problem, plan, 0).keep(RESULT)
    file = tmp_path / UNFINISHED
    whole = file.read_bytes()
    file.write_bytes(whole + whole[: len(whole) // 2])
    kept = KeptResults(tmp_path, problem, plan, 0)
    assert len(kept.find([CANDIDATE, other.candidate])) == 1
    kept.keep(other)
    assert file.read_bytes().startswith(whole)
    assert len(KeptResults(tmp_path, problem, plan, 0).find([CANDIDATE, other.candidate])) == 2


def test_lines_that_say_nothing_are_passed_over(tmp_path: Path, problem: Problem, plan: SplitPlan) -> None:
    (tmp_path / UNFINISHED).write_bytes(b"\0\0\xff\n[]\n{}\n\n" + b"[" * 100_000 + b"\n" + b"9" * 10_000 + b"\n")
    KeptResults(tmp_path, problem, plan, 0).keep(RESULT)
    assert len(KeptResults(tmp_path, problem, plan, 0).find([CANDIDATE])) == 1


def test_a_result_that_was_written_otherwise_is_fitted_again(tmp_path: Path, problem: Problem, plan: SplitPlan) -> None:
    KeptResults(tmp_path, problem, plan, 0).keep(RESULT)
    file = tmp_path / UNFINISHED
    values = json.loads(file.read_text())
    packed = values["predictions"]["classes"]
    changes = [{"predictions": {"classes": packed | change}} for change in WRONG_ARRAYS]
    for change in (*changes, {"predictions": 7}, {"scores": {"accuracy": {"x": 1}}}, {"scores": None}, {"more": 1}):
        file.write_text(json.dumps(values | change) + "\n")
        assert KeptResults(tmp_path, problem, plan, 0).find([CANDIDATE]) == []


@pytest.mark.parametrize("what", ["labels", "images", "groups", "folds", "seed", "versions"])
def test_nothing_is_reused_where_what_decides_a_result_has_changed(
    tmp_path: Path, problem: Problem, plan: SplitPlan, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    KeptResults(tmp_path, problem, plan, 0).keep(RESULT)
    seed = 0
    if what == "labels":
        problem = replace(problem, y=1 - problem.y)
    elif what == "images":
        problem = replace(problem, images=replace(problem.images, digest=problem.images.digest[::-1]))
    elif what == "groups":
        problem = replace(problem, groups=problem.groups // 2)
    elif what == "folds":
        plan = plan_splits(problem.y, groups=problem.groups, folds=4)
    elif what == "seed":
        seed = 1
    else:
        monkeypatch.setattr(kept_results, "version", lambda name: f"another {name}")
    assert KeptResults(tmp_path, problem, plan, seed).find([CANDIDATE]) == []


def test_images_are_digested_as_lines_of_hex_however_many_are_written_at_once(
    tmp_path: Path, cache: Path, problem: Problem, plan: SplitPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "\n".join(read_listing(EmbeddingCache(cache)).usable["digest"])
    fed: list[bytes] = []
    monkeypatch.setattr(kept_results.hashlib, "sha256", lambda: SimpleNamespace(update=fed.append, hexdigest=str))
    monkeypatch.setattr(kept_results, "PIECE_ROWS", 7)
    KeptResults(tmp_path, problem, plan, 0)
    assert lines.encode() in b"".join(fed)


@pytest.mark.parametrize("change", [{"key": "k2"}, {"tap": "t2"}, {"head": "ridge"}, {"params": {"C": 0.2}}], ids=str)
def test_another_candidate_is_not_found(
    tmp_path: Path, problem: Problem, plan: SplitPlan, change: dict[str, Any]
) -> None:
    KeptResults(tmp_path, problem, plan, 0).keep(RESULT)
    assert KeptResults(tmp_path, problem, plan, 0).find([replace(CANDIDATE, **change)]) == []


@pytest.mark.parametrize(
    "result",
    [
        replace(RESULT, error="MemoryError: "),
        replace(RESULT, candidate=replace(CANDIDATE, head="my_heads:Mine")),
    ],
    ids=["failed", "of code that may change"],
)
def test_what_may_come_out_otherwise_next_time_is_not_kept(
    tmp_path: Path, problem: Problem, plan: SplitPlan, result: Result
) -> None:
    kept = KeptResults(tmp_path, problem, plan, 0)
    kept.keep(result)
    assert kept.n_kept == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], set[int]]:
    """Register a head of six candidates and return what tells which of them went through the folds since it was asked.

    Where there is a file ``stop``, number 3 sends Ctrl-C once three results are kept.
    """
    made = tmp_path / "made"  # files, since what goes into a job is a copy
    made.mkdir()

    def make(params: Mapping[str, Any], _seed: int) -> DummyClassifier:
        number, stop = params["number"], tmp_path / "stop"
        if number == 3 and stop.exists():
            while (tmp_path / "r" / UNFINISHED).read_bytes().count(b"\n") < 3:
                time.sleep(0.01)
            stop.unlink()
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)  # the calling thread has stopped the sweep before this one goes on
        (made / f"{number}-{uuid.uuid4()}").touch()
        return DummyClassifier(strategy="stratified", random_state=number)

    head = Head(name="numbered", summary=".", make=make, grid={"number": (0, 1, 2, 3, 4, 5)})
    monkeypatch.setitem(registry._registered["classify"], "numbered", head)

    def numbers() -> set[int]:
        times = Counter(int(path.name[0]) for path in made.iterdir())
        for path in made.iterdir():
            path.unlink()
        return {number for number, count in times.items() if count >= 5}  # the winner once more, on all of train

    return numbers


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.heads.sweep.run.cpu_count", lambda: 1)


@pytest.mark.usefixtures("one_worker")
def test_the_same_command_fits_only_the_rest_and_ends_as_if_nothing_had_happened(
    cache: Path, tmp_path: Path, fitted: Callable[[], set[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = fit(cache, "numbered", out=tmp_path / "whole")
    assert fitted() == {0, 1, 2, 3, 4, 5}
    (tmp_path / "stop").touch()
    with pytest.raises(SystemExit) as end:
        main(["fit", str(cache), "--head", "numbered", "--out", str(tmp_path / "r")])
    assert end.value.code == 130
    shown = " ".join(capsys.readouterr().err.split())
    assert "note: 3 of 6 candidates are fitted and kept; the same command goes on from there" in shown
    assert shown.endswith("note: interrupted")
    fitted()
    again = fit(cache, "numbered", out=tmp_path / "r")
    assert fitted() == {3, 4, 5}
    assert not (tmp_path / "r" / UNFINISHED).exists()
    first, second = ([replace(row, fit_seconds=0.0) for row in one.leaderboard] for one in (whole, again))
    assert second == first


def test_a_sweep_that_was_whole_before_the_interruption_is_not_fitted_again(
    cache: Path, tmp_path: Path, fitted: Callable[[], set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("headstart.flows.fitting.job.conclude", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(cache, "numbered", out=tmp_path / "r")
    assert fitted() == {0, 1, 2, 3, 4, 5}
    summary = fit(cache, "numbered", out=tmp_path / "r")
    assert len(summary.leaderboard) == 6
    assert fitted() <= {summary.winner.params["number"]}  # which is looked at more closely afterwards


def test_what_was_read_in_blocks_is_not_mixed_with_what_was_not(
    tmp_path: Path, problem: Problem, plan: SplitPlan
) -> None:
    KeptResults(tmp_path, problem, plan, 0, streamed=True).keep(RESULT)
    assert KeptResults(tmp_path, problem, plan, 0).find([CANDIDATE]) == []
    assert len(KeptResults(tmp_path, problem, plan, 0, streamed=True).find([CANDIDATE])) == 1
