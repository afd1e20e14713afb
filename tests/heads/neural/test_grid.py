import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs

from headstart.heads import HEADS
from headstart.heads.errors import DataError
from headstart.heads.neural import grid as torch_path
from headstart.heads.neural.grid import solve_linear_torch, solve_mlp

SOLVE = {"linear-torch": solve_linear_torch, "mlp": solve_mlp}
BOTH = pytest.mark.parametrize("head", SOLVE)
SHORT = {"min_steps": 0, "max_epochs": 3, "patience": 3}


def problem(n_images=500, n_classes=4, spread=4.0):
    X, y = make_blobs(n_samples=n_images + 100, centers=n_classes, n_features=12, cluster_std=spread, random_state=0)
    X = (X * np.geomspace(0.1, 10, 12)).astype(np.float32)  # not standardised
    return X[:n_images], y[:n_images], X[n_images:]


def stock(head, X, y, scored, params, seed):
    return HEADS[head].make(params, seed).fit(X, y).predict_proba(scored)


def check_against_stock(head, grid, data=None, seed=5, atol=2e-5):
    X, y, scored = data or problem()
    solutions = SOLVE[head](X, y, scored, grid, seed)
    assert len(solutions) == len(grid)
    for params, probability in zip(grid, solutions, strict=True):
        assert probability.dtype == np.float64
        np.testing.assert_allclose(probability, stock(head, X, y, scored, params, seed), atol=atol, err_msg=str(params))


@pytest.mark.parametrize(
    ("head", "grid"),
    [
        ("linear-torch", [{"learning_rate": rate} for rate in (0.001, 0.01, 0.1)]),
        ("linear-torch", [{"weight_decay": decay, "learning_rate": 0.05} for decay in (0.0, 0.01, 1.0)]),
        ("linear-torch", [{"dropout": share} for share in (0.0, 0.2, 0.7)]),
        ("linear-torch", [{"step_size": 1, "gamma": gamma, "momentum": 0.5} for gamma in (0.1, 0.5)]),
        ("linear-torch", [{"batch_size": 7}, {"batch_size": 600}]),
        ("mlp", [{"learning_rate": rate, "dropout": 0.0} for rate in (0.0001, 0.001, 0.01)]),
        ("mlp", [{"weight_decay": decay, "learning_rate": 0.01} for decay in (0.0, 1.0, 30.0)]),
        ("mlp", [{"dropout": share} for share in (0.0, 0.2, 0.7)]),
        ("mlp", [{"hidden_sizes": sizes} for sizes in ((), (16,), [16], (16, 8), (9, 8, 7))]),
        ("mlp", [{"hidden_sizes": (), "dropout": share} for share in (0.0, 0.5)]),
    ],
)
def test_every_model_of_a_grid_is_the_stock_pipelines(head, grid):
    check_against_stock(head, [{**SHORT, **params} for params in grid])


@BOTH
def test_entries_of_other_seeds_and_sizes_come_back_in_the_grids_order(head):
    varied = {"mlp": [{"hidden_sizes": (8,)}, {"hidden_sizes": (16,)}], "linear-torch": [{}, {"dropout": 0.3}]}[head]
    grid = [
        {**SHORT, **own, "learning_rate": rate, "random_state": seed}
        for rate in (0.001, 0.01)
        for seed in (1, 0)
        for own in varied
    ]
    check_against_stock(head, grid)


@BOTH
def test_default_grids_reach_the_stock_pipelines_accuracy(head):
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    grid = [{"learning_rate": rate, "max_epochs": 12} for rate in (0.001, 0.01)]
    for params, probability in zip(grid, SOLVE[head](X[:1200], y[:1200], X[1200:], grid, 0), strict=True):
        expected = stock(head, X[:1200], y[:1200], X[1200:], params, 0)
        accuracy, expected_accuracy = ((p.argmax(axis=1) == y[1200:]).mean() for p in (probability, expected))
        assert expected_accuracy > 0.85
        assert accuracy == pytest.approx(expected_accuracy, abs=0.002)


@BOTH
def test_each_model_stops_when_it_would_alone_and_keeps_its_own_best_epoch(head):
    X, y, scored = problem(spread=40.0)
    settings = {"min_steps": 0, "max_epochs": 30, "patience": 2, "validation_fraction": 0.3}
    grid = [{**settings, "learning_rate": rate} for rate in (0.0003, 0.003, 0.01, 0.03)]
    models = [HEADS[head].make(params, 5).fit(X, y)[-1] for params in grid]
    lengths = [len(model.history_) for model in models]
    assert len(set(lengths)) > 2
    assert min(lengths) < 10
    check_against_stock(head, grid, (X, y, scored), atol=1e-4)


