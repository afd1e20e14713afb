"""The job `fit` on a column of numbers: what is told, what is kept, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import draw
from support.numbers_example import N_IMAGES, make_numbers_cache

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.cache.digests import as_hex
from headstart.flows.errors import JobError
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.job import fit
from headstart.flows.history.comparison import compare_runs
from headstart.flows.history.ranking import rank_runs
from headstart.flows.history.runs import read_predictions
from headstart.flows.history.search import find_run
from headstart.flows.inference.prediction import predict
from headstart.flows.problem.problem import pose_problem
from headstart.heads.errors import UnknownHeadError
from headstart.heads.saving.model_file import load_model

HEADS = ["ridge", "knn", "dummy"]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_numbers_cache(tmp_path_factory.mktemp("numbers"))


@pytest.fixture(scope="module")
def fitted(numbers: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> FitSummary:
    cache, labels = numbers
    return fit(cache, HEADS, labels=labels, target="weight", out=tmp_path_factory.mktemp("out") / "results")


def test_numbers_are_chosen_by_r2_in_folds_and_scored_once(fitted: FitSummary) -> None:
    assert (fitted.winner.head, fitted.winner.metric, fitted.winner.split) == ("ridge", "r2", "5-fold CV")
    assert set(fitted.test.scores) == {"r2", "mae", "rmse"}
    assert (fitted.test.n_images, fitted.test.n_train) == (24, 96)
    score = fitted.test.scores["r2"]
    assert 0.9 < score.low <= score.value <= score.high <= 1


def test_the_floor_that_says_the_mean_is_last_and_not_tied(fitted: FitSummary) -> None:
    last = fitted.leaderboard[-1]
    assert (last.head, last.tied) == ("dummy", False)
    assert -0.3 < last.score < 0.05


def test_table_parquet_and_page_are_written(fitted: FitSummary) -> None:
    folder = Path(fitted.table).parent
    assert len(pd.read_csv(fitted.table)) == len(fitted.leaderboard)
    table = pd.read_parquet(folder / "results.parquet")
    assert table["r2"].tolist() == [row.score for row in fitted.leaderboard]
    assert [len(folds) for folds in table["mae_per_fold"]] == [5] * len(table)
    page = Path(fitted.report).read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "images/" not in page
    assert "weight" in page


def test_the_saved_model_gives_the_score_that_was_told(fitted: FitSummary, numbers: tuple[Path, Path]) -> None:
    model, card = load_model(fitted.model)
    problem = pose_problem(EmbeddingCache(numbers[0]), labels=numbers[1], target="weight")
    kept = find_run(str(Path(fitted.model).parent), [])
    table = read_predictions(kept.history, kept.run)
    rows = [as_hex(problem.images.digest).index(digest) for digest in table["digest"]]
    shown = model.predict(np.asarray(problem.embedded[0].features, dtype=np.float32)[rows])
    np.testing.assert_allclose(shown, table["predicted"])
    np.testing.assert_allclose(problem.y[rows], table["true"])
    assert np.abs(shown - problem.y[rows]).mean() == pytest.approx(fitted.test.scores["mae"].value)
    assert (card["task"], card["class_names"]) == ("regress", [])


def test_runs_of_numbers_are_ranked_and_compared_on_their_test_images(
    fitted: FitSummary, numbers: tuple[Path, Path], tmp_path: Path
) -> None:
    again = fit(numbers[0], "knn", labels=numbers[1], target="weight", out=tmp_path / "again")
    ranked = next(table for table in rank_runs([numbers[0]]).tables if table.target == "weight")
    heads = [row.head for row in ranked.runs]
    assert heads.index("ridge") < heads.index("knn")
    pair = [find_run(str(Path(summary.model).parent), []) for summary in (fitted, again)]
    found = compare_runs(*pair)
    assert found.significant
    assert found.difference is not None
    expected = fitted.test.scores["r2"].value - again.test.scores["r2"].value
    assert found.difference.value == pytest.approx(expected)


def test_the_metric_asked_for_orders_the_candidates(numbers: tuple[Path, Path], tmp_path: Path) -> None:
    summary = fit(numbers[0], HEADS, labels=numbers[1], target="weight", metric="mae", out=tmp_path / "mae")
    scores = [row.score for row in summary.leaderboard]
    assert scores == sorted(scores)


def test_whole_numbers_become_numbers_on_demand(numbers: tuple[Path, Path], tmp_path: Path) -> None:
    summary = fit(numbers[0], "ridge", labels=numbers[1], target="sunny", task="regress", out=tmp_path / "sunny")
    assert summary.winner.metric == "r2"
    assert summary.class_names == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"metric": "accuracy"},
            JobError,
            "is a number to predict, which has no metric 'accuracy'; expected one of r2",
        ),
        ({"target": "shape", "metric": "r2"}, JobError, "'shape' names classes, which has no metric 'r2'"),
        ({"target": "colour", "task": "regress"}, JobError, "'colour' holds text, such as 'blue'|such as 'red'"),
        ({"task": "guess"}, JobError, "no task is called 'guess'; expected classify or regress"),
        ({"head": "logreg"}, UnknownHeadError, "'logreg' tells classes apart and predicts no numbers"),
        ({"calibrate": True}, JobError, "--few-shot, --calibrate and --coverage are for classes"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(
    options: dict[str, Any], error: type[Exception], message: str, numbers: tuple[Path, Path], tmp_path: Path
) -> None:
    given = {"head": "ridge", "target": "weight"} | options
    with pytest.raises(error, match=message):
        fit(numbers[0], given.pop("head"), labels=numbers[1], out=tmp_path / "refused", **given)


def test_a_column_of_one_number_has_nothing_to_predict(numbers: tuple[Path, Path], tmp_path: Path) -> None:
    table = pd.read_csv(numbers[1]).assign(weight=1.5)
    table.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(JobError, match=r"target 'weight' is 1\.5 for every image; there is nothing to predict"):
        fit(numbers[0], "ridge", labels=tmp_path / "labels.csv", target="weight", out=tmp_path / "out")


def test_new_images_get_a_number(embed: Any, photos: Path, tmp_path: Path, elsewhere: Path) -> None:
    cache = embed().cache
    paths = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.png"))]
    redness = [{"cat": 1.5, "dog": 2.5, "owl": 4.0}[path[:3]] for path in paths]
    pd.DataFrame({"path": paths, "redness": redness}).to_csv(tmp_path / "labels.csv", index=False)
    model = fit(cache, ["ridge", "dummy"], labels=tmp_path / "labels.csv").model
    draw(tmp_path / "new" / "a.png", 0, seed=5000)
    draw(tmp_path / "new" / "b.png", 2, seed=5001)
    (tmp_path / "new" / "c.png").write_bytes(b"no image")
    table = predict(model, tmp_path / "new")
    assert list(table.columns) == ["path", "value", "reason"]
    assert table["value"].iloc[:2].tolist() == pytest.approx([1.5, 4.0], abs=0.6)
    assert pd.isna(table["value"].iloc[2])
    assert table["reason"].iloc[2] != ""


def test_all_images_with_a_number_take_part(fitted: FitSummary) -> None:
    assert fitted.test.n_images + fitted.test.n_train == N_IMAGES
