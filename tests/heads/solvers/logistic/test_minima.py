"""Searches end at the minimum: nowhere above scikit-learn's end, in float32 and over products in bfloat16 alike."""

import warnings

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from headstart.heads.solvers.logistic import curvature, grid, loss, path
from headstart.heads.solvers.logistic.grid import fit_logistic, solve_logreg
from headstart.heads.solvers.logistic.path import Path
from headstart.heads.solvers.logistic.scaling import WeightScaling
from headstart.heads.solvers.logistic.steps import take_steps
from headstart.heads.solvers.sums.fold_parts import part_images

STRENGTHS = np.logspace(-4, 4, 9)
ROUNDING = 3e-6  # of an objective, which both sides find in float32


@pytest.fixture(params=[True, False], ids=["bfloat16", "float32"])
def _products(request, monkeypatch):
    """Whatever the processor, take bfloat16 or not; search minima however small the data."""
    monkeypatch.setattr(loss, "has_fast_bfloat16", lambda: request.param)
    monkeypatch.setattr(grid, "_WORTH_A_PATH", 0)


def drawn(n_images, n_features, n_classes, spread=2.0, seed=0):
    """Overlapping classes in features of many scales that go together."""
    draw = np.random.default_rng(seed)
    y = np.arange(n_images) % n_classes
    hidden = draw.normal(size=(n_classes, n_features))[y] + spread * draw.normal(size=(n_images, n_features))
    mixing = draw.normal(size=(n_features, n_features)) * np.arange(1, n_features + 1) ** -0.5
    return (hidden @ mixing + 3.0).astype(np.float32), y


def objective(model, Z, y, C, class_weight):
    """Mean cross-entropy and penalty in float64, as the images count."""
    counts = compute_sample_weight(class_weight, y)
    scores = model.decision_function(Z.astype(np.float64))
    scores = scores if scores.ndim > 1 else np.stack([np.zeros(len(y)), scores], axis=1)
    own = log_softmax(scores, axis=1)[np.arange(len(y)), y]
    return -(counts * own).sum() / counts.sum() + (model.coef_**2).sum() / (2 * C * counts.sum())


