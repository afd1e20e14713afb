"""A loss from bfloat16 products: exact at its anchor, close around it, and a search over it ends where it should."""

import numpy as np
import pytest
import torch

from headstart.heads import HEADS
from headstart.heads.solvers.logistic import grid as logreg_path
from headstart.heads.solvers.logistic.anchored import AnchoredLoss
from headstart.heads.solvers.logistic.grid import fit_logistic, solve_logreg
from headstart.heads.solvers.logistic.loss import SoftmaxLoss
from headstart.heads.solvers.logistic.scaling import WeightScaling
from headstart.heads.solvers.sums.fold_parts import part_images

N_IMAGES, N_FEATURES, N_CLASSES = 700, 40, 5
FITS, STRENGTHS = np.array([0, 1, 0]), np.array([0.01, 0.1, 1.0])
FOLDS = [np.flatnonzero(np.arange(N_IMAGES) % 3 != fold) for fold in range(2)]


@pytest.fixture(scope="module")
def drawn():
    draw = np.random.default_rng(0)
    y = draw.integers(N_CLASSES, size=N_IMAGES)
    X = draw.normal(size=(N_CLASSES, N_FEATURES))[y] + 2 * draw.normal(size=(N_IMAGES, N_FEATURES))
    return X.astype(np.float32), y


def loss_of(X, y):
    images = part_images(X, y, N_CLASSES, FOLDS)
    scaling = WeightScaling(images.sums, images.parts, FITS, STRENGTHS)
    Z, codes = torch.from_numpy(images.features), torch.from_numpy(images.codes)
    parts = [(Z[rows], codes[rows]) for rows in images.stretches()]
    return SoftmaxLoss(parts, scaling, scaling.targets(images.sums.counts, images.sums.sums))


@pytest.fixture
def exact(drawn):
    return loss_of(*drawn)


