"""The shared trunk: one column alone is the head `mlp`, and a committee is the mean of its networks."""

from typing import Any

import numpy as np
import pytest

from headstart.heads.errors import DataError, ModelFileError
from headstart.heads.neural.mlp import TorchMLPClassifier, TorchMLPRegressor
from headstart.heads.transfer.multitask import SharedColumns

SHORT: dict[str, Any] = {"hidden_sizes": (8,), "max_epochs": 4, "min_steps": 0}
X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
CLASSES = (X[:, 0] * X[:, 1] > 0).astype(np.float64) + (X[:, 2] > 1)
NUMBERS = 40 + 3 * X[:, 0] - X[:, 3]


def test_one_column_of_classes_alone_is_the_mlp() -> None:
    shared = SharedColumns([3], seeds=[5], training=SHORT).fit(X, CLASSES[:, None])
    alone = TorchMLPClassifier(**SHORT, validation_fraction=0, random_state=5).fit(X, CLASSES.astype(int))
    for own, other in zip(
        [*shared.coefs_[0], *shared.intercepts_[0]], [*alone.coefs_, *alone.intercepts_], strict=True
    ):
        np.testing.assert_allclose(own, other, atol=2e-5)
    np.testing.assert_allclose(shared.answers(X)[0], alone.predict_proba(X), atol=2e-5)
    assert shared.predict(X)[:, 0].tolist() == alone.predict(X).tolist()


def test_one_column_of_numbers_alone_is_the_mlp_on_the_images_that_have_it() -> None:
    some = np.arange(len(X)) % 3 > 0
    labels = np.where(some, NUMBERS, np.nan)
    shared = SharedColumns([0], seeds=[5], training=SHORT).fit(X, labels[:, None])
    alone = TorchMLPRegressor(**SHORT, validation_fraction=0, random_state=5).fit(X[some], NUMBERS[some])
    np.testing.assert_allclose(shared.answers(X)[0], alone.predict(X), rtol=1e-4)


def test_a_committee_answers_with_the_mean_of_its_networks() -> None:
    both = np.column_stack([CLASSES, NUMBERS])
    shared = SharedColumns([3, 0], seeds=[1, 2], training=SHORT).fit(X, both)
    first, second = shared.answers_by_seed(X)
    alone = SharedColumns([3, 0], seeds=[2], training=SHORT).fit(X, both)
    for column, found in enumerate(shared.answers(X)):
        np.testing.assert_allclose(found, (first[column] + second[column]) / 2)
        np.testing.assert_allclose(second[column], alone.answers(X)[column])
    assert np.abs(first[0] - second[0]).max() > 0.01
    assert shared.predict(X).shape == (120, 2)


def test_images_that_choose_the_epoch_are_not_trained_on_but_for_columns_without_a_say() -> None:
    mask = np.arange(len(X)) < 30
    few = np.where(np.arange(len(X)) % 6 == 0, NUMBERS, np.nan)  # five of the thirty
    labels = np.column_stack([CLASSES, few])
    found = SharedColumns([3, 0], training=SHORT).fit(X, labels, [mask])
    history = found.histories_[0]
    assert all(epoch["val_column_0"] is not None and epoch["val_column_1"] is None for epoch in history)
    losses = [epoch["val_loss"] for epoch in history]
    assert found.best_epochs_ == [1 + int(np.argmin(losses))]
    other = labels.copy()
    other[mask, 0] = 2 - other[mask, 0]
    again = SharedColumns([3, 0], training={**SHORT, "patience": 9}).fit(X, other, [mask])
    assert [one["loss"] for one in again.histories_[0]] == pytest.approx([one["loss"] for one in history])
    changed = labels.copy()
    changed[0, 1] += 30
    assert (
        SharedColumns([3, 0], training=SHORT).fit(X, changed, [mask]).histories_[0][-1]["loss"] != history[-1]["loss"]
    )


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match="labels have shape"):
        SharedColumns([3], training=SHORT).fit(X, np.column_stack([CLASSES, NUMBERS]))


@pytest.mark.parametrize("slip", ["columns", "layers", "scales"])
def test_a_planted_state_is_refused(slip: str) -> None:
    found = SharedColumns([3, 0], training=SHORT).fit(X, np.column_stack([CLASSES, NUMBERS]))
    found.check_fitted_state()
    if slip == "columns":
        found.n_classes = [4, 0]
    elif slip == "layers":
        found.coefs_[0][0] = found.coefs_[0][0][:, :5]
    else:
        found.number_means_ = np.zeros(3)
    with pytest.raises(ModelFileError, match="do not go together"):
        found.check_fitted_state()
