import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from support.torch_example import BOTH, problem

from headstart.heads import HEADS
from headstart.heads.errors import DataError
from headstart.heads.neural.linear_torch import TorchLinearClassifier
from headstart.heads.neural.mlp import TorchMLPClassifier
from headstart.heads.neural.training import Recipe, train


@BOTH
def test_torchs_global_random_state_and_threads_stay_as_they_are(estimator):
    X, y = problem()
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    estimator(min_steps=0, max_epochs=2, dropout=0.5, random_state=0).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@BOTH
def test_the_global_random_state_does_not_matter(estimator):
    X, y = problem()
    fits = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        fits.append(estimator(min_steps=0, max_epochs=2, dropout=0.5, random_state=0).fit(X, y).coefs_)
    assert all(np.array_equal(first, second) for first, second in zip(*fits, strict=True))


@BOTH
def test_training_runs_in_one_thread_so_that_weights_do_not_depend_on_the_cores(estimator):
    class Recording(estimator):
        def _make_optimizer(self, parameters, stretch):
            seen.append(torch.get_num_threads())
            return super()._make_optimizer(parameters, stretch)

    seen, threads = [], torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        Recording(min_steps=0, max_epochs=1, random_state=0).fit(*problem())
    finally:
        torch.set_num_threads(threads)
    assert seen == [1]


@BOTH
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_training_on_a_gpu_gives_numpy_weights_close_to_the_cpus(estimator):
    X, y = problem()
    settings = {"min_steps": 0, "max_epochs": 3, "dropout": 0, "random_state": 0}
    cpu, gpu = (estimator(device=device, **settings).fit(X, y) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu.predict_proba(X), cpu.predict_proba(X), atol=1e-2)


@BOTH
def test_another_seed_gives_other_weights(estimator):
    X, y = problem()
    first, second = (estimator(min_steps=0, max_epochs=1, random_state=seed).fit(X, y).coefs_[0] for seed in (0, 1))
    assert not np.array_equal(first, second)


@BOTH
def test_the_fitted_state_holds_no_torch_object(estimator):
    X, y = problem()
    state = vars(estimator(min_steps=0, max_epochs=1, random_state=0).fit(X, y))
    assert all(type(array) is np.ndarray for name in ("coefs_", "intercepts_") for array in state[name])
    assert not [name for name, value in state.items() if type(value).__module__.startswith("torch")]


def test_prediction_in_numpy_is_what_torch_computes():
    X, y = problem()
    model = TorchMLPClassifier(hidden_sizes=(5, 4), min_steps=0, max_epochs=3, random_state=0).fit(X, y)
    hidden = torch.from_numpy(X).double()  # as it predicts: in float32 either would be off by its own rounding
    for number, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        hidden = torch.nn.functional.linear(hidden, *(torch.from_numpy(part).double() for part in (weight.T, bias)))
        hidden = torch.relu(hidden) if number < 2 else hidden
    np.testing.assert_allclose(model.predict_proba(X), torch.softmax(hidden, dim=1).numpy(), atol=1e-12)


def test_hidden_sizes_give_the_layers():
    X, y = problem()
    model = TorchMLPClassifier(hidden_sizes=(5, 4), min_steps=0, max_epochs=1, random_state=0).fit(X, y)
    assert [weight.shape for weight in model.coefs_] == [(6, 5), (5, 4), (4, 3)]


def test_a_softmax_layer_starts_at_zero():
    X, y = problem()
    model = TorchLinearClassifier(1e-12, min_steps=0, max_epochs=1, random_state=0).fit(X, y)
    assert np.abs(model.coefs_[0]).max() < 1e-9


def test_fifty_images_are_enough_for_what_logistic_regression_reaches():
    X, y = load_digits(return_X_y=True)
    reached = {"linear-torch": [], "logreg": []}
    for seed in range(3):
        fit, score = train_test_split(np.arange(len(y)), train_size=50, test_size=600, stratify=y, random_state=seed)
        for head, accuracies in reached.items():
            accuracies.append(
                HEADS[head].make({}, seed).fit(X[fit].astype(np.float32), y[fit]).score(X[score], y[score])
            )
    assert np.mean(reached["linear-torch"]) >= np.mean(reached["logreg"]) - 0.05


