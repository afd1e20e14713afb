"""The walk along an order: no near copies, classes in balance, and what is not possible is said."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from headstart.heads.analysis.active.choosing import choose
from headstart.heads.analysis.active.images import PartlyLabelled
from headstart.heads.analysis.active.strategies import STRATEGIES
from headstart.heads.errors import DataError

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)


def partly(features: np.ndarray, y: np.ndarray, known: np.ndarray) -> PartlyLabelled:
    labels = np.full(len(y), -1)
    labels[known] = y[known]
    return PartlyLabelled(features.astype(np.float32), labels)


def chosen(images: PartlyLabelled, strategy: str, count: int, **options) -> list[int]:
    return [one.row for one in choose(images, np.flatnonzero(images.labels < 0), strategy, count, **options)]


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "random"])
def test_near_copies_are_not_both_proposed_and_none_of_a_labelled_image(strategy: str) -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(40, 32))
    copies = features + 0.05 * generator.normal(size=(40, 32))
    y = np.tile([0, 1], 40)
    images = partly(np.concatenate([features, copies]), y, np.arange(8))
    rows = chosen(images, strategy, 80)
    assert len(rows) == 32
    assert len({row % 40 for row in rows}) == 32
    assert not {row % 40 for row in rows} & set(range(8))


def test_equal_rows_are_copies_also_where_all_images_are_alike() -> None:
    generator = np.random.default_rng(0)
    features = 50 + generator.normal(size=(60, 8))
    features[30:] = features[:30]
    rows = chosen(partly(features, np.zeros(60, int), np.arange(0)), "centroids", 60)
    assert len({row % 30 for row in rows}) == len(rows)
    assert len(rows) > 20, "whose cosines are all above those of copies of photographs"


def test_an_image_of_zeros_is_like_no_other() -> None:
    images = partly(np.zeros((4, 3)), np.zeros(4, int), np.arange(0))
    assert len(chosen(images, "centroids", 4)) == 4


def test_random_images_are_a_sample_of_all_with_its_copies() -> None:
    images = partly(np.ones((40, 3)), np.zeros(40, int), np.arange(4))
    assert sorted(chosen(images, "random", 40)) == list(range(4, 40))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_in_balance_every_guessed_class_gives_as_many(strategy: str) -> None:
    images = partly(X[:600], Y[:600], np.arange(100))
    rows = chosen(images, strategy, 30, balance=True)
    assert np.bincount(images.guess[rows], minlength=10).tolist() == [3] * 10


def test_the_classes_with_the_fewest_labels_have_one_more_where_the_number_does_not_divide() -> None:
    known = np.concatenate([np.flatnonzero(Y[:600] == 0)[:30], np.flatnonzero(Y[:600] == 1)[:5]])
    known = np.concatenate([known, np.flatnonzero(Y[:600] == 2)[:20]])
    images = partly(X[:600], Y[:600], known)
    rows = chosen(images, "margin", 7, balance=True)
    assert np.bincount(images.guess[rows]).tolist() == [2, 3, 2]


def test_where_a_class_has_too_few_the_others_give_more() -> None:
    images = partly(X[:200], Y[:200], np.arange(100))
    rows = chosen(images, "margin", 70, balance=True)
    assert len(rows) == 70
    assert len(set(np.bincount(images.guess[rows], minlength=10).tolist())) > 1


def test_the_best_come_first() -> None:
    images = partly(X[:300], Y[:300], np.arange(60))
    scores = [one.score for one in choose(images, np.arange(60, 300), "margin", 10)]
    assert scores == sorted(scores)
    assert len(scores) == 10


@pytest.mark.parametrize("strategy", [name for name, one in STRATEGIES.items() if one.needs_labels])
def test_a_strategy_that_needs_two_classes_says_which_do_not(strategy: str) -> None:
    images = partly(X[:50], np.zeros(50, int), np.arange(10))
    with pytest.raises(DataError, match=f"{strategy} needs labels of two classes and there are 1;.*typical, centroids"):
        chosen(images, strategy, 5)


def test_no_other_strategy_and_no_number_below_one_is_taken() -> None:
    images = partly(X[:50], Y[:50], np.arange(20))
    with pytest.raises(DataError, match="no strategy is called 'guess'; expected one of typical, centroids"):
        chosen(images, "guess", 5)
    with pytest.raises(DataError, match="count is 0, expected at least 1"):
        chosen(images, "margin", 0)


def test_balance_needs_two_classes_too() -> None:
    with pytest.raises(DataError, match="balance needs labels of two classes and there are 0"):
        chosen(partly(X[:50], Y[:50], np.arange(0)), "random", 5, balance=True)
