"""The RBF machine, boosting, naive Bayes and the cosine head say what scikit-learn's own estimators say."""

import numpy as np
import pytest
import skops.io
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import SVC
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from support.model_example import fitted, plant
from threadpoolctl import threadpool_limits

from headstart.heads import DataError, ModelFileError
from headstart.heads.estimators import boosted_trees
from headstart.heads.estimators import svm as svm_module
from headstart.heads.estimators.boosting import BoostedTreesClassifier
from headstart.heads.estimators.cosine import CosineClassifier, _loss
from headstart.heads.estimators.naive_bayes import GaussianBayesClassifier
from headstart.heads.estimators.svm import RbfSupportVectorClassifier
from headstart.heads.isolation import isolated_job
from headstart.heads.saving.model_file import load_model

DIGITS, LABELS = load_digits(return_X_y=True)


def problem(n_classes):
    rows = np.flatnonzero(np.less(LABELS, n_classes))[:500]
    X, y = StandardScaler().fit_transform(DIGITS[rows]).astype(np.float32), LABELS[rows]
    return X[::2], y[::2], X[1::2], y[1::2]


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize(("C", "factor"), [(0.1, 1.0), (10.0, 0.3)])
def test_the_rbf_machine_decides_as_scikit_learns_does(n_classes, C, factor):
    X, y, scored, _ = problem(n_classes)
    ours = RbfSupportVectorClassifier(C, gamma_factor=factor).fit(X, y)
    theirs = SVC(C=C, gamma=factor / (X.shape[1] * X.var(dtype=float)), break_ties=n_classes > 2).fit(X, y)
    np.testing.assert_allclose(ours.decision_function(scored), theirs.decision_function(scored), atol=1e-10)
    assert np.array_equal(ours.predict(scored), theirs.predict(scored))


def test_the_rbf_machine_says_the_same_batch_by_batch(monkeypatch):
    X, y, scored, _ = problem(3)
    model = RbfSupportVectorClassifier().fit(X, y)
    whole = model.decision_function(scored)
    monkeypatch.setattr(svm_module, "_KERNEL_VALUES", 7 * len(model.support_vectors_))
    np.testing.assert_allclose(model.decision_function(scored), whole, rtol=1e-12)


def test_gamma_factor_one_is_scikit_learns_scale():
    X, y, _, _ = problem(3)
    assert RbfSupportVectorClassifier().fit(X, y).gamma_ == pytest.approx(SVC(gamma="scale").fit(X, y)._gamma)


def test_the_rbf_machine_refuses_more_images_than_it_can_fit_in_time():
    X, y, _, _ = problem(3)
    with pytest.raises(DataError, match=r"expected at most 100, .*use linear-svm or logreg, or raise max_images"):
        RbfSupportVectorClassifier(max_images=100).fit(X, y)


@pytest.mark.parametrize("n_classes", [2, 10])
def test_boosting_gives_scikit_learns_probabilities(n_classes):
    X, y, scored, _ = problem(n_classes)
    settings = {"max_iter": 20, "max_leaf_nodes": 15, "min_samples_leaf": 5, "random_state": 0}
    theirs = HistGradientBoostingClassifier(**settings, max_bins=31, early_stopping=True).fit(X, y)
    ours = BoostedTreesClassifier(max_iter=20, random_state=0).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(scored), theirs.predict_proba(scored), atol=1e-12)
    np.testing.assert_allclose(ours.decision_function(scored), theirs.decision_function(scored), atol=1e-12)


def test_boosting_says_the_same_batch_by_batch(monkeypatch):
    X, y, scored, _ = problem(3)
    model = BoostedTreesClassifier(max_iter=5).fit(X, y)
    whole = model.predict_proba(scored)
    monkeypatch.setattr(boosted_trees, "_STEPS", 7 * model.roots_.size)
    assert np.array_equal(model.predict_proba(scored), whole)


def test_boosting_stops_when_the_validation_loss_no_longer_falls():
    X, y, _, _ = problem(2)
    y = np.where(np.arange(len(y)) % 3 == 0, 1 - y, y)  # labels that cannot be learned
    assert BoostedTreesClassifier(patience=3, random_state=0).fit(X, y).n_iter_ < 30


@pytest.mark.parametrize("counts", [(3, 3), (200, 1)])
def test_boosting_runs_every_round_where_images_are_too_few_to_hold_back(counts):
    X, y = np.random.default_rng(0).normal(size=(sum(counts), 4)), np.repeat([0, 1], counts)
    assert BoostedTreesClassifier(max_iter=15, patience=1, min_samples_leaf=1).fit(X, y).n_iter_ == 15


def test_boosting_takes_one_thread_inside_a_job():
    with threadpool_limits(2, "openmp"):
        assert _openmp_effective_n_threads() == 2
        with isolated_job():
            assert _openmp_effective_n_threads() == 1


def test_naive_bayes_labels_are_scikit_learns():
    X, y, scored, _ = problem(10)
    ours, theirs = GaussianBayesClassifier(0.01).fit(X, y), GaussianNB(var_smoothing=0.01).fit(X.astype(float), y)
    assert np.array_equal(ours.predict(scored), theirs.predict(scored))
    scores = ours.decision_function(scored)
    np.testing.assert_allclose(scores, theirs.predict_joint_log_proba(scored.astype(float)), rtol=1e-9)


def test_naive_bayes_left_out_scores_are_those_of_fits_without_the_image():
    X, y, _, _ = problem(3)
    X, y = X[:20, [20, 30, 42]].astype(float), y[:20]
    model = GaussianBayesClassifier(0.1).fit(X, y)
    smoothing = 0.1 * X.var(axis=0).max()
    found = model._left_out_scores(X, y, np.bincount(y), smoothing)
    for row in range(len(X)):
        rest = np.flatnonzero((np.arange(len(X)) != row) & (y == y[row]))
        variance = X[rest].var(axis=0) + smoothing
        density = -0.5 * (np.log(2 * np.pi * variance) + (X[row] - X[rest].mean(axis=0)) ** 2 / variance).sum()
        assert found[row, y[row]] == pytest.approx(model.log_priors_[y[row]] + density, rel=1e-9)


