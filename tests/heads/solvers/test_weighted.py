"""Whole grids with class weights, in memory and streamed, against the stock heads on the same folds."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from headstart.heads.registry import FeatureSet, expand, find_head, solver_of, streamed_fit_of, tell_of_weights
from headstart.heads.solvers.logistic import grid, loss
from headstart.heads.solvers.streamed import gather
from headstart.heads.solvers.sums import Parts, Stream
from headstart.heads.splits import plan_splits
from headstart.heads.sweep import Running, Task, sweep
from headstart.heads.sweep.grid_trial import run_solver

WEIGHTS = ["balanced", {0: 1.0, 1: 4.0, 2: 0.5}]
GRIDS = {
    "logreg": {"C": (0.01, 1.0)},
    "ridge": {"alpha": (1.0, 100.0)},
    "lda": {"shrinkage": (0.1, 0.9)},
    "linear-torch": {"learning_rate": (0.01, 0.1)},
    "mlp": {"dropout": (0.0, 0.5)},
}


def rare_classes(sizes=(200, 40, 21), n_features=12):
    generator = np.random.default_rng(0)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    features = generator.normal(size=(len(codes), n_features)) + 0.8 * np.eye(n_features)[codes] + 5.0
    order = generator.permutation(len(codes))
    return features[order].astype(np.float32), codes[order]


def candidates(X, head, weight):
    found = expand([FeatureSet(features=X, backbone="b", tap="t", key="k")], [head], {head: GRIDS[head]})
    return tell_of_weights(found, weight)[0]


@pytest.mark.parametrize("n_features", [12, 400])
@pytest.mark.parametrize("weight", WEIGHTS, ids=str)
@pytest.mark.parametrize("head", ["logreg", "ridge", "lda", "linear-torch", "mlp"])
def test_a_batched_grid_with_class_weights_is_the_stock_heads(head, weight, n_features):
    X, y = rare_classes(n_features=n_features)
    folds = list(StratifiedKFold(3, shuffle=True, random_state=1).split(X, y))
    some = candidates(X, head, weight)
    assert all(solver_of(one) for one in some)
    solver, params = solver_of(some[0]), [one.params for one in some]
    if solver.across_folds:
        found = solver.load()(X, y, 3, folds, [params] * 3)
    else:
        found = [solver.load()(X[fit], y[fit], X[score], params, 0) for fit, score in folds]
    for (fit, score), of_fold in zip(folds, found, strict=True):
        for own, probability in zip(params, of_fold, strict=True):
            stock = find_head(head).make(own, 0).fit(X[fit], y[fit])
            np.testing.assert_allclose(probability, stock.predict_proba(X[score]), atol=2e-3)


def test_a_fold_without_one_of_the_classes_is_balanced_over_those_it_has():
    X, y = rare_classes()
    fit = np.flatnonzero(y != 2)
    for head in ("logreg", "ridge"):
        some = candidates(X, head, "balanced")
        folds, params = [(fit, np.arange(30)), (np.arange(len(y)), np.arange(30))], [one.params for one in some]
        found = solver_of(some[0]).load()(X, y, 3, folds, [params] * 2)[0]
        for own, probability in zip(params, found, strict=True):
            stock = find_head(head).make(own, 0).fit(X[fit], y[fit])
            np.testing.assert_allclose(probability[:, :2], stock.predict_proba(X[:30]), atol=2e-3)
            assert not probability[:, 2].any()


@pytest.mark.parametrize("head", GRIDS)
def test_in_a_fold_without_the_first_class_each_other_keeps_its_own_weight(head):
    X, y = rare_classes()
    fit, score = np.flatnonzero(y != 0), np.arange(40)
    some = candidates(X, head, {0: 2.0, 1: 1.0, 2: 9.0})
    plan = replace(plan_splits(y, folds=2, seed=0), folds=[(fit, score)])
    task = Task(y=y, n_classes=3, plan=plan, groups=None, seed=0)
    found = run_solver(solver_of(some[0]), {0: dict(enumerate(one.params for one in some))}, X, task)
    for number, one in enumerate(some):
        stock = find_head(head).make(one.params, 0).fit(X[fit], y[fit])
        np.testing.assert_allclose(found.probabilities[0, number][:, 1:], stock.predict_proba(X[score]), atol=2e-3)


def test_products_in_bfloat16_end_where_float32_ends(monkeypatch):
    X, y = rare_classes()
    folds, params = [(np.arange(200), np.arange(200, 261))], [{"C": 1.0, "class_weight": "balanced"}]
    exact = grid.solve_logreg(X, y, 3, folds, [params])[0][0]
    used = []
    whole = loss.FoldLoss.near
    monkeypatch.setattr(loss.FoldLoss, "near", lambda *given: used.append(1) or whole(*given))
    monkeypatch.setattr(loss, "has_fast_bfloat16", lambda: True)
    monkeypatch.setattr(grid, "_WORTH_A_PATH", 0)
    np.testing.assert_allclose(grid.solve_logreg(X, y, 3, folds, [params])[0][0], exact, atol=3e-3)
    assert used


@pytest.mark.parametrize("weight", WEIGHTS, ids=str)
@pytest.mark.parametrize("head", ["logreg", "ridge"])
@pytest.mark.parametrize("sample_bytes", [10**9, 4 * 12 * 150])
def test_a_streamed_grid_with_class_weights_is_the_stock_heads(head, weight, sample_bytes):
    X, y = rare_classes()
    fits = np.array([[True, True, False], [True, False, True]])
    parts = Parts(of_image=(np.arange(len(y)) % 3).astype(np.int16), fits=fits)
    some = candidates(X, head, weight)
    stream = Stream(features=X, block_bytes=4 * 12 * 50, sample_bytes=sample_bytes)
    data = gather(stream, y, 3, parts, with_gram=True, class_weight=weight, sample_bytes=sample_bytes)
    found = streamed_fit_of(some[0]).fit(data, [one.params for one in some], 0)
    for one, models in zip(some, found, strict=True):
        for used, model in zip(fits, models, strict=True):
            rows = np.flatnonzero(used[parts.of_image])
            stock = find_head(head).make(one.params, 0).fit(X[rows], y[rows])
            # A temperature is fitted on the sample, and weights on all images.
            np.testing.assert_allclose(model.decision_function(X), stock.decision_function(X), rtol=0.02, atol=0.02)
            if sample_bytes == 10**9:
                np.testing.assert_allclose(model.predict_proba(X), stock.predict_proba(X), atol=2e-3)


def test_a_sweep_of_weighed_and_plain_candidates_keeps_them_apart_in_memory_and_streamed():
    X, y = rare_classes()
    plan = plan_splits(y, folds=3, seed=0)
    plain = expand([FeatureSet(features=X, backbone="b", tap="t", key="k")], ["logreg(C=0.1,1)", "ridge", "centroid"])
    every = [*plain, *tell_of_weights(plain, "balanced")[0]]
    every = list({one.identity: one for one in every}.values())
    assert len(every) == 2 * (2 + 5) + 1
    held = sweep(every, y, plan, running=Running(workers=1))
    streamed = sweep([replace(one, features=Stream(features=X)) for one in every], y, plan)
    scores = [
        {one.candidate.identity: one.scores["balanced_accuracy"].value for one in found} for found in (held, streamed)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    weighed = [one for one in held if one.candidate.class_weight == "balanced"]
    assert len(weighed) == 7
    for one in weighed:
        bare = {name: value for name, value in one.candidate.params.items() if name != "class_weight"}
        twin = next(
            other for other in held if other.candidate.params == bare and other.candidate.head == one.candidate.head
        )
        assert one.scores["balanced_accuracy"].value > twin.scores["balanced_accuracy"].value
