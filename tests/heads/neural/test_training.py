import numpy as np
import pytest
from support.torch_example import BOTH, problem

from headstart.heads.neural.linear_torch import TorchLinearClassifier
from headstart.heads.neural.mlp import TorchMLPClassifier
from headstart.heads.neural.training import hold_out


@BOTH
def test_the_curve_has_a_row_for_each_epoch_and_falls(estimator):
    X, y = problem()
    curve = estimator(min_steps=0, max_epochs=6, patience=6, random_state=0).fit(X, y).history_
    assert [row["epoch"] for row in curve] == [1, 2, 3, 4, 5, 6]
    assert set(curve[0]) == {"epoch", "loss", "val_loss", "val_accuracy"}
    assert curve[-1]["loss"] < curve[0]["loss"]


def test_the_loss_in_the_curve_is_the_cross_entropy():
    X, y = problem()
    model = TorchLinearClassifier(1e-12, min_steps=0, max_epochs=1, validation_fraction=0, random_state=0).fit(X, y)
    cross_entropy = -np.log(model.predict_proba(X)[np.arange(len(y)), y]).mean()
    assert model.history_[0]["loss"] == pytest.approx(cross_entropy, rel=1e-5)


def test_training_stops_after_as_many_epochs_without_gain_as_patience_allows():
    X, y = problem(spread=8.0)
    model = TorchMLPClassifier(
        (64,),
        dropout=0,
        learning_rate=0.03,
        min_steps=0,
        max_epochs=200,
        patience=4,
        validation_fraction=0.3,
        random_state=0,
    ).fit(X, y)
    losses = [row["val_loss"] for row in model.history_]
    assert len(losses) < 200
    assert model.best_epoch_ == int(np.argmin(losses)) + 1 == len(losses) - 4


def test_the_best_epoch_is_kept_and_not_the_last():
    X, y = problem(spread=8.0)
    settings = {"dropout": 0, "learning_rate": 0.03, "validation_fraction": 0.3, "random_state": 0}
    stopped = TorchMLPClassifier((64,), min_steps=0, max_epochs=200, patience=4, **settings).fit(X, y)
    until_best = TorchMLPClassifier((64,), min_steps=0, max_epochs=stopped.best_epoch_, patience=4, **settings).fit(
        X, y
    )
    assert all(np.array_equal(a, b) for a, b in zip(stopped.coefs_, until_best.coefs_, strict=True))


def test_the_learning_rate_is_stepped():
    X, y = problem()
    # With a factor this small nothing moves after the first step of the schedule.
    one, many = (
        TorchLinearClassifier(
            0.01, step_size=1, gamma=1e-12, min_steps=0, max_epochs=n, validation_fraction=0, random_state=0
        )
        for n in (1, 5)
    )
    np.testing.assert_allclose(one.fit(X, y).coefs_[0], many.fit(X, y).coefs_[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "batch_size", "n_epochs"), [(TorchLinearClassifier, 32, 200), (TorchMLPClassifier, 64, 400)]
)
def test_few_images_are_shown_more_often(estimator, batch_size, n_epochs):
    X, y = problem(n_images=50)  # two batches of 32, or one of 64
    model = estimator(patience=1000, random_state=0).fit(X, y)
    assert model.batch_size == batch_size
    assert len(model.history_) == n_epochs


def test_many_images_keep_the_epochs_asked_for():
    X, y = problem(n_images=2000)
    assert len(TorchLinearClassifier(patience=25, random_state=0).fit(X, y).history_) == 25


def test_the_steps_of_the_learning_rate_stretch_with_the_epochs():
    X, y = problem(n_images=64)
    # 400 steps are 200 epochs of two batches, eight times 25: with the first step of the schedule nothing moves.
    settings = {"gamma": 1e-12, "validation_fraction": 0, "random_state": 0}
    stretched = TorchLinearClassifier(0.01, step_size=2, **settings).fit(X, y)
    sixteen = TorchLinearClassifier(0.01, step_size=16, min_steps=0, max_epochs=16, patience=16, **settings).fit(X, y)
    np.testing.assert_allclose(stretched.coefs_[0], sixteen.coefs_[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("counts", "fraction", "n_validation"),
    [
        ([100, 100], 0.1, 20),
        ([50, 50], 0.1, 10),
        ([40, 40], 0.1, 0),  # eight images: too few to tell epochs apart
        ([1, 199], 0.1, 0),  # a class that cannot be on both sides
        ([10] * 30, 0.09, 0),  # 27 images for 30 classes
        ([100, 100], 0.0, 0),
    ],
)
def test_images_are_held_out_only_where_there_are_enough(counts, fraction, n_validation):
    codes = np.repeat(np.arange(len(counts)), counts)
    fit_rows, val_rows = hold_out(codes, fraction, seed=0)
    assert len(val_rows) == n_validation
    assert sorted([*fit_rows, *val_rows]) == list(range(len(codes)))


def test_held_out_images_are_stratified():
    _, val_rows = hold_out(np.repeat([0, 1], [150, 50]), 0.2, seed=0)
    assert np.bincount(np.repeat([0, 1], [150, 50])[val_rows]).tolist() == [30, 10]


def test_without_validation_images_all_epochs_run_and_the_last_is_kept():
    X, y = problem(n_images=30)
    model = TorchMLPClassifier(min_steps=0, max_epochs=7, patience=2, random_state=0).fit(X, y)
    assert model.best_epoch_ == len(model.history_) == 7
    assert model.history_[0]["val_loss"] is None
