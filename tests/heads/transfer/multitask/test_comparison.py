"""Whether sharing helped: found where one column tells of another, not claimed where they have nothing in common."""

from typing import Any

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.scoring import Difference
from headstart.heads.transfer.multitask import Column, Compared, Images, compare_columns
from headstart.heads.transfer.multitask.linear import fit_linear
from headstart.heads.transfer.multitask.verdicts import judge, p_of_seeds

N, N_TRAIN = 1000, 600
TRAINING: dict[str, Any] = {
    "hidden_sizes": (32,),
    "dropout": 0.0,
    "learning_rate": 0.01,
    "max_epochs": 25,
    "min_steps": 100,
    "batch_size": 128,
}
IMAGES = Images(
    train=np.arange(N_TRAIN),
    test=np.arange(N_TRAIN, N),
    choosing=[np.arange(at, N_TRAIN, 10) for at in range(3)],
    groups=np.arange(N),
)


def named(name: str, y: Any, few: int | None = None) -> Column:
    """A column of two or more classes, with so few training labels."""
    labels = np.asarray(y, dtype=np.float64)
    if few is not None:
        labels[few:N_TRAIN] = np.nan
    return Column(
        name=name, class_names=[str(one) for one in range(int(np.nanmax(labels)) + 1)], y=labels, metric="accuracy"
    )


def compared(X: Any, columns: list[Column]) -> list[Compared]:
    return compare_columns(X, columns, IMAGES, seeds=range(3), training=TRAINING).columns


@pytest.fixture(scope="module")
def related() -> list[Compared]:
    """Four classes by the signs of two products, with all labels, and one of the signs with forty."""
    X = np.random.default_rng(1).normal(size=(N, 8))
    one, other = (X[:, 0] * X[:, 1] > 0).astype(int), (X[:, 2] * X[:, 3] > 0).astype(int)
    return compared(X, [named("both", 2 * one + other), named("one", one, few=40)])


def test_sharing_helps_a_column_with_few_labels_that_another_tells_of(related: list[Compared]) -> None:
    _, few = related
    assert few.verdict == "helped"
    assert few.n_train == 40
    assert few.difference.low > 0.05
    assert few.shared.value > few.separate.value + 0.1
    assert few.p_adjusted < 0.05
    assert len(few.seeds) == 3
    assert all(shared > separate for shared, separate in few.seeds)


def test_the_linear_head_stands_beside(related: list[Compared]) -> None:
    for one in related:
        assert one.head == "logreg"
        assert set(one.params) == {"C"}
        assert one.against_linear.value == pytest.approx(one.shared.value - one.linear.value)
        assert one.linear.value < one.shared.value  # no line tells the sign of a product


def test_the_difference_is_that_of_both_scores_on_the_same_images(related: list[Compared]) -> None:
    for one in related:
        assert one.difference.value == pytest.approx(one.shared.value - one.separate.value)
        assert one.difference.n_images == one.n_test == N - N_TRAIN
        assert one.difference.test == "exact McNemar"


@pytest.mark.parametrize("seed", range(2))
def test_sharing_is_not_claimed_of_columns_that_have_nothing_in_common(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 8))
    noisy = [(X[:, place] + rng.normal(size=N) > 0).astype(int) for place in (0, 4)]
    assert [one.verdict for one in compared(X, [named("one", noisy[0], few=60), named("other", noisy[1])])] == [
        "no difference",
        "no difference",
    ]


def test_groups_are_counted_together() -> None:
    X = np.random.default_rng(0).normal(size=(N, 8))
    y = (X[:, 0] > 0).astype(int)
    images = Images(train=IMAGES.train, test=IMAGES.test, choosing=IMAGES.choosing, groups=np.arange(N) // 4)
    short = {**TRAINING, "max_epochs": 1, "min_steps": 0}
    (found,) = compare_columns(X, [named("one", y)], images, seeds=range(3), training=short).columns
    assert found.difference.test == "sign flips of groups"
    assert found.difference.value == 0  # one column alone is the separate head
    assert found.verdict == "no difference"


def test_a_column_that_cannot_be_learned_is_named() -> None:
    X = np.zeros((N, 2))
    nothing = named("shape", np.zeros(N))
    fine = named("colour", np.arange(N) % 2)
    with pytest.raises(DataError, match="shape: the training images hold one class, '0'; label others"):
        compared(X, [fine, nothing])
    with pytest.raises(DataError, match="shape: not one of the 600 training images has a label"):
        compared(X, [fine, named("shape", np.arange(N) % 2, few=0)])
    untested = np.where(np.arange(N) < N_TRAIN, np.arange(N) % 2, np.nan)
    with pytest.raises(DataError, match="shape: not one of the 400 test images has a label"):
        compared(X, [fine, named("shape", untested)])
    numbers = Column(name="age", class_names=[], y=np.where(np.arange(N) < N_TRAIN, np.arange(N), 3.0), metric="r2")
    with pytest.raises(DataError, match="age: the test images hold one number"):
        compared(X, [fine, numbers])


def difference(value: float, p_value: float, metric: str = "accuracy") -> Difference:
    return Difference(metric=metric, value=value, low=value, high=value, p_value=p_value, n_images=9, test="")


def test_a_difference_counts_where_images_and_seeds_find_it_on_one_side() -> None:
    steady, unsteady = [0.1, 0.11, 0.1, 0.09], [0.3, -0.2, 0.3, 0.0]
    assert judge([difference(0.1, 0.001)], [steady])[0][1] == "helped"
    assert judge([difference(-0.1, 0.001)], [[-one for one in steady]])[0][1] == "harmed"
    assert judge([difference(0.1, 0.001)], [unsteady])[0][1] == "no difference"
    assert judge([difference(0.1, 0.2)], [steady])[0] == (0.2, "no difference")
    assert judge([difference(0.1, 0.001)], [[-one for one in steady]])[0] == (1.0, "no difference")
    assert judge([difference(-0.1, 0.001, "mae")], [[-one for one in steady]])[0][1] == "helped"


def test_verdicts_are_corrected_for_the_number_of_columns() -> None:
    steady = [0.1, 0.11, 0.1, 0.09]
    found = judge([difference(0.1, 0.03), *[difference(0.1, 0.5)] * 2], [steady] * 3)
    assert found[0] == (pytest.approx(0.09), "no difference")


def test_student_tells_of_the_seeds() -> None:
    assert p_of_seeds([1.0, 2.0, 3.0]) == pytest.approx(0.0741799)  # t = 3.4641 with 2 degrees of freedom
    assert p_of_seeds([0.1]) == 1
    assert p_of_seeds([0.0, 0.0]) == 1
    assert p_of_seeds([0.1, 0.1]) == 0


def test_the_linear_head_takes_the_penalty_that_tells_images_left_out() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 60)).astype(np.float32)
    y = X[:, 0] + 2 * rng.normal(size=80)
    masks = [np.arange(80) % 4 == at for at in range(4)]
    _, params = fit_linear(X, y, 0, "r2", masks, 0)
    assert params["alpha"] >= 100  # least squares of sixty features would follow the noise
    assert fit_linear(X, y, 0, "r2", [], 0)[1] == {}
