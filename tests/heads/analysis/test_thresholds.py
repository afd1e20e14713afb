"""Decisions chosen on folds: scikit-learn's threshold for two classes, multipliers and least costs for several."""

import json
from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, make_scorer, matthews_corrcoef
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV

from headstart.heads.analysis import Goal, decide_on_folds, temper
from headstart.heads.errors import DataError
from headstart.heads.scoring import COST, METRICS, Decision, decided_metrics, measure

THEIRS = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "macro_f1": lambda true, taken: f1_score(true, taken, average="macro"),
    "mcc": matthews_corrcoef,
}


def rare(sizes, seed=0):
    generator = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = generator.normal(size=(len(y), 5)) + 1.2 * np.eye(5)[y]
    order = generator.permutation(len(y))
    return X[order], y[order]


def out_of_fold(X, y, n_folds=4):
    """Return folds, and what a fit without each says of its images, fold after fold."""
    folds = list(StratifiedKFold(n_folds, shuffle=True, random_state=1).split(X, y))
    probability = [LogisticRegression().fit(X[fit], y[fit]).predict_proba(X[score]) for fit, score in folds]
    return folds, np.concatenate([y[score] for _, score in folds]), np.concatenate(probability)


def test_every_metric_that_goes_by_classes_can_be_decided_for():
    assert decided_metrics() == list(THEIRS)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("metric", THEIRS)
def test_a_threshold_is_that_of_scikit_learn(metric, seed):
    X, y = rare((140, 22), seed)
    folds, true, probability = out_of_fold(X, y)
    theirs = TunedThresholdClassifierCV(LogisticRegression(), scoring=make_scorer(THEIRS[metric]), cv=folds).fit(X, y)
    found = decide_on_folds(true, probability, [len(score) for _, score in folds], Goal(by=metric))
    assert found.decision.threshold == pytest.approx(theirs.best_threshold_, abs=1e-12)
    whole = LogisticRegression().fit(X, y)
    assert np.array_equal(found.decision.classes(whole.predict_proba(X)), theirs.predict(X))


def test_a_threshold_for_a_table_of_costs_is_that_of_scikit_learn():
    X, y = rare((140, 22))
    costs = np.array([[0.0, 1.0], [12.0, 0.5]])
    folds, true, probability = out_of_fold(X, y)
    scorer = make_scorer(lambda true, taken: costs[true, taken].mean(), greater_is_better=False)
    theirs = TunedThresholdClassifierCV(LogisticRegression(), scoring=scorer, cv=folds).fit(X, y)
    found = decide_on_folds(true, probability, [len(score) for _, score in folds], Goal(by=COST, costs=costs))
    assert found.decision.threshold == pytest.approx(theirs.best_threshold_, abs=1e-12)
    assert found.after < found.before
    taken = probability.argmax(axis=1)
    assert found.before == pytest.approx(np.mean([costs[true[a:b], taken[a:b]].mean() for a, b in bounds(folds)]))


def bounds(folds):
    return list(pairwise(np.cumsum([0, *(len(score) for _, score in folds)]).tolist()))


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "mcc"])
def test_multipliers_of_several_classes_better_the_mean_over_folds(metric):
    X, y = rare((150, 30, 12, 9))
    folds, true, probability = out_of_fold(X, y)
    found = decide_on_folds(true, probability, [len(score) for _, score in folds], Goal(by=metric))
    values = {
        name: np.mean([measure(true[a:b], None, taken[a:b], 4)[metric] for a, b in bounds(folds)])
        for name, taken in (("before", probability.argmax(axis=1)), ("after", found.decision.classes(probability)))
    }
    assert (found.before, found.after) == pytest.approx((values["before"], values["after"]))
    assert found.after > found.before + 0.02
    assert found.decision.multipliers[0] == 1.0


def test_multipliers_find_the_threshold_that_two_classes_would_have():
    true, probability = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.full((8, 3), 0.1)
    probability[np.arange(8), true] = [0.8, 0.8, 0.8, 0.3, 0.3, 0.8, 0.8, 0.8]
    probability[3:5, 0] = 0.6
    found = decide_on_folds(true, probability, [8], Goal(by="accuracy"))
    assert found.after == 1.0
    assert 2.0 < found.decision.multipliers[1] < 8.0
    assert found.decision.multipliers[::2] == (1.0, 1.0)


def test_of_several_classes_the_least_expected_cost_by_calibrated_probabilities_decides():
    X, y = rare((100, 30, 20))
    folds, true, probability = out_of_fold(X, y)
    costs = np.array([[0.0, 1.0, 2.0], [5.0, 0.0, 1.0], [20.0, 3.0, 0.0]])
    goal, sizes = Goal(by=COST, costs=costs), [len(score) for _, score in folds]
    found = decide_on_folds(true, probability, sizes, goal, temperature=2.5)
    expected = [[sum(p[b] * costs[b, a] for b in range(3)) for a in range(3)] for p in temper(probability, 2.5)]
    assert np.array_equal(found.decision.classes(probability), np.argmin(expected, axis=1))
    assert not np.array_equal(
        decide_on_folds(true, probability, sizes, goal).decision.classes(probability), np.argmin(expected, axis=1)
    )
    assert found.after < found.before


def test_probabilities_that_are_all_the_same_leave_nothing_to_choose():
    with pytest.raises(DataError, match="same probability: no threshold can be chosen"):
        decide_on_folds([0, 1, 0, 1], np.full((4, 2), 0.5), [2, 2], Goal(by="mcc"))


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in THEIRS] + ["r2"])
def test_a_metric_that_no_decision_changes_is_refused(metric):
    with pytest.raises(DataError, match="accuracy, balanced_accuracy, macro_f1, mcc"):
        Goal(by=metric)


DECISIONS = [
    Decision(by="mcc", threshold=0.25),
    Decision(by="cost", costs=((0.0, 1.0), (5.0, 0.0)), temperature=1.7),
    Decision(by="macro_f1", multipliers=(1.0, 3.5)),
]


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda one: one.by)
def test_a_decision_comes_back_from_json(decision):
    assert Decision.from_dict(json.loads(json.dumps(decision.as_dict())), 2) == decision


@pytest.mark.parametrize(
    "values",
    [
        None, [], {}, {"by": 3, "threshold": 0.5}, {"by": "mcc"}, {"by": "mcc", "threshold": "x"},
        {"by": "mcc", "threshold": [0.5]}, {"by": "mcc", "threshold": float("nan")}, {"by": "mcc", "threshold": {}},
        {"by": "mcc", "threshold": 0.5, "multipliers": [1, 1]}, {"by": "mcc", "multipliers": [1, 1, 1]},
        {"by": "cost", "costs": [[0, 1]]}, {"by": "cost", "costs": [[0, 1], [1, 0]], "temperature": 0},
        {"by": "mcc", "threshold": 0.5, "code": "os.system"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_decision_of_two_classes_is_refused(values):
    with pytest.raises(ValueError, match="expected"):
        Decision.from_dict(values, 2)
    with pytest.raises(ValueError, match="expected one of threshold"):
        Decision.from_dict({"by": "mcc", "threshold": 0.5}, 3)
