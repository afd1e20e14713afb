"""Tonight's score against the last night's: the same metric, on what is comparable, beyond chance or not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_runs import keep, predictions_of, row, run_of, score

from headstart.flows.history.run import Run
from headstart.flows.history.search import KeptRun
from headstart.flows.nightly.score import NightScore, ScoreChange, compare_scores, join_intervals
from headstart.heads.report.rows import ScoreRow
from headstart.heads.scoring.intervals import quantile, wilson


def compare(
    folder: Path, before: Run, now: Run, *, wrong_before: int = 20, wrong_now: int = 20, start: int = 0
) -> ScoreChange:
    keep(folder, before, predictions_of(wrong_before))
    keep(folder, now, predictions_of(wrong_now, start=start))
    return compare_scores("fit", KeptRun(before, folder), KeptRun(now, folder))


def test_on_the_same_test_images_the_difference_is_that_of_a_paired_test(tmp_path: Path) -> None:
    found = compare(tmp_path, run_of(1, accuracy=0.9), run_of(2, accuracy=0.85), wrong_now=30)
    assert (found.same_images, found.fell) == (True, True)
    assert found.remark == "paired, on the same 200 test images"
    assert found.difference is not None
    assert found.difference.value == pytest.approx(-0.05)
    assert found.difference.high < 0


def test_a_fall_within_chance_is_none(tmp_path: Path) -> None:
    found = compare(tmp_path, run_of(1, accuracy=0.9), run_of(2, accuracy=0.89), wrong_now=22)
    assert found.fell is False
    assert found.difference is not None
    assert found.difference.low < 0 <= found.difference.high


def test_a_score_that_rises_has_not_fallen(tmp_path: Path) -> None:
    assert not compare(tmp_path, run_of(1, accuracy=0.8), run_of(2, accuracy=0.9), wrong_before=40).fell


@pytest.mark.parametrize(
    ("accuracy", "fell"),
    [(0.95, False), (0.88, False), (0.875, False), (0.871, True), (0.8, True)],
    ids=["higher", "as low as the earlier interval", "below it, but within both", "beyond both", "far beyond"],
)
def test_where_the_test_images_changed_both_intervals_say_whether_it_fell(
    tmp_path: Path, accuracy: float, fell: bool
) -> None:
    found = compare(tmp_path, run_of(1, accuracy=0.9), run_of(2, accuracy=accuracy, test="bbbb"))
    assert (found.same_images, found.fell) == (False, fell)
    assert found.remark == "by the intervals of both scores: the test images changed"


def test_a_loss_falls_when_it_rises(tmp_path: Path) -> None:
    by_loss = {"winner": row(metric="log_loss")}
    worse = compare(tmp_path, run_of(1, accuracy=0.9, **by_loss), run_of(2, accuracy=0.8, test="bbbb", **by_loss))
    better = compare(tmp_path, run_of(3, accuracy=0.8, **by_loss), run_of(4, accuracy=0.9, test="bbbb", **by_loss))
    assert (worse.metric, worse.fell, better.fell) == ("log_loss", True, False)


def test_the_joined_interval_is_newcombes() -> None:
    # Newcombe 1998, table II, method 10: 56/70 - 48/80 has Wilson's intervals and [0.0524, 0.3339].
    before, now = (ScoreRow(p, *wilson(p, n, quantile())) for p, n in ((48 / 80, 80), (56 / 70, 70)))
    found = join_intervals(before, now)
    assert [found.value, found.low, found.high] == pytest.approx([0.2, 0.0524, 0.3339], abs=5e-5)


def test_an_infinite_end_leaves_the_difference_open_and_alarms_nobody(tmp_path: Path) -> None:
    now = run_of(2, test="bbbb")
    now = replace(now, test=replace(now.test, scores={"accuracy": ScoreRow(0.5, None, None)}))
    found = compare(tmp_path, run_of(1), now)
    assert found.difference == ScoreRow(pytest.approx(-0.4), None, None)
    assert found.fell is False


@pytest.mark.parametrize(
    ("data", "remark"),
    [
        ({"target": "species"}, "not comparable: the target is label, it was species"),
        ({"task": "regress"}, "not comparable: the task is classify, it was regress"),
    ],
)
def test_what_learns_something_else_is_not_compared(tmp_path: Path, data: dict[str, Any], remark: str) -> None:
    before = run_of(1)
    before = replace(before, data=replace(before.data, **data))
    found = compare(tmp_path, before, run_of(2, accuracy=0.1))
    assert (found.difference, found.fell, found.remark) == (None, False, remark)


def test_a_metric_that_the_last_night_has_not_is_not_compared(tmp_path: Path) -> None:
    before = run_of(1)
    before = replace(before, test=replace(before.test, scores={"log_loss": score(0.1)}))
    assert compare(tmp_path, before, run_of(2)).remark == "not comparable: the last night has no accuracy"


def test_without_a_last_night_tonights_score_stands_alone() -> None:
    found = compare_scores("fit", None, KeptRun(run_of(), Path()))
    assert (found.before, found.remark) == (None, "there is no earlier night to compare with")
    assert found.now == NightScore(0.9, pytest.approx(0.88), pytest.approx(0.92), 200, "test", "logreg")


def test_a_fit_that_was_not_repeated_has_not_changed() -> None:
    kept = KeptRun(run_of(), Path())
    found = compare_scores("fit", kept, kept)
    assert (found.same_images, found.difference, found.remark) == (True, None, "not fitted again")


def test_predictions_that_are_gone_leave_the_intervals(tmp_path: Path) -> None:
    before, now = run_of(1), run_of(2, accuracy=0.7)
    found = compare_scores("fit", KeptRun(before, tmp_path), KeptRun(now, tmp_path))
    assert found.fell is True
    assert found.remark.startswith(f"by the intervals of both scores: {tmp_path}")
