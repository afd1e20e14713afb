"""The map of a report: its images, and their places."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.flows.problem import Problem
from headstart.flows.reporting.exhibits import show_points
from headstart.heads.registry import Candidate
from headstart.heads.report.charts import project
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore

_MOST_POINTS = 10_000  # on the map
_MOST_PICTURED = 1000  # of them; a picture has some 2 kB


def place_images(problem: Problem, plan: SplitPlan, winner: Candidate) -> npt.NDArray[np.float64]:
    """Place the images of the map by the winner's embedding: (n_shown, 2)."""
    return project(_features(problem, winner, map_rows(plan, len(problem.y))))


def _features(problem: Problem, winner: Candidate, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    embedded = problem.find(winner.key, winner.tap)
    features = np.asarray(embedded.features.take(rows), dtype=np.float32)
    return features.reshape(len(features), -1)


@dataclass(frozen=True)
class DescribedMap:
    """The map's part of the report's data; `points` (n_shown, 2) are None until they are known."""

    embedding: npt.NDArray[np.float32]
    embedding_labels: npt.NDArray[Any]
    embedding_is_test: npt.NDArray[np.bool_]
    embedding_right: npt.NDArray[np.int8]
    embedding_paths: list[str]
    embedding_thumbnails: list[bytes | None]
    points: npt.NDArray[np.float64] | None = None


def describe_map(problem: Problem, plan: SplitPlan, winner: Candidate, test_score: FinalScore) -> DescribedMap:
    """Return the images of the map, as the winner's embedding has them."""
    shown = map_rows(plan, len(problem.y))
    return DescribedMap(
        embedding=_features(problem, winner, shown),
        embedding_labels=problem.y[shown],
        embedding_is_test=np.isin(shown, plan.test),
        embedding_right=_right(problem, test_score)[shown],
        embedding_paths=problem.images.paths(shown),
        embedding_thumbnails=_pictures(problem, shown),
    )


def _pictures(problem: Problem, shown: npt.NDArray[np.intp]) -> list[bytes | None]:
    """Return pictures of some images, drawn at random; None for the others."""
    at = np.sort(np.random.default_rng(0).permutation(len(shown))[:_MOST_PICTURED])
    found: list[bytes | None] = [None] * len(shown)
    for number, picture in zip(at.tolist(), show_points(problem, shown[at]), strict=True):
        found[number] = picture
    return found


def map_rows(plan: SplitPlan, n_images: int) -> npt.NDArray[np.intp]:
    """Draw the images on the map from all that took part, at most `_MOST_POINTS`."""
    took_part = np.zeros(n_images, bool)
    for some in (plan.train, plan.test, *(score for _, score in plan.folds)):
        took_part[some] = True
    rows = np.flatnonzero(took_part)
    if len(rows) <= _MOST_POINTS:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, _MOST_POINTS, replace=False))


def _right(problem: Problem, test_score: FinalScore) -> npt.NDArray[np.int8]:
    """Return 1 for each image that is right, 0 for each that is wrong, and -1 for those that were not scored."""
    found = np.full(len(problem.y), -1, dtype=np.int8)
    found[test_score.rows] = test_score.predictions == problem.y[test_score.rows]
    return found
