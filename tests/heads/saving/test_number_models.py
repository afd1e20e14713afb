"""A saved head that predicts numbers says the same when it is loaded, and a planted one is refused."""

import numpy as np
import pytest
import skops.io
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import SVR
from support.model_example import CARD, NUMBER_CARD, X, change_card, fitted, fitted_on_numbers, plant

from headstart.heads import ModelFileError
from headstart.heads.registry.table import REGRESSORS
from headstart.heads.saving.model_file import load_model, save_model


@pytest.fixture
def saved_numbers(tmp_path):
    return save_model(tmp_path / "numbers", fitted_on_numbers(), NUMBER_CARD)


@pytest.mark.parametrize("head", sorted(REGRESSORS))
def test_every_head_for_numbers_says_the_same_after_a_round_trip(head, tmp_path):
    model = fitted_on_numbers(head)
    loaded, card = load_model(save_model(tmp_path / "model", model, NUMBER_CARD))
    assert np.array_equal(loaded.predict(X), model.predict(X))
    assert card["task"] == "regress"


@pytest.mark.parametrize("estimator", [SVR(), KNeighborsRegressor()])
def test_a_regressor_that_no_head_is_made_of_is_refused(estimator, saved_numbers):
    plant(saved_numbers, skops.io.dumps(estimator.fit(X, X[:, 20])))
    with pytest.raises(ModelFileError, match=f"could run code or crash: .*{type(estimator).__name__}"):
        load_model(saved_numbers)


def test_a_classifier_in_the_place_of_a_regressor_is_refused(saved_numbers):
    plant(saved_numbers, skops.io.dumps(fitted()))
    with pytest.raises(ModelFileError, match="expected a regressor"):
        load_model(saved_numbers)


def test_a_regressor_in_the_place_of_a_classifier_is_refused(saved):
    plant(saved, skops.io.dumps(fitted_on_numbers()))
    with pytest.raises(ModelFileError, match="expected a classifier"):
        load_model(saved)


def test_a_regressor_that_is_not_fitted_is_refused(saved_numbers):
    plant(saved_numbers, skops.io.dumps(REGRESSORS["ridge"].make({}, 0)))
    with pytest.raises(ModelFileError, match="that is not fitted on numbers"):
        load_model(saved_numbers)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "guess"}, "'task' is 'guess', expected classify, regress or columns"),
        ({"class_names": ["a"]}, "in a model that predicts numbers, expected none"),
        ({"task": "classify"}, r"'class_names' is \[\], expected names"),
    ],
)
def test_a_card_that_does_not_fit_numbers_is_refused(changes, message, saved_numbers):
    change_card(saved_numbers, **changes)
    with pytest.raises(ModelFileError, match=message):
        load_model(saved_numbers)


def test_a_card_without_a_task_is_of_classes(tmp_path):
    with pytest.raises(ModelFileError, match="expected names"):
        save_model(tmp_path / "model", fitted(), CARD | {"class_names": []})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_y": np.zeros(7)}, r"numbers of shape \(7,\)"),
        ({"_y": np.array(["a"] * 120)}, "numbers of shape"),
        ({"_fit_X": X[:7]}, r"images of shape \(7, 64\)"),
        ({"weights": "uniform"}, "settings"),
        ({"n_neighbors": 0}, "asks 0 neighbours"),
    ],
)
def test_planted_neighbours_of_numbers_are_checked_before_they_are_used(changes, message, saved_numbers):
    model = fitted_on_numbers("knn")
    vars(model[-1]).update(changes)
    plant(saved_numbers, skops.io.dumps(model))
    with pytest.raises(ModelFileError, match=rf"head\.skops: .*{message}|not trusted"):
        load_model(saved_numbers)


def test_planted_trees_that_lead_back_are_refused(saved_numbers):
    model = fitted_on_numbers("boosting")
    model[-1].left_ = np.zeros_like(model[-1].left_)
    plant(saved_numbers, skops.io.dumps(model))
    with pytest.raises(ModelFileError, match="a node that leads back"):
        load_model(saved_numbers)
