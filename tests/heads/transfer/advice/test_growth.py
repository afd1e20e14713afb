"""What the last doubling of images brought, image by image."""

import numpy as np

from headstart.heads.transfer import quick_scores
from headstart.heads.transfer.advice import Growth, measure_growth


def grown(X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> Growth | None:
    units = np.arange(len(y)) if groups is None else groups
    n_classes = int(y.max()) + 1
    return measure_growth(X, y, units, n_classes, quick_scores(X, y, units, n_classes).right)


def blobs(n: int, columns: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = generator.normal(size=(n, columns))
    X[:, 0] += apart * y
    return X, y


def test_the_curve_climbs_where_images_are_few_for_their_columns_and_not_where_a_few_tell_all() -> None:
    climbing, flat = grown(*blobs(160, 60, 3.0)), grown(*blobs(160, 2, 8.0))
    assert climbing is not None
    assert flat is not None
    assert climbing.climbs
    assert climbing.low <= climbing.gain <= climbing.high
    assert not flat.climbs
    assert flat.gain == 0.0


def test_points_go_from_an_eighth_of_the_images_to_all_and_end_at_the_score() -> None:
    X, y = blobs(64, 4, 2.0)
    found = grown(X, y)
    assert found is not None
    assert [one.images_per_class for one in found.points] == [4, 8, 16, 32]
    right = quick_scores(X, y, np.arange(64), 2).right
    assert found.points[-1].score == right.mean()
    assert found.gain == found.points[-1].score - found.points[-2].score
    assert all(one.low <= one.score <= one.high for one in found.points)


def test_groups_are_kept_whole_and_make_the_interval_wider() -> None:
    X, y = blobs(80, 20, 2.0)
    X, y = np.repeat(X, 4, axis=0) + 0.01 * np.random.default_rng(1).normal(size=(320, 20)), np.repeat(y, 4)
    grouped, torn = grown(X, y, np.repeat(np.arange(80), 4)), grown(X, y)
    assert grouped is not None
    assert torn is not None
    assert torn.points[-1].score == 1.0  # near copies tell each other
    assert grouped.points[-1].score < 1.0
    assert grouped.high - grouped.low > torn.high - torn.low


def test_of_too_few_images_there_is_no_curve() -> None:
    X, y = blobs(6, 2, 1.0)
    assert grown(X, y) is None