def rare(n_images, n_features, n_classes, seed=0):
    """Features as networks have them: many zeros, and every fourth is something in one to seven images alone."""
    draw = np.random.default_rng(seed)
    y = np.arange(n_images) % n_classes
    X = (
        np.maximum(0, draw.normal(size=(n_images, n_features)) + 0.3 * draw.normal(size=(n_classes, n_features))[y])
        ** 2
    )
    for column in range(0, n_features, 4):
        X[:, column] = 0
        X[draw.choice(n_images, 1 + column // 4 % 7, replace=False), column] = 3 * draw.random()
    return X.astype(np.float32), y


def found_models(X, y, folds, class_weight=None, strengths=STRENGTHS):
    """A scikit-learn model with what was found for each fold and C, and its standardised images."""
    images = part_images(X, y, int(y.max()) + 1, folds)
    fits = np.repeat(np.arange(len(folds)), len(strengths))
    every = np.tile(strengths, len(folds))
    weights = fit_logistic(images, fits, every, class_weight, to_minimum=True).double().numpy()
    for number, (fold, C) in enumerate(zip(fits, every, strict=True)):
        scaler = StandardScaler().fit(X[folds[fold]].astype(np.float64))
        coefs = weights[:, number, :-1] * scaler.scale_
        starts = weights[:, number, -1] + weights[:, number, :-1] @ (scaler.mean_ - images.sums.centre)
        if len(coefs) == 2:
            coefs, starts = coefs[1:] - coefs[:1], starts[1:] - starts[:1]
        model = LogisticRegression()
        model.classes_, model.coef_, model.intercept_ = np.arange(len(weights)), coefs, starts
        yield C, model, scaler.transform(X[folds[fold]].astype(np.float64)), y[folds[fold]]


def above(X, y, folds, class_weight=None, strengths=STRENGTHS):
    """By how much of scikit-learn's objective ours is above it, for each C."""
    for C, model, Z, own in found_models(X, y, folds, class_weight, strengths):
        theirs = LogisticRegression(C=C, max_iter=1000, class_weight=class_weight).fit(Z.astype(np.float32), own)
        yield objective(model, Z, own, C, class_weight) / objective(theirs, Z, own, C, class_weight) - 1


def in_thirds(n_images, n_classes):
    """Rows to fit on of three folds."""
    return [np.flatnonzero(np.arange(n_images) // n_classes % 3 != fold) for fold in range(3)]


@pytest.mark.usefixtures("_products")
@pytest.mark.parametrize("class_weight", [None, {0: 5.0, 1: 0.5}], ids=["alike", "weighted"])
@pytest.mark.parametrize(
    ("n_images", "n_features", "n_classes"), [(600, 30, 4), (600, 30, 2), (60, 90, 3)], ids=["four", "two", "wide"]
)
def test_no_objective_is_above_the_one_that_scikit_learn_ends_with(n_images, n_features, n_classes, class_weight):
    X, y = drawn(n_images, n_features, n_classes)
    assert max(above(X, y, in_thirds(n_images, n_classes), class_weight)) <= ROUNDING


@pytest.mark.usefixtures("_products")
@pytest.mark.parametrize("strengths", [STRENGTHS, STRENGTHS[::2]], ids=["ten apart", "a hundred apart"])
def test_features_that_few_images_have_stop_no_search(strengths, monkeypatch):
    monkeypatch.setattr(grid, "take_steps", None)  # no problem is left for it
    X, y = rare(900, 60, 3)
    assert max(above(X, y, in_thirds(900, 3), strengths=strengths)) <= ROUNDING


def test_a_problem_that_finds_no_minimum_takes_the_steps_of_scikit_learn(monkeypatch):
    X, y = drawn(300, 20, 3)
    images, fits, every = part_images(X, y, 3, in_thirds(300, 3)), np.repeat(np.arange(3), 2), np.tile([0.1, 10.0], 3)
    scaling = WeightScaling(images.sums, images.parts, fits, every)
    steps, failed = take_steps(images, scaling, 1e-4, 1000, further=True)
    assert not len(failed)
    monkeypatch.setattr(path, "_STEPS", 1)
    torch.testing.assert_close(fit_logistic(images, fits, every, to_minimum=True), steps)


def test_folds_of_many_patterns_are_solved_as_each_alone(monkeypatch):
    X, y = drawn(300, 20, 3)
    monkeypatch.setattr(path, "_GAP", 1e-7)
    folds = [np.sort(np.random.default_rng(seed).permutation(300)[:200]) for seed in range(4)]
    images = part_images(X, y, 3, folds)
    assert images.parts.fits.shape[1] > 2 * len(folds)
    together = fit_logistic(images, np.arange(4), np.ones(4), to_minimum=True)
    for number, rows in enumerate(folds):
        part = part_images(X, y, 3, [rows])
        alone = fit_logistic(part, np.zeros(1, dtype=np.intp), np.ones(1), to_minimum=True)[:, 0]
        moved = torch.from_numpy(part.sums.centre - images.sums.centre).float()
        scale = torch.from_numpy(X[rows].std(axis=0))
        assert ((alone - together[:, number])[:, :-1] * scale).abs().max() < 5e-3
        start = alone[:, -1] - alone[:, :-1] @ moved
        assert (start - start.mean() - together[:, number, -1] + together[:, number, -1].mean()).abs().max() < 5e-3


@pytest.mark.usefixtures("_products")
def test_accuracy_is_that_of_the_minimum():
    X, y = drawn(2000, 30, 4)
    folds = [(rows, np.setdiff1d(np.arange(len(y)), rows)) for rows in in_thirds(len(y), 4)]
    found = solve_logreg(X, y, 4, folds, [[{"C": C} for C in STRENGTHS]] * 3)
    for number, C in enumerate(STRENGTHS):
        right = np.zeros(2)
        for (fitted, scored), probabilities in zip(folds, found, strict=True):
            minimum = make_pipeline(StandardScaler(), LogisticRegression(C=C, tol=1e-8, max_iter=100_000))
            minimum.fit(X[fitted].astype(np.float64), y[fitted])
            answers = probabilities[number].argmax(axis=1), minimum.predict(X[scored])
            right += [np.count_nonzero(answer == y[scored]) for answer in answers]
        assert abs(right[0] - right[1]) <= 0.002 * len(y), f"C = {C}"


@pytest.mark.usefixtures("_products")
def test_where_few_images_make_the_loss_the_search_ends_as_near_to_its_minimum():
    X, y = drawn(800, 150, 4, spread=1.5)
    for C, model, Z, own in found_models(X, y, in_thirds(800, 4)[:1], strengths=np.logspace(1, 4, 4)):
        minimum = LogisticRegression(C=C, tol=1e-9, max_iter=100_000).fit(Z, own)
        reached, least = (objective(one, Z, own, C, None) for one in (model, minimum))
        assert reached <= least * 1.0015, f"C = {C}"


@pytest.mark.usefixtures("_products")
def test_images_that_all_are_told_apart_stop_no_search():
    X, y = drawn(300, 40, 3, spread=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = part_images(X, y, 3, [np.arange(300)])
        fit_logistic(images, np.zeros(len(STRENGTHS), dtype=np.intp), STRENGTHS, to_minimum=True)


def test_coordinates_that_curve_alike_save_evaluations(monkeypatch):
    X, y = drawn(800, 40, 4)
    images = part_images(X, y, 4, [np.arange(800)])
    counts = []
    for worth in (10**6, 0):
        monkeypatch.setattr(curvature, "_WORTH_STEPS", worth)
        used = []
        exact = loss.FoldLoss.exact
        with monkeypatch.context() as patch:
            patch.setattr(loss.FoldLoss, "exact", lambda *given, n=used, whole=exact: n.append(1) or whole(*given))
            fit_logistic(images, np.zeros(7, dtype=np.intp), STRENGTHS[:7], to_minimum=True)
        counts.append(len(used))
    assert counts[0] < counts[1] / 2


def test_what_is_drawn_stands_for_all():
    sizes = np.random.default_rng(0).exponential(size=1000) ** 4  # a few are nearly all
    rows, factors = curvature._drawn(sizes, 100)
    assert abs(len(rows) - 100) <= 1
    assert factors.sum() == pytest.approx(sizes.sum(), rel=0.05)
    largest = np.argsort(sizes)[-10:]
    assert np.isin(largest, rows).all()
    np.testing.assert_allclose(factors[np.isin(rows, largest)], sizes[np.sort(largest)])
    rows, factors = curvature._drawn(np.zeros(10), 5)
    assert not factors.any()


def test_folds_that_are_too_many_scores_take_turns(monkeypatch):
    X, y = drawn(300, 20, 3)
    folds = in_thirds(300, 3)
    strengths = STRENGTHS[:5]  # where C is large, coefficients that are far apart have nearly the same loss
    together = [model.coef_ for _, model, _, _ in found_models(X, y, folds, strengths=strengths)]
    sizes = []
    whole = Path.__init__
    monkeypatch.setattr(
        Path, "__init__", lambda path, loss, *given: sizes.append(len(loss.folds)) or whole(path, loss, *given)
    )
    monkeypatch.setattr("headstart.heads.solvers.logistic.grid._SCORES_AT_ONCE", 2 * 3 * 300)
    for one, (_, model, _, _) in zip(together, found_models(X, y, folds, strengths=strengths), strict=True):
        assert np.linalg.norm(model.coef_ - one) <= 0.02 * np.linalg.norm(one)
    assert sizes == [2, 1]


@pytest.mark.parametrize("distance", [0.1, 0.01, 0.001])
def test_near_a_point_the_error_is_a_small_part_of_the_change_since(distance, monkeypatch):
    monkeypatch.setattr(loss, "has_fast_bfloat16", lambda: True)
    X, y = drawn(700, 40, 5)
    images = part_images(X, y, 5, in_thirds(700, 5)[:2])
    losses = loss.FoldLoss.of_images(images, WeightScaling(images.sums, images.parts, np.arange(2), np.ones(2)))
    generator = torch.Generator().manual_seed(0)
    at, there = (0.3 * torch.randn(2, 5 * 41, generator=generator) for _ in range(2))
    there = at + distance * there
    anchor, exact = losses.exact(at), losses.exact(there)
    near = losses.near(anchor, there)
    change = torch.linalg.vector_norm(exact.slopes - anchor.slopes)
    error = torch.linalg.vector_norm(near.slopes - exact.slopes)
    assert error < 0.01 * change
    assert error > 1e-4 * change  # far more than float32 would leave: it is bfloat16 that is tested here
    np.testing.assert_allclose(near.loss, exact.loss, rtol=1e-3)
    second = torch.tensor([1])
    alone = losses.of(second).near(losses.of_point(anchor, second), there[1:])
    np.testing.assert_allclose(alone.slopes[0], near.slopes[1], rtol=0.02, atol=1e-3 * float(change))
    exactly = losses.of(second).exact(there[1:])
    np.testing.assert_allclose(exactly.slopes[0], exact.slopes[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(exactly.loss, exact.loss[1:])