def points(scale, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(len(FITS), N_CLASSES * (N_FEATURES + 1), generator=generator)


@pytest.mark.parametrize("problems", [[0, 1, 2], [2], [1, 0]])
def test_at_the_anchor_it_is_the_loss_in_float32(exact, problems):
    some, at = torch.tensor(problems), points(0.3)
    values, gradients = AnchoredLoss(exact, at)(some, at[some])
    expected_values, expected_gradients = exact(some, at[some])
    np.testing.assert_allclose(values, expected_values, rtol=1e-6)
    np.testing.assert_allclose(gradients, expected_gradients, atol=1e-6)


@pytest.mark.parametrize("distance", [0.1, 0.01, 0.001])
def test_its_error_is_a_small_part_of_the_change_since_the_anchor(exact, distance):
    everyone, at = torch.arange(len(FITS)), points(0.3)
    there = at + points(distance, seed=2)
    _, gradients = AnchoredLoss(exact, at)(everyone, there)
    (_, before), (_, after) = exact(everyone, at), exact(everyone, there)
    change = torch.linalg.vector_norm(after - before)
    assert torch.linalg.vector_norm(gradients - after) < 0.01 * change
    # Far more than float32 would leave: it is bfloat16 that is tested here.
    assert torch.linalg.vector_norm(gradients - after) > 1e-4 * change


def test_a_problem_left_out_does_not_change_the_others(exact):
    at, there = points(0.3), points(0.3) + points(0.01, seed=2)
    near = AnchoredLoss(exact, at)
    together = near(torch.arange(3), there)
    alone = near(torch.tensor([0, 2]), there[[0, 2]])
    for found, expected in zip(alone, together, strict=True):
        np.testing.assert_allclose(found, expected[[0, 2]], rtol=1e-4, atol=1e-5)


def test_blocks_of_images_add_up(drawn, exact, monkeypatch):
    monkeypatch.setattr("headstart.heads.solvers.logistic.loss._BLOCK_NUMBERS", 1)
    monkeypatch.setattr("headstart.heads.solvers.logistic.loss._ROWS", 100)
    parted = loss_of(*drawn)
    # Images that only the first fold, only the second, or both are fitted on: 233, 234 and 233 of them.
    assert sorted(tuple(len(block.images) for block in part) for part in parted.parts) == [
        (100, 100, 33),
        (100, 100, 33),
        (100, 100, 34),
    ]
    everyone, at, there = torch.arange(len(FITS)), points(0.3), points(0.3, seed=2)
    for found, expected in zip(parted(everyone, there), exact(everyone, there), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for found, expected in zip(AnchoredLoss(parted, at)(everyone, there), exact(everyone, there), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0.02, atol=2e-3)


@pytest.fixture
def searches(monkeypatch):
    """Whatever the processor and however small the data, take bfloat16 or not, as asked."""

    def with_bfloat16(fast):
        monkeypatch.setattr(logreg_path, "has_fast_bfloat16", lambda: fast)
        monkeypatch.setattr(logreg_path, "_WORTH_BFLOAT16", 0)

    return with_bfloat16


def test_a_search_over_it_ends_below_the_tolerance_in_float32(drawn, searches):
    searches(True)
    images = part_images(*drawn, N_CLASSES, FOLDS)
    _, found = fit_logistic(images, FITS, STRENGTHS)
    _, gradients = loss_of(*drawn)(torch.arange(len(FITS)), found)
    assert float(gradients.abs().max()) <= 1e-4


def test_a_search_over_it_ends_nearer_to_scikit_learns_end_than_that_is_to_the_minimum(drawn, searches):
    searches(True)
    X, y = drawn
    strengths = (0.01, 0.1, 1.0, 10.0, 1e3)  # the larger, the longer before the minimum the default tolerance stops
    grid = [{"C": C} for C in strengths]
    folds = [(rows, np.setdiff1d(np.arange(N_IMAGES), rows)) for rows in FOLDS]
    for (fitted, scored), found in zip(folds, solve_logreg(X, y, N_CLASSES, folds, [grid] * 2), strict=True):
        for probability, C in zip(found, strengths, strict=True):
            stock = HEADS["logreg"].make({"C": C}, 0).fit(X[fitted], y[fitted])
            theirs = stock.predict_proba(X[scored])
            to_the_end = {"logisticregression__tol": 1e-9, "logisticregression__max_iter": 100_000}
            minimum = stock.set_params(**to_the_end).fit(X[fitted].astype(np.float64), y[fitted])
            allowed = np.abs(theirs - minimum.predict_proba(X[scored])).max()
            assert np.abs(probability - theirs).max() < allowed


def test_coefficients_found_over_it_are_those_of_scikit_learn(drawn, searches):
    searches(True)
    X, y = drawn
    scaling, found = fit_logistic(part_images(X, y, N_CLASSES, FOLDS), FITS, STRENGTHS)
    weights, _ = scaling.of_features(torch.arange(len(FITS)), found)
    for number, (fit, C) in enumerate(zip(FITS, STRENGTHS, strict=True)):
        stock = HEADS["logreg"].make({"C": C}, 0).fit(X[FOLDS[fit]], y[FOLDS[fit]])
        theirs = stock[-1].coef_ / stock[0].scale_
        assert np.linalg.norm(weights[:, number].numpy() - theirs) <= 0.02 * np.linalg.norm(theirs)


def test_scores_are_those_of_a_search_in_float32_alone(searches):
    draw = np.random.default_rng(1)
    y = draw.integers(10, size=6000)
    X = (draw.normal(size=(10, 64))[y] + 3 * draw.normal(size=(6000, 64))).astype(np.float32)
    grid = [{"C": C} for C in (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 1e4)]
    fold = (np.arange(2000, 6000), np.arange(2000))
    right = {}
    for fast in (True, False):
        searches(fast)
        (found,) = solve_logreg(X, y, 10, [fold], [grid])
        right[fast] = np.array([(probability.argmax(axis=1) == y[:2000]).mean() for probability in found])
    np.testing.assert_allclose(right[True], right[False], rtol=0, atol=0.002)
