import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs

import headstart.heads
from headstart.heads import HEADS, DuplicateHeadError, Head, UnknownHeadError, find_head, register

NAMES = {"logreg", "ridge", "linear-svm", "knn", "centroid", "lda", "mlp", "linear-torch", "dummy"} | {
    "svm-rbf",
    "boosting",
    "naive-bayes",
    "cosine",
}
LABELS_ONLY = {"linear-svm", "svm-rbf"}


def small_problem(n_classes=3):
    X, y = make_blobs(n_samples=40 * n_classes, centers=n_classes, n_features=8, cluster_std=1.0, random_state=0)
    return X.astype(np.float32), y


def test_every_promised_head_is_registered():
    assert set(HEADS) >= NAMES


def test_public_names_are_sorted_and_all_there():
    assert headstart.heads.__all__ == sorted(headstart.heads.__all__)
    assert [name for name in headstart.heads.__all__ if not hasattr(headstart.heads, name)] == []


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_default_grid_has_at_most_five_candidates(name):
    assert np.prod([len(values) for values in HEADS[name].grid.values()]) <= 5


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_summary_is_one_line(name):
    assert HEADS[name].summary.endswith(".")
    assert "\n" not in HEADS[name].summary


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", sorted(NAMES - {"dummy"}))
def test_every_head_learns_separate_classes(name, n_classes):
    X, y = small_problem(n_classes)
    model = HEADS[name].make({key: values[len(values) // 2] for key, values in HEADS[name].grid.items()}, 0)
    assert model.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) >= 0.95


@pytest.mark.parametrize("name", sorted(NAMES - LABELS_ONLY))
def test_probabilities_sum_to_one_and_agree_with_the_labels(name):
    X, y = small_problem()
    model = HEADS[name].make({}, 0).fit(X, y)
    probability = model.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, atol=1e-5)
    assert np.array_equal(model.classes_[probability.argmax(axis=1)], model.predict(X))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_same_seed_gives_the_same_predictions(name):
    X, y = small_problem()
    first, second = (HEADS[name].make({}, 7).fit(X, y) for _ in range(2))
    output = "predict_proba" if hasattr(first, "predict_proba") else "decision_function"
    assert np.array_equal(getattr(first, output)(X), getattr(second, output)(X))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_parameters_reach_the_last_step(name):
    for key, values in HEADS[name].grid.items():
        model = HEADS[name].make({key: values[0]}, 0)
        assert clone(model)[-1].get_params()[key] == values[0]


def test_the_floor_never_looks_at_the_features():
    model = HEADS["dummy"].make({}, 0).fit(np.zeros((4, 1)), [0, 1, 1, 1])
    assert model.predict_proba(np.ones((1, 1))).tolist() == [[0.25, 0.75]]


def test_more_neighbours_than_images_means_all_of_them():
    X, y = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), [0, 0, 1]
    many, all_three = (HEADS["knn"].make({"n_neighbors": k}, 0).fit(X, y) for k in (20, 3))
    assert np.array_equal(many.predict_proba([[0.5, 1.0]]), all_three.predict_proba([[0.5, 1.0]]))
    assert many.predict([[0.0, 2.0]]).tolist() == [1]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [("logref", "did you mean logreg"), ("KNN", "did you mean knn"), ("zzz", "known heads: boosting, centroid")],
)
def test_an_unknown_head_is_answered_with_names(asked, answer):
    with pytest.raises(UnknownHeadError, match=answer):
        find_head(asked)


def test_a_known_head_is_found():
    assert find_head("logreg") is HEADS["logreg"]


def test_a_duplicate_registration_is_refused():
    with pytest.raises(DuplicateHeadError, match="'logreg' is registered already"):
        register(Head(name="logreg", summary="Another.", make=HEADS["logreg"].make, grid={}))


def test_the_registry_cannot_be_changed_by_assignment():
    with pytest.raises(TypeError, match="does not support item assignment"):
        HEADS["mine"] = HEADS["logreg"]


@pytest.mark.parametrize("asked", ["", "headstart.heads.find_head('logreg'); headstart.heads.all_heads();"])
def test_importing_and_listing_heads_loads_nothing_heavy(asked):
    heavy = ["torch", "torchvision", "h5py", "prefect", "sklearn", "numpy", "dask", "skops"]
    code = f"import headstart.heads, sys; {asked} print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sweeping_linear_heads_loads_no_torch():
    wings = ("sweep.run", "saving.model_file", *(f"estimators.{name}" for name in ("stock", "ridge", "svm", "cosine")))
    code = f"import {', '.join(f'headstart.heads.{wing}' for wing in wings)}, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
