import numpy as np
import pytest

from headstart.heads.analysis.drift import FEWEST_ROWS, MOST_ROWS, draw_rows, farthest_rows, measure_drift
from headstart.heads.errors import DataError

WIDTH = 6


def draw(n_images, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (n_images, WIDTH)).astype(np.float32)


def labelled(counts, seed):
    """Two classes that lie far apart, so many images of each."""
    classes = np.repeat(["cat", "dog"], counts)
    return draw(sum(counts), seed) + 5 * (classes == "dog")[:, None], classes


@pytest.mark.parametrize("n_new", [12, 40])
def test_images_of_one_kind_are_called_drift_as_often_as_alpha_says(n_new):
    p_values = np.array(
        [
            measure_drift(draw(50, 2 * seed), draw(n_new, 2 * seed + 1), seed=seed, n_permutations=99).p_value
            for seed in range(300)
        ]
    )
    for alpha in (0.05, 0.2, 0.5):  # within three standard errors of 300 draws
        assert (p_values <= alpha).mean() == pytest.approx(alpha, abs=3 * np.sqrt(alpha * (1 - alpha) / 300))


def test_images_of_one_kind_are_called_drift_as_often_as_alpha_says_where_their_classes_are_mixed_otherwise():
    p_values = []
    for seed in range(300):
        (old, of_old), (new, of_new) = labelled((30, 20), 2 * seed), labelled((4, 26), 2 * seed + 1)
        found = measure_drift(old, new, classes=(of_old, of_new), seed=seed, n_permutations=99)
        p_values.append(found.p_value)
    assert (np.array(p_values) <= 0.05).mean() == pytest.approx(0.05, abs=0.038)


@pytest.mark.parametrize(("shift", "spread"), [(1.0, 1.0), (0.0, 2.0)])
def test_images_that_lie_elsewhere_or_are_spread_otherwise_are_found(shift, spread):
    p_values = [
        measure_drift(draw(60, seed), shift + spread * draw(20, 99 + seed), seed=seed).p_value for seed in range(20)
    ]
    assert np.mean(np.array(p_values) < 0.01) >= 0.95


def test_another_mix_of_classes_is_drift_only_where_classes_are_not_given():
    (old, of_old), (new, of_new) = labelled((40, 40), 0), labelled((4, 36), 1)
    assert measure_drift(old, new).p_value == 0.001
    assert measure_drift(old, new, classes=(of_old, of_new)).p_value > 0.05


def test_drift_within_a_class_is_found_beside_another_mix_of_classes():
    (old, of_old), (new, of_new) = labelled((40, 40), 0), labelled((4, 36), 1)
    new[of_new == "dog"] += 1
    assert measure_drift(old, new, classes=(of_old, of_new)).p_value == 0.001


def test_the_distance_is_the_unbiased_squared_discrepancy():
    old, new = draw(11, 0), draw(10, 1, shift=0.5)
    both = np.concatenate([old, new]).astype(np.float64)
    squares = ((both[:, None] - both[None]) ** 2).sum(axis=2)
    kernel = np.exp(-squares / (2 * np.median(squares[np.triu_indices(21, 1)])))
    within = [kernel[rows, rows].sum() - len(kernel[rows]) for rows in (slice(0, 11), slice(11, 21))]
    expected = within[0] / 110 + within[1] / 90 - 2 * kernel[:11, 11:].mean()
    assert measure_drift(old, new).distance == pytest.approx(expected, rel=1e-6)


def test_the_null_is_what_one_permutation_in_twenty_exceeds():
    found = measure_drift(draw(40, 0), draw(40, 1), seed=0)
    assert (found.p_value < 0.05) == (found.distance > found.null)
    far = measure_drift(draw(40, 0), draw(40, 1, shift=1.0), seed=0)
    assert far.distance > 5 * far.null


def test_of_many_images_a_bounded_number_is_compared():
    found = measure_drift(draw(MOST_ROWS + 200, 0), draw(MOST_ROWS + 100, 1), n_permutations=9)
    assert (found.n_old, found.n_new) == (MOST_ROWS, MOST_ROWS)


def test_rows_are_drawn_once_each_in_their_order_and_all_of_a_few():
    drawn = draw_rows(5 * MOST_ROWS, np.random.default_rng(0))
    assert len(drawn) == MOST_ROWS
    assert (np.diff(drawn) > 0).all()
    assert draw_rows(3, np.random.default_rng(0)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("n_old", "n_new"), [(50, FEWEST_ROWS - 1), (FEWEST_ROWS - 1, 50), (50, 0)])
def test_of_a_few_images_nothing_is_told_and_the_reason_says_so(n_old, n_new):
    found = measure_drift(draw(n_old, 0), draw(n_new, 1))
    assert (found.distance, found.null, found.p_value) == (None, None, None)
    assert found.reason == f"too few to tell: {n_old} old and {n_new} new images can be compared, 10 of each are needed"


def test_classes_that_one_side_lacks_are_not_compared():
    (old, of_old), (new, of_new) = labelled((30, 30), 0), labelled((20, 9), 1)
    found = measure_drift(old, new, classes=(of_old, np.where(of_new == "dog", "owl", of_new)))
    assert (found.n_old, found.n_new) == (30, 20)


def test_copies_of_one_image_are_no_drift():
    assert measure_drift(np.ones((20, 3)), np.ones((20, 3))).p_value == 1.0


def test_the_same_seed_gives_the_same_answer():
    assert measure_drift(draw(30, 0), draw(15, 1), seed=3) == measure_drift(draw(30, 0), draw(15, 1), seed=3)


@pytest.mark.parametrize(
    ("old", "new", "classes", "message"),
    [
        (np.ones((20, 3)), np.ones((20, 4)), None, "old features have 3 columns and new ones 4"),
        (np.ones((20, 3)), np.full((20, 3), np.nan), None, "new features: 20 of 20 rows hold NaN"),
        (np.ones((20, 3, 2)), np.ones((20, 3, 2)), None, r"old features: features have shape \(20, 3, 2\)"),
        (np.ones((20, 3)), np.ones((20, 3)), (["cat"] * 20, ["cat"]), "1 classes were given for 20 new images"),
    ],
)
def test_what_cannot_be_compared_is_refused(old, new, classes, message):
    with pytest.raises(DataError, match=message):
        measure_drift(old, new, classes=classes)


def test_new_images_are_ordered_by_how_far_the_nearest_old_one_is() -> None:
    old, new = np.array([[0.0], [10.0]]), np.array([[1.0], [14.0], [10.5]])
    assert farthest_rows(old, new, 2).tolist() == [1, 0]
    within = farthest_rows(old, new, 3, classes=(["cat", "dog"], ["dog", "dog", "owl"]))
    assert within.tolist() == [0, 1, 2]  # no old owl is there, so any old image counts