def test_naive_bayes_is_less_sure_than_scikit_learns_where_features_repeat_each_other():
    X, y = make_blobs(400, centers=3, n_features=4, cluster_std=4.0, random_state=0)
    X = np.tile(X, 50)
    ours, theirs = GaussianBayesClassifier().fit(X[::2], y[::2]), GaussianNB().fit(X[::2], y[::2])
    assert log_loss(y[1::2], ours.predict_proba(X[1::2])) < 0.5 * log_loss(y[1::2], theirs.predict_proba(X[1::2]))


def test_naive_bayes_bears_classes_of_one_image_and_features_that_never_vary():
    model = GaussianBayesClassifier(0.0).fit(np.eye(3), [0, 1, 2])
    assert model.predict(np.eye(3)).tolist() == [0, 1, 2]
    assert model.temperature_ == 1.0


def test_cosine_gradient_is_the_slope_of_its_loss():
    X, y, _, _ = problem(3)
    X, draw = normalize(X[:30]).astype(float), np.random.default_rng(0)
    at, step = draw.normal(size=3 * X.shape[1] + 1), draw.normal(size=3 * X.shape[1] + 1)
    given = (X, y[:30], (3, X.shape[1]), 0.7, None)
    slope = (_loss(at + 1e-6 * step, *given)[0] - _loss(at - 1e-6 * step, *given)[0]) / 2e-6
    assert _loss(at, *given)[1] @ step == pytest.approx(slope, rel=1e-6)


def test_cosine_probabilities_are_a_softmax_of_scaled_cosines_with_unit_weights():
    X, y, scored, _ = problem(10)
    model = CosineClassifier().fit(normalize(X), y)
    np.testing.assert_allclose(np.linalg.norm(model.directions_, axis=1), 1.0, atol=1e-6)
    cosines = normalize(scored) @ model.directions_.T
    np.testing.assert_allclose(
        np.log(model.predict_proba(normalize(scored))), log_softmax(model.scale_ * cosines, axis=1), atol=1e-3
    )


def test_cosine_finds_a_minimum_that_no_small_change_betters():
    X, y, _, _ = problem(3)
    X = normalize(X).astype(float)
    model = CosineClassifier(10.0).fit(X, y)
    given = (X, y, model.directions_.shape, 3 / (10.0 * len(y)), None)
    at = np.append(model.directions_.ravel(), model.scale_)
    draw = np.random.default_rng(0)
    losses = [_loss(at + 0.01 * draw.normal(size=at.size), *given)[0] for _ in range(20)]
    assert min(losses) > _loss(at, *given)[0]


def test_a_larger_c_gives_cosine_a_larger_scale():
    X, y, _, _ = problem(3)
    scales = [CosineClassifier(C).fit(normalize(X), y).scale_ for C in (0.1, 1.0, 10.0, 100.0)]
    assert scales == sorted(scales)
    assert scales[-1] > 3 * scales[0]


def test_cosine_says_when_it_stopped_short_of_the_minimum():
    X, y, _, _ = problem(3)
    with pytest.warns(
        ConvergenceWarning, match=r"cosine: no minimum after 2 iterations \(.*\); raise max_iter or lower C"
    ):
        CosineClassifier(max_iter=2).fit(normalize(X), y)


def test_a_class_whose_mean_has_no_direction_is_fitted():
    X, y = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 0.0], [0.0, 0.0]]), [0, 0, 1, 1]
    assert CosineClassifier(100.0).fit(X, y).predict(X[:2]).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (RbfSupportVectorClassifier(gamma_factor=0), "gamma_factor is 0, expected a number above 0"),
        (GaussianBayesClassifier(-1), "var_smoothing is -1, expected a number of at least 0"),
        (CosineClassifier(0), "C is 0, expected a number above 0"),
        (CosineClassifier(max_iter=0), "max_iter is 0, expected at least 1"),
    ],
)
def test_a_parameter_out_of_its_range_is_refused(model, message):
    X, y, _, _ = problem(2)
    with pytest.raises(ValueError, match=message):
        clone(model).fit(X, y)


def turned(array, place, value):
    changed = array.copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: {"features_": turned(model.features_, 0, 10**9)}, "looks outside its 64 features"),
        (lambda model: {"features_": turned(model.features_, 0, -1)}, "looks outside its 64 features"),
        (lambda model: {"left_": turned(model.left_, 0, 10**9)}, "leads back or outside"),
        (lambda model: {"right_": turned(model.right_, 5, 0)}, "leads back or outside"),
        (lambda model: {"roots_": turned(model.roots_, (0, 0), -5)}, "starts outside"),
        (lambda model: {"roots_": model.roots_[:, :3]}, "holds 3 trees a round, expected 10"),
        (lambda model: {"roots_": model.roots_[:0]}, "no trees"),
        (lambda model: {"values_": model.values_[:-1]}, "different lengths"),
        (lambda model: {"left_": model.left_.astype(float)}, "no int32 numbers"),
        (lambda model: {"baseline_": model.baseline_[:1]}, "expected 10"),
    ],
)
def test_planted_trees_are_checked_before_they_are_walked(change, message, saved):
    model = fitted("boosting")
    vars(model[-1]).update(change(model[-1]))
    plant(saved, skops.io.dumps(model))
    with pytest.raises(ModelFileError, match=rf"head\.skops: boosting .*{message}"):
        load_model(saved)
