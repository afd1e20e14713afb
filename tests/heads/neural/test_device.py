"""Torch heads train on the device they are told: nothing of theirs stays on the CPU, and all that is kept does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from support.model_example import CARD
from support.pretended_cuda import OnGpu, pretended_cuda

from headstart.heads import HEADS
from headstart.heads.neural.grid import solve_linear_torch, solve_mlp
from headstart.heads.registry import REGRESSORS, Candidate, tell_of_device
from headstart.heads.registry.candidates import solver_of
from headstart.heads.saving import load_model, save_model

SOLVE = {"linear-torch": solve_linear_torch, "mlp": solve_mlp}
SHORT = {"min_steps": 0, "max_epochs": 3, "patience": 1, "class_weight": "balanced"}
GRIDS = {
    "mlp": [{**SHORT, "hidden_sizes": (8,), "learning_rate": 0.1, "dropout": share} for share in (0.0, 0.5)],
    "linear-torch": [{**SHORT, "learning_rate": rate, "dropout": 0.2} for rate in (0.01, 0.1)],
}


def data():
    X, y = make_blobs(n_samples=140, centers=3, n_features=12, cluster_std=6.0, random_state=0)
    return X[:120].astype(np.float32), y[:120], X[120:].astype(np.float32)


def on_cuda(grid):
    return [{**params, "device": "cuda"} for params in grid]


@pytest.mark.parametrize("head", SOLVE)
def test_a_grid_trains_on_cuda_as_on_the_cpu(head):
    X, y, scored = data()
    expected = SOLVE[head](X, y, scored, GRIDS[head], 0)
    with pretended_cuda():
        found = SOLVE[head](X, y, scored, on_cuda(GRIDS[head]), 0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("head", SOLVE)
def test_a_head_trained_on_cuda_is_numpy_and_is_read_where_there_is_none(head, tmp_path: Path):
    X, y, scored = data()
    params = GRIDS[head][1]
    with pretended_cuda():
        model = HEADS[head].make({**params, "device": "cuda"}, 0).fit(X, y)
    assert all(type(array) is np.ndarray for array in (*model[-1].coefs_, *model[-1].intercepts_))
    save_model(tmp_path / "model", model, CARD)
    loaded, _ = load_model(tmp_path / "model")
    assert loaded[-1].device == "cuda"
    np.testing.assert_array_equal(loaded.predict_proba(scored), model.predict_proba(scored))
    np.testing.assert_array_equal(
        loaded.predict_proba(scored), HEADS[head].make(params, 0).fit(X, y).predict_proba(scored)
    )


def test_numbers_are_learned_on_cuda_as_on_the_cpu():
    X, y, scored = data()
    params = {"hidden_sizes": (8,), "min_steps": 0, "max_epochs": 3}
    with pretended_cuda():
        model = REGRESSORS["mlp"].make({**params, "device": "cuda"}, 0).fit(X, y / 3)
    np.testing.assert_array_equal(
        model.predict(scored), REGRESSORS["mlp"].make(params, 0).fit(X, y / 3).predict(scored)
    )


def test_only_heads_that_torch_trains_are_told_and_a_device_of_ones_own_stays():
    candidates = [
        Candidate(features=None, backbone="b", tap="t", key="k", head=head, params=params, task=task)
        for head, params, task in (
            ("logreg", {"C": 1.0}, "classify"),
            ("mlp", {"dropout": 0.5}, "classify"),
            ("linear-torch", {"device": "cpu"}, "classify"),
            ("mlp", {}, "regress"),
        )
    ]
    assert tell_of_device(candidates, "cpu") == candidates
    told = tell_of_device(candidates, "cuda:1")
    assert [one.params.get("device") for one in told] == [None, "cuda:1", "cpu", "cuda:1"]
    assert all(solver_of(one) is not None for one in told[:3]), "the whole grid is still solved at once"
    assert [head for head, one in HEADS.items() if one.on_device] == ["linear-torch", "mlp"]


def test_the_pretended_device_refuses_what_a_gpu_would():
    with pretended_cuda():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert isinstance(there, OnGpu)
        assert (there.device.type, (there * 2).device.type, there.cpu().device.type) == ("cuda", "cuda", "cpu")
        for refused, error in (
            (lambda: there + here, RuntimeError),
            (there.numpy, TypeError),
            (lambda: torch.rand(3, generator=torch.Generator(), device="cuda"), RuntimeError),
            (lambda: here.index_select(0, torch.zeros(1, dtype=torch.long, device="cuda")), RuntimeError),
        ):
            with pytest.raises(error):
                refused()
