"""Shares of steps: what each weight takes of a step, whatever the optimizer makes of the gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.torch_example import problem

from headstart.heads.neural.mlp import TorchMLPClassifier
from headstart.heads.neural.shares import Start, share_steps

Make = Callable[[list[torch.Tensor]], torch.optim.Optimizer]

SGD: Make = lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9)  # noqa: E731 - a row of a table
OPTIMIZERS: list[Make] = [
    SGD,
    lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, weight_decay=0.1),
    lambda weights: torch.optim.AdamW(weights, lr=0.1, weight_decay=0.1),
    lambda weights: torch.optim.AdamW(weights, lr=0.1, weight_decay=0.1, fused=True),
]


def moved(make: Make, share: Any = None, *, gradient_scale: Any = 1.0, n_steps: int = 5) -> torch.Tensor:
    """Return weights of a small loss after a few steps, of which they take a share."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(4, 3, generator=generator).requires_grad_(True)
    goals = torch.randn(n_steps, 4, 3, generator=generator)
    optimizer = make([weights])
    if share is not None:
        share_steps(optimizer, [weights], [torch.as_tensor(share, dtype=torch.float32).expand(4, 3)])
    for goal in goals:
        optimizer.zero_grad()
        ((weights - goal) ** 2).sum().backward()  # type: ignore[no-untyped-call]  # torch annotates no return
        assert weights.grad is not None
        weights.grad.mul_(gradient_scale)
        optimizer.step()
    return weights.detach()


def start() -> torch.Tensor:
    return moved(SGD, n_steps=0)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_share_of_one_is_the_plain_step_and_of_zero_none_to_the_bit(make: Make) -> None:
    share = torch.zeros(4, 3)
    share[::2] = 1
    mixed, plain = moved(make, share), moved(make)
    assert torch.equal(mixed[::2], plain[::2])
    assert torch.equal(mixed[1::2], start()[1::2])
    assert torch.equal(moved(make, 1.0), plain)
    assert not torch.equal(plain, start())


def test_for_plain_sgd_a_share_of_the_step_is_the_step_of_a_scaled_gradient() -> None:
    """With momentum and without decay; the goals' own pull does not depend on the weights here."""
    generator = torch.Generator().manual_seed(1)
    share, gradients = torch.rand(4, 3, generator=generator), torch.randn(6, 4, 3, generator=generator)
    ends = []
    for scale, own in ((1.0, share), (share, torch.ones(4, 3))):
        weights = torch.ones(4, 3).requires_grad_(True)
        optimizer = SGD([weights])
        share_steps(optimizer, [weights], [own])
        for gradient in gradients:
            weights.grad = gradient * scale
            optimizer.step()
        ends.append(weights.detach())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-5, atol=1e-6)


def test_adam_moves_as_far_by_a_scaled_gradient_and_less_by_a_share() -> None:
    make = lambda weights: torch.optim.Adam(weights, lr=0.1)  # noqa: E731 - as above
    whole = (moved(make, n_steps=1) - start()).abs().max()
    scaled = (moved(make, n_steps=1, gradient_scale=1e-4) - start()).abs().max()
    shared = (moved(make, 1e-4, n_steps=1) - start()).abs().max()
    assert scaled == pytest.approx(float(whole), rel=1e-2)
    assert shared == pytest.approx(1e-4 * float(whole), rel=1e-2)


@pytest.mark.parametrize("make", OPTIMIZERS[1:])
def test_weight_decay_is_shared_as_the_rest_of_the_step_is(make: Make) -> None:
    weights = torch.full((2,), 4.0).requires_grad_(True)
    optimizer = make([weights])
    share_steps(optimizer, [weights], [torch.tensor([1.0, 0.25])])
    weights.grad = torch.zeros(2)
    optimizer.step()
    whole, part = (4.0 - weights.detach()).tolist()
    assert whole == pytest.approx(4.0 * 0.1 * 0.1, rel=1e-4)
    assert part == pytest.approx(whole / 4, rel=1e-3)


def perceptron(start: Start | None = None) -> TorchMLPClassifier:
    X, y = problem(n_images=60)
    head = TorchMLPClassifier((5,), min_steps=0, max_epochs=3, weight_decay=0.1, random_state=0)
    head.classes_ = np.arange(3)
    head.train_layers(X, y.astype(np.intp), 3, start=start)
    return head


def test_the_hidden_layers_of_a_perceptron_begin_where_they_are_told_and_the_output_layer_takes_whole_steps() -> None:
    generator = np.random.default_rng(0)
    values = [generator.normal(size=shape).astype(np.float32) for shape in ((6, 5), (5,))]
    zero, one = ([np.full(one.shape, share, np.float32) for one in values] for share in (0, 1))
    frozen, whole, plain = (perceptron(Start(values=values, guide=guide)) for guide in (zero, one, ()))
    assert np.array_equal(frozen.coefs_[0], values[0])
    assert np.array_equal(frozen.intercepts_[0], values[1])
    assert all(np.array_equal(a, b) for a, b in zip(whole.coefs_, plain.coefs_, strict=True))
    assert not np.array_equal(plain.coefs_[0], values[0])
    assert not np.allclose(frozen.coefs_[1], perceptron(Start(values=values, guide=zero)).coefs_[1] * 0)
    assert np.abs(frozen.coefs_[1] - perceptron().coefs_[1]).max() > 0  # trained above other hidden layers