def test_dropout_changes_training():
    X, y = problem()
    without, half = (
        TorchMLPClassifier(dropout=p, min_steps=0, max_epochs=1, random_state=0).fit(X, y).coefs_[0] for p in (0, 0.5)
    )
    assert not np.array_equal(without, half)


def test_dropout_keeps_the_expected_input():
    X, y = np.ones((64, 1000), dtype=np.float32), np.tile([0, 1], 32)

    def mean_scorer(parameters, stretch):
        with (
            torch.no_grad()
        ):  # every feature counts alike: the score of class 1 is the mean of the inputs that are kept
            parameters[0].copy_(torch.stack([torch.zeros(1000), torch.full((1000,), 1e-3)], dim=1))
            parameters[1].zero_()
        return torch.optim.SGD(parameters, lr=1e-12), None

    numbers = {
        "dropout": 0.5,
        "batch_size": 64,
        "min_steps": 0,
        "max_epochs": 1,
        "patience": 1,
        "validation_fraction": 0.0,
        "seed": 0,
    }
    recipe = Recipe(make_optimizer=mean_scorer, device="cpu", **numbers)
    loss = train(X, y, [1000, 2], recipe).history[0]["loss"]
    expected = np.log1p(np.exp(1.0)) - 0.5  # cross-entropy at scores (0, 1), half of the images in each class
    assert loss == pytest.approx(expected, abs=0.01)


def test_divergence_is_an_error_that_says_what_to_do():
    X, y = problem()
    with pytest.raises(DataError, match=r"diverged in epoch 1.*lower learning_rate"):
        TorchLinearClassifier(learning_rate=1e30, random_state=0).fit(X * 1e6, y)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dropout": 1.0}, "dropout is 1.0, expected at least 0 and below 1"),
        ({"batch_size": 0}, "batch_size is 0, expected at least 1"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1, expected at least 0"),
        ({"learning_rate": 0}, "learning_rate is 0, expected a number above 0"),
        ({"hidden_sizes": (0,)}, r"hidden_sizes is \(0,\), expected widths of at least 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        TorchMLPClassifier(**setting).fit(*problem())


def test_weight_decay_of_the_softmax_layer_is_an_l2_penalty():
    X, y = problem()
    model = TorchLinearClassifier(
        0.05, weight_decay=0.1, batch_size=200, step_size=2000, max_epochs=2000, validation_fraction=0
    ).fit(X / 10, y)
    residual = model.predict_proba(X / 10) - np.eye(3)[y]
    # At the minimum of the mean loss + 0.1 / 2 · (squared weights and biases) its slope is nothing.
    np.testing.assert_allclose(X.T / 10 @ residual / len(X) + 0.1 * model.coefs_[0], 0, atol=1e-5)
    np.testing.assert_allclose(residual.mean(axis=0) + 0.1 * model.intercepts_[0], 0, atol=1e-5)


def test_weight_decay_of_the_perceptron_is_apart_from_the_gradient():
    X, y = problem()
    # All that was before a step is taken away, so that weights are as long as Adam's last step: a few learning rates.
    model = TorchMLPClassifier(learning_rate=0.01, weight_decay=100.0, min_steps=0, max_epochs=1, random_state=0)
    assert 0 < max(np.abs(weight).max() for weight in model.fit(X, y).coefs_) < 0.05


@pytest.mark.parametrize(
    ("estimator", "reference"),
    [
        (TorchLinearClassifier, lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9)),
        (TorchMLPClassifier, lambda parameters: torch.optim.Adam(parameters, lr=0.01)),
    ],
)
def test_without_weight_decay_training_is_plain_sgd_or_adam(estimator, reference):
    class Plain(estimator):
        def _make_optimizer(self, parameters, stretch):
            assert stretch == 1.0
            return reference(parameters), None

    X, y = problem()
    settings = {"learning_rate": 0.01, "min_steps": 0, "max_epochs": 3, "random_state": 0}
    decayless, plain = (kind(**settings).fit(X, y).coefs_ for kind in (estimator, Plain))
    for first, second in zip(decayless, plain, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)
