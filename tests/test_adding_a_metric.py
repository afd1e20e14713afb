"""What docs/architecture.md lists under "A metric" is all that one needs: a toy goes from its row to every table."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.array_cache import cache_of

from headstart import fit
from headstart.flows.history import compare_runs, find_run, rank_runs
from headstart.heads.errors import DataError
from headstart.heads.scoring import (
    LargeScores,
    Metric,
    Predictions,
    compare_paired,
    find_metric,
    measure,
    metric_name,
    register_metric,
    score_predictions,
)
from headstart.heads.scoring import metrics as table
from headstart.heads.scoring.functions import ClassSums, OfClasses


def error_rate(sums: ClassSums) -> OfClasses:
    n_images, right = sums.true.sum(axis=1), sums.right.sum(axis=1)
    slopes = {"right": -1 / n_images[0], "true": right[0] / n_images[0] ** 2}
    return OfClasses(1 - right / n_images, lambda: sums.slopes(**slopes))


TOY = Metric(
    name="error_rate",
    title="share of wrong images",
    higher_is_better=False,
    unit="share",
    task="classify",
    function=error_rate,
)


@pytest.fixture
def row() -> Iterator[None]:
    """Register the toy for this test: its row in `heads/scoring/metrics.py`."""
    register_metric(TOY)
    yield
    del table._registered["classify"]["error_rate"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    codes = np.resize(np.arange(3), 150)
    features = generator.normal(size=(3, 8))[codes] + generator.normal(size=(150, 8))
    return cache_of(tmp_path, features, [f"class-{code}" for code in codes])


def test_a_toy_metric_chooses_and_stands_in_every_table(row: None, cache: Path, tmp_path: Path) -> None:
    found = fit(cache, ["ridge", "centroid", "dummy"], out=tmp_path / "one", workers=1, metric="error_rate")
    other = fit(cache, ["dummy"], out=tmp_path / "two", workers=1, metric="error_rate")
    scores = [one.score for one in found.leaderboard]
    assert scores == sorted(scores), "lower is better"
    assert scores == pytest.approx([1 - one.scores["accuracy"].value for one in found.leaderboard])
    assert found.leaderboard[-1].head == "dummy"
    assert found.leaderboard[-1].p_value < 0.05
    assert found.winner.low <= found.winner.score <= found.winner.high
    page = Path(found.report).read_text()
    assert "share of wrong images" in page
    assert f"{100 * found.test.scores['error_rate'].value:.1f} %" in page
    (ranked,) = rank_runs([cache]).tables
    assert [run.test.value for run in ranked.runs] == sorted(run.test.value for run in ranked.runs)
    runs = [find_run(str(Path(one.model).parent), []) for one in (found, other)]
    compared = compare_runs(*runs)
    assert compared.metric == "error_rate"
    assert compared.significant
    assert compared.difference is not None
    assert compared.difference.value < 0


def test_intervals_and_tests_of_a_toy_are_those_of_the_metric_that_it_mirrors(row: None) -> None:
    generator = np.random.default_rng(1)
    y, groups = generator.integers(3, size=200), np.arange(200) // 2
    first, second = (np.where(generator.random(200) < share, y, (y + 1) % 3) for share in (0.9, 0.7))
    assert measure(y, None, first, 3)["error_rate"] == pytest.approx((first != y).mean())
    for scores in (score_predictions(y, None, first, 3), LargeScores(y, 3).scores(Predictions(classes=first))):
        right, wrong = scores["accuracy"], scores["error_rate"]
        assert right is not None
        assert wrong is not None
        assert (wrong.low, wrong.high) == pytest.approx((1 - right.high, 1 - right.low), abs=0.01)
    sides = [Predictions(classes=one) for one in (first, second)]
    ours, theirs = (compare_paired(name, y, *sides, groups=groups) for name in ("error_rate", "accuracy"))
    assert (ours.value, ours.low, ours.high) == pytest.approx((-theirs.value, -theirs.high, -theirs.low))
    assert ours.p_value == theirs.p_value


def test_a_metric_without_a_row_is_refused_everywhere() -> None:
    for ask in (
        lambda: find_metric("error_rate"),
        lambda: metric_name("error_rate"),
        lambda: compare_paired("error_rate", np.zeros(3, int), *[Predictions(classes=np.zeros(3, int))] * 2),
    ):
        with pytest.raises(DataError, match=r"no metric is called 'error_rate'; expected one of accuracy, .*, rmse"):
            ask()


def test_a_name_is_taken_once(row: None) -> None:
    with pytest.raises(DataError, match="registered already"):
        register_metric(TOY)