@BOTH
def test_few_images_get_more_epochs_and_no_validation_as_alone(head):
    X, y, scored = problem()
    grid = [{"min_steps": 40, "max_epochs": 3, "learning_rate": rate} for rate in (0.001, 0.01)]
    check_against_stock(head, grid, (X[:40], y[:40], scored))


@BOTH
def test_a_model_that_diverges_is_nan_and_leaves_the_others_alone(head):
    X, y, scored = problem()
    rates = (0.001, 1e38, 0.01)
    alone = SOLVE[head](X, y, scored, [{**SHORT, "learning_rate": rates[0]}, {**SHORT, "learning_rate": rates[2]}], 0)
    first, diverged, last = SOLVE[head](X, y, scored, [{**SHORT, "learning_rate": rate} for rate in rates], 0)
    assert np.isnan(diverged).all()
    np.testing.assert_allclose([first, last], alone, atol=1e-5)
    with pytest.raises(DataError, match="diverged"):
        stock(head, X, y, scored, {**SHORT, "learning_rate": 1e38}, 0)


@BOTH
def test_where_every_model_diverges_all_are_nan(head):
    solutions = SOLVE[head](*problem(), [{**SHORT, "learning_rate": rate} for rate in (1e38, 2e38)], 0)
    assert all(np.isnan(probability).all() for probability in solutions)


@BOTH
def test_models_of_a_seed_are_one_stack(head, monkeypatch):
    sizes = []

    def recording(X, codes, layer_sizes, recipe, knobs, make_optimizer, weights):
        sizes.append(len(knobs.rates))
        return [None] * len(knobs.rates)

    monkeypatch.setattr(torch_path, "train_stacked", recording)
    rates = np.geomspace(1e-4, 1e-2, 8)
    grid = [
        {"learning_rate": rate, "weight_decay": decay, "random_state": seed}
        for rate in rates
        for decay in (0.0, 0.01)
        for seed in (0, 1)
    ]
    SOLVE[head](*problem(), grid, 0)
    assert sizes == [16, 16]


@BOTH
def test_stacks_that_would_hold_too_many_weights_are_split(head, monkeypatch):
    X, y, scored = problem()
    grid = [{**SHORT, "learning_rate": rate} for rate in (0.001, 0.003, 0.01)]
    whole = SOLVE[head](X, y, scored, grid, 0)
    sizes, train_stacked = [], torch_path.train_stacked

    def recording(*arguments):
        sizes.append(len(arguments[4].rates))
        return train_stacked(*arguments)

    monkeypatch.setattr(torch_path, "train_stacked", recording)
    n_weights = {"linear-torch": 12 * 4, "mlp": 12 * 128 + 128 * 4}[head]
    monkeypatch.setattr(torch_path, "_STACK_WEIGHTS", 2 * n_weights + 1)
    np.testing.assert_allclose(SOLVE[head](X, y, scored, grid, 0), whole, atol=1e-5)
    assert sizes == [2, 1]


@BOTH
def test_a_bad_parameter_is_refused_before_anything_is_trained(head, monkeypatch):
    monkeypatch.setattr(torch_path, "train_stacked", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"weight_decay is -1, expected at least 0"):
        SOLVE[head](*problem(), [{}, {"weight_decay": -1}], 0)


@BOTH
def test_torchs_global_random_state_and_threads_stay_as_they_are(head):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    SOLVE[head](*problem(), [{**SHORT, "dropout": 0.5}], 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@BOTH
def test_what_is_given_may_be_read_only_and_stays_as_it_is(head):
    data = problem()
    copies = [array.copy() for array in data]
    for array in data:
        array.setflags(write=False)
    SOLVE[head](*data, [SHORT], 0)
    assert all(np.array_equal(array, copy) for array, copy in zip(data, copies, strict=True))


@BOTH
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_probabilities_close_to_the_cpus(head):
    grid = [{**SHORT, "dropout": 0.0, "learning_rate": rate, "weight_decay": 0.01} for rate in (0.001, 0.01, 1e38)]
    cpu, gpu = (
        SOLVE[head](*problem(), [{**params, "device": device} for params in grid], 0) for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(gpu, cpu, atol=1e-2)
