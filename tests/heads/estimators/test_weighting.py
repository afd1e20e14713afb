"""Class weights in every head that has them, against scikit-learn's estimators and against images that are repeated."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.class_weight import compute_sample_weight

from headstart.heads.estimators import common_weight, weights_of_counts
from headstart.heads.estimators.cosine import CosineClassifier
from headstart.heads.estimators.naive_bayes import GaussianBayesClassifier
from headstart.heads.estimators.ridge import RidgeSoftmaxClassifier
from headstart.heads.neural.linear_torch import TorchLinearClassifier
from headstart.heads.neural.mlp import TorchMLPClassifier, TorchMLPRegressor
from headstart.heads.registry import HEADS, FeatureSet, expand, find_head, tell_of_weights

WEIGHTS = ["balanced", {0: 1.0, 1: 4.0, 2: 0.5}, {1: 9.0}]
SIZES = (150, 25, 12)


def rare_classes(seed=0, n_features=12, sizes=SIZES):
    """Overlapping classes of which some are rare."""
    generator = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    features = generator.normal(size=(len(codes), n_features)) + 0.8 * np.eye(n_features)[codes]
    order = generator.permutation(len(codes))
    return features[order].astype(np.float32), codes[order]


THEIRS = {
    "logreg": lambda weight: LogisticRegression(C=0.1, max_iter=1000, class_weight=weight),
    "ridge": lambda weight: RidgeClassifier(alpha=10.0, class_weight=weight),
    "linear-svm": lambda weight: LinearSVC(C=0.01, max_iter=5000, random_state=0, class_weight=weight),
    "svm-rbf": lambda weight: SVC(C=1.0, gamma="scale", break_ties=True, class_weight=weight),
}
OURS = {
    "logreg": {"C": 0.1},
    "ridge": {"alpha": 10.0},
    "linear-svm": {"C": 0.01},
    "svm-rbf": {"C": 1.0},
}


@pytest.mark.parametrize("weight", WEIGHTS, ids=str)
@pytest.mark.parametrize("head", THEIRS)
def test_a_head_with_class_weights_says_what_scikit_learns_says_on_the_same_folds(head, weight):
    X, y = rare_classes()
    changed = 0
    for fit, score in StratifiedKFold(3, shuffle=True, random_state=0).split(X, y):
        made = find_head(head).make({**OURS[head], "class_weight": weight}, 0).fit(X[fit], y[fit])
        theirs = make_pipeline(StandardScaler(), THEIRS[head](weight)).fit(X[fit], y[fit])
        assert np.array_equal(made.predict(X[score]), theirs.predict(X[score]))
        plain = find_head(head).make(OURS[head], 0).fit(X[fit], y[fit])
        changed += int((plain.predict(X[score]) != made.predict(X[score])).sum())
    assert changed > 0, "the weights change nothing here, and the test would not see them"


@pytest.mark.parametrize("weight", WEIGHTS, ids=str)
def test_a_discriminant_with_class_weights_is_scikit_learns_with_weighed_priors(weight):
    X, y = rare_classes()
    sample = compute_sample_weight(weight, y)
    priors = np.bincount(y, sample) / sample.sum()
    theirs = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5, priors=priors))
    ours = find_head("lda").make({"shrinkage": 0.5, "class_weight": weight}, 0).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.fit(X, y).predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("weight", WEIGHTS, ids=str)
def test_naive_bayes_with_class_weights_is_scikit_learns_with_weighed_images(weight):
    X, y = rare_classes()
    theirs = GaussianNB(var_smoothing=0.1).fit(X, y, sample_weight=compute_sample_weight(weight, y))
    ours = GaussianBayesClassifier(0.1, class_weight=weight).fit(X, y)
    np.testing.assert_allclose(np.exp(ours.log_priors_), theirs.class_prior_, rtol=1e-6)
    assert np.array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("weight", WEIGHTS, ids=str)
def test_boosted_trees_with_class_weights_are_scikit_learns(weight):
    X, y = rare_classes()
    ours = find_head("boosting").make({"max_iter": 8, "class_weight": weight}, 0).fit(X, y)
    kept = ours[-1]
    theirs = HistGradientBoostingClassifier(
        max_iter=8, max_leaf_nodes=15, min_samples_leaf=5, max_bins=31, n_iter_no_change=10, random_state=0,
        early_stopping=True, class_weight=weight,
    )  # fmt: skip
    np.testing.assert_allclose(kept.predict_proba(X), theirs.fit(X, y).predict_proba(X), atol=1e-9)


def repeated(X, y, times):
    rows = np.repeat(np.arange(len(y)), np.asarray(times)[y])
    return X[rows], y[rows]


WHOLE = {
    "batch_size": 10**6, "validation_fraction": 0.0, "min_steps": 0, "max_epochs": 15, "dropout": 0.0, "random_state": 0
}  # fmt: skip
"""Of a torch head: one batch an epoch, so that repeated images and weighed ones have the same mean loss."""


@pytest.mark.parametrize(
    ("make", "atol"),
    [
        (lambda weight: TorchMLPClassifier((8,), learning_rate=0.01, class_weight=weight, **WHOLE), 2e-3),
        (lambda weight: TorchLinearClassifier(0.1, class_weight=weight, **WHOLE), 2e-3),
        (lambda weight: CosineClassifier(class_weight=weight), 1e-8),
        (lambda weight: RidgeSoftmaxClassifier(alpha=3.0, class_weight=weight), 1e-8),
    ],
    ids=["mlp", "linear-torch", "cosine", "ridge"],
)
def test_a_class_that_counts_three_times_is_fitted_as_if_its_images_were_there_three_times(make, atol):
    X, y = rare_classes()
    X = X.astype(np.float64)  # in which those compute that do not train in float32, where a search ends by its rounding
    weighed, plain = make({0: 1, 1: 3, 2: 5}).fit(X, y), make(None).fit(X, y)
    twice = make(None).fit(*repeated(X, y, (1, 3, 5)))
    np.testing.assert_allclose(weighed.decision_function(X), twice.decision_function(X), rtol=atol, atol=atol)
    assert np.abs(weighed.decision_function(X) - plain.decision_function(X)).max() > 0.1


def test_images_that_stop_a_torch_head_are_weighed_too():
    X, y = rare_classes()
    options = {"random_state": 0, "validation_fraction": 0.2, "max_epochs": 3, "min_steps": 0}
    plain, weighed = (TorchLinearClassifier(class_weight=weight, **options).fit(X, y) for weight in (None, {2: 500.0}))
    # At the start nothing is known, and every image costs log 3, whatever its weight; later the rare class decides.
    assert plain.history_[-1]["val_loss"] != pytest.approx(weighed.history_[-1]["val_loss"], rel=0.1)


@pytest.mark.parametrize("n_features", [4, 300])
def test_ridge_leaves_weighed_images_out_exactly(n_features, monkeypatch):
    X, y = rare_classes(n_features=n_features, sizes=(20, 9, 6))
    seen = []
    monkeypatch.setattr(
        "headstart.heads.estimators.ridge.fit_temperature", lambda scores, *_: seen.append(scores) or 1.0
    )
    weight = {0: 1.0, 1: 2.0, 2: 4.0}
    RidgeSoftmaxClassifier(alpha=5.0, class_weight=weight).fit(X, y)
    for row in (0, 7, 30):
        rest = np.arange(len(y)) != row
        without = RidgeSoftmaxClassifier(alpha=5.0, class_weight=weight).fit(X[rest], y[rest])
        expected = X[row] @ without.coef_ + without.intercept_
        np.testing.assert_allclose(seen[0][row], expected, rtol=1e-6, atol=1e-8)


def test_balanced_weights_are_those_of_each_fit_and_of_the_classes_it_has():
    counts = np.array([[90, 10, 0], [40, 40, 20]])
    found = weights_of_counts("balanced", counts)
    np.testing.assert_allclose(found[0][:2], [100 / (2 * 90), 100 / (2 * 10)])
    np.testing.assert_allclose(found[1], [100 / (3 * 40), 100 / (3 * 40), 100 / (3 * 20)])
    assert weights_of_counts(None, counts) is None
    assert weights_of_counts({1: 5.0}, counts).tolist() == [[1.0, 5.0, 1.0]] * 2


def test_a_table_of_heads_says_which_weigh_classes_and_that_is_true():
    for name, head in HEADS.items():
        last = head.make({}, 0)
        last = last[-1] if hasattr(last, "steps") else last
        assert head.weighs == ("class_weight" in last.get_params()), name


def test_heads_of_a_users_own_are_weighed_where_their_class_takes_it():
    names = ["sklearn.svm:SVC", "sklearn.neighbors:KNeighborsClassifier", "logreg(C=1)"]
    found = expand([FeatureSet(features=None, backbone="b", tap="t", key="k")], names)
    weighed, notes = tell_of_weights(found, "balanced")
    assert [one.class_weight for one in weighed] == ["balanced", None, "balanced"]
    assert notes == ["sklearn.neighbors:KNeighborsClassifier cannot weigh classes: fitted without --class-weight"]


def test_what_has_no_classes_refuses_weights_and_a_grid_of_two_weights_is_no_single_fit():
    with pytest.raises(ValueError, match="numbers have no classes"):
        TorchMLPRegressor(class_weight="balanced").fit(np.eye(4, dtype=np.float32), np.arange(4.0))
    with pytest.raises(ValueError, match="one class_weight"):
        common_weight([{"class_weight": "balanced"}, {}])
