"""Each strategy puts images in the order that its definition says."""

from typing import get_args

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.datasets import load_digits

from headstart.flows.exploring.options import StrategyName
from headstart.heads.analysis.active.images import PartlyLabelled
from headstart.heads.analysis.active.strategies import STRATEGIES

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)


def some_labelled(n: int, seed: int = 0) -> PartlyLabelled:
    """Return 300 digits of which n have a label."""
    labels = np.full(300, -1)
    rows = np.random.default_rng(seed).choice(300, n, replace=False)
    labels[rows] = Y[rows]
    return PartlyLabelled(X[:300], labels)


def order(name: str, images: PartlyLabelled, count: int = 5, seed: int = 0) -> list:
    rows = np.flatnonzero(images.labels < 0)
    return list(STRATEGIES[name].order(images, rows, count, np.random.default_rng(seed)))


def groups_of(sizes: list[int]) -> np.ndarray:
    """Return groups far apart, each about a middle of its own."""
    generator = np.random.default_rng(0)
    middles = 20 * np.eye(len(sizes), 12)
    return np.concatenate(
        [middle + generator.normal(size=(size, 12)) for middle, size in zip(middles, sizes, strict=True)]
    ).astype(np.float32)


def test_options_name_all_strategies() -> None:
    assert get_args(StrategyName) == tuple(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_image_without_a_label_comes_once_and_none_with_one(name: str) -> None:
    images = some_labelled(60)
    assert sorted(row for row, _, _ in order(name, images)) == np.flatnonzero(images.labels < 0).tolist()


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_seed_gives_one_order(name: str) -> None:
    assert order(name, some_labelled(60)) == order(name, some_labelled(60))


@pytest.mark.parametrize("name", ["typical", "centroids"])
def test_without_labels_every_cluster_gives_one_image_and_the_largest_the_first(name: str) -> None:
    images = PartlyLabelled(groups_of([30, 10, 20]), np.full(60, -1))
    group_of = np.repeat([0, 1, 2], [30, 10, 20])
    assert [int(group_of[row]) for row, _, _ in order(name, images, 3)][:6] == [0, 2, 1, 0, 2, 1]


@pytest.mark.parametrize("name", ["typical", "centroids"])
def test_a_cluster_with_a_label_waits_for_those_without(name: str) -> None:
    labels = np.full(60, -1)
    labels[0] = 0
    images = PartlyLabelled(groups_of([30, 10, 20]), labels)
    group_of = np.repeat([0, 1, 2], [30, 10, 20])
    assert [int(group_of[row]) for row, _, _ in order(name, images, 2)][:2] == [2, 1]


def test_the_most_typical_image_has_its_neighbours_nearest() -> None:
    images = PartlyLabelled(groups_of([25]), np.full(25, -1))
    apart = np.linalg.norm(images.reduced[:, None] - images.reduced[None], axis=2)
    nearest = np.sort(apart, axis=1)[:, :21].mean(axis=1)
    assert [row for row, _, _ in order("typical", images, 1)] == np.argsort(nearest, kind="stable").tolist()


def test_the_image_nearest_to_the_centroid_comes_first() -> None:
    images = PartlyLabelled(groups_of([25]), np.full(25, -1))
    apart = np.linalg.norm(images.reduced - images.reduced.mean(axis=0), axis=1)
    assert [row for row, _, _ in order("centroids", images, 1)] == np.argsort(apart, kind="stable").tolist()


def test_equal_images_are_one_cluster() -> None:
    images = PartlyLabelled(np.ones((9, 4), np.float32), np.full(9, -1))
    assert len(order("typical", images, 5)) == 9


def test_margin_and_entropy_follow_the_probabilities() -> None:
    images = some_labelled(60)
    probability = np.sort(images.probability, axis=1)
    leads = [score for _, score, _ in order("margin", images)]
    row = order("margin", images)[0][0]
    assert leads == sorted(leads)
    assert leads[0] == pytest.approx(probability[row, -1] - probability[row, -2])
    spread = [score for _, score, _ in order("entropy", images)]
    row = order("entropy", images)[0][0]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] == pytest.approx(-(probability[row] * np.log(probability[row])).sum())


def test_disagreement_is_what_an_answer_tells_of_the_features_left_out() -> None:
    images = some_labelled(60)
    rows = np.flatnonzero(images.labels < 0)
    draw = np.random.default_rng(0)
    scaled = images.model[0].transform(images.features[rows])
    answers = [images.model[-1].predict_proba(scaled * (draw.random(64) >= 0.5) * 2) for _ in range(20)]
    expected = entropy(np.mean(answers, axis=0), axis=1) - np.mean([entropy(one, axis=1) for one in answers], axis=0)
    found = {row: score for row, score, _ in order("dropout", images)}
    assert [found[row] for row in rows.tolist()] == pytest.approx(expected.tolist(), abs=1e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_gradients_are_spread_as_their_outer_products_would_be() -> None:
    images = some_labelled(60)
    rows = np.flatnonzero(images.labels < 0)
    errors = images.probability[rows] - np.eye(10)[images.probability[rows].argmax(axis=1)]
    whole = np.einsum("ik,id->ikd", errors, images.scaled[rows].astype(np.float64)).reshape(len(rows), -1)
    lengths = np.linalg.norm(whole, axis=1)
    draw, taken = np.random.default_rng(0), [int(lengths.argmax())]
    while len(taken) < 12:
        apart = np.square(whole[:, None] - whole[None, taken]).sum(axis=2).min(axis=1)
        apart = np.minimum(apart, lengths**2)  # no gradient at all is a centre, too
        apart[taken] = 0
        taken.append(int(draw.choice(len(rows), p=apart / apart.sum())))
    found = order("gradients", images)[:12]
    assert [row for row, _, _ in found] == rows[taken].tolist()
    assert [score for _, score, _ in found] == pytest.approx(lengths[taken].tolist(), rel=1e-4)


def test_a_column_that_is_constant_among_the_labelled_does_not_drown_the_others() -> None:
    features = groups_of([20, 20])
    features[:, 5] = 0
    features[35:, 5] = 1
    labels = np.full(40, -1)
    labels[:3], labels[20:23] = 0, 1
    scaled = PartlyLabelled(features, labels).scaled
    assert np.abs(scaled).max() < 10
