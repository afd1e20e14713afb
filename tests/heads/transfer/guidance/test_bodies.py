"""Scouts and trainings of bodies: each from the same start, below an output layer that takes whole steps."""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from headstart.heads.errors import DataError
from headstart.heads.finetuning import TailClassifier
from headstart.heads.transfer.guidance import (
    Body,
    GuideRule,
    HiddenLayers,
    NetworkBody,
    draw_subproblems,
    mean_movement,
)
from headstart.heads.transfer.guidance.bodies import Trained

GENERATOR = np.random.default_rng(0)
CODES = np.repeat(np.arange(4), 10)
FEATURES = (GENERATOR.normal(size=(40, 6)) + 2 * np.eye(4, 6)[CODES]).astype(np.float32)
IMAGES = (GENERATOR.normal(size=(40, 3, 8, 8)) + CODES[:, None, None, None]).astype(np.float32)


def network(n_classes: int, seed: int) -> nn.Module:
    """Return a small convolution, always with the same weights, and a classifier that the seed draws."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        torch.manual_seed(seed)
        return nn.Sequential(*body, nn.Linear(4, n_classes))


PERCEPTRON = HiddenLayers.learned(FEATURES, CODES, {"hidden_sizes": (5,), "max_epochs": 2, "min_steps": 4}, seed=0)
NETWORK = NetworkBody(build=network, blocks=("0", "1", "5"), params={"epochs": 2, "weight_decay": 0.1})
BODIES = pytest.mark.parametrize(("body", "X"), [(PERCEPTRON, FEATURES), (NETWORK, IMAGES)], ids=["mlp", "network"])


def filled(body: Body, share: float) -> dict[str, Any]:
    return {name: np.full(values.shape, share, np.float32) for name, values in body.weights.items()}


@BODIES
def test_a_scout_always_begins_at_the_weights_of_the_source_which_stay_as_they_are(body: Body, X: Any) -> None:
    before = copy.deepcopy(dict(body.weights))
    first, again = (mean_movement(body, X, CODES, [(0, 1)], seed=0) for _ in range(2))
    both = mean_movement(body, X, CODES, [(0, 1), (2, 3)], seed=0)
    second = mean_movement(body, X, CODES, [(2, 3)], seed=1)
    for name, start in before.items():
        assert np.array_equal(body.weights[name], start)
        assert np.array_equal(first[name], again[name])
        assert np.allclose(both[name], (first[name] + second[name]) / 2, rtol=1e-5)
    assert max(one.max() for one in first.values()) > 0


@BODIES
def test_a_guide_of_ones_is_no_guide_to_the_bit_and_one_of_zeros_freezes_all_but_the_output(body: Body, X: Any) -> None:
    rows = np.flatnonzero(CODES < 3)
    plain, whole, frozen = (
        body.train(X[rows], CODES[rows], guide=guide, seed=3) for guide in (None, filled(body, 1), filled(body, 0))
    )
    for name, start in body.weights.items():
        assert np.array_equal(plain.weights[name], whole.weights[name])
        assert np.array_equal(frozen.weights[name], start)
    assert any(not np.array_equal(plain.weights[name], start) for name, start in body.weights.items())
    assert np.array_equal(plain.predict(X), whole.predict(X))


def test_the_new_output_layer_takes_whole_steps_and_is_not_in_the_guide() -> None:
    assert set(NETWORK.weights) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert set(PERCEPTRON.weights) == {"hidden.0.weight", "hidden.0.bias"}
    start = network(4, 0)
    frozen = TailClassifier(start, ("0", "1", "5"), epochs=1, random_state=0, guide=filled(NETWORK, 0))
    state = frozen.fit(IMAGES, CODES).state()
    assert float((state["5.weight"] - start.get_parameter("5.weight").detach()).abs().max()) > 1e-4
    assert torch.equal(state["0.weight"], start.get_parameter("0.weight"))


def test_in_every_phase_of_unfreezing_weights_take_their_shares() -> None:
    by = {"epochs": 6, "unfreeze": "progressive", "optimizer": "adamw", "random_state": 0}
    frozen = TailClassifier(network(4, 0), ("0", "1", "5"), guide=filled(NETWORK, 0), **by).fit(IMAGES, CODES)
    plain = TailClassifier(network(4, 0), ("0", "1", "5"), **by).fit(IMAGES, CODES)
    assert torch.equal(frozen.state()["0.weight"], network(4, 0).get_parameter("0.weight"))
    assert not torch.equal(plain.state()["0.weight"], network(4, 0).get_parameter("0.weight"))


@pytest.mark.parametrize(("name", "shape"), [("7.weight", (2,)), ("0.bias", (3,))])
def test_a_guide_of_another_network_is_refused(name: str, shape: tuple[int, ...]) -> None:
    head = TailClassifier(network(4, 0), ("0", "1", "5"), guide={name: np.ones(shape, np.float32)})
    with pytest.raises(DataError, match=f"the guide has shares for '{name}' of shape .*; take a guide that was made"):
        head.fit(IMAGES, CODES)


@dataclass
class Kept:
    """A checkpoint in memory."""

    arrays: dict[str, Any] = field(default_factory=dict)
    loads: int = 0

    def load(self) -> dict[str, Any] | None:
        self.loads += 1
        return dict(self.arrays) or None

    def save(self, arrays: dict[str, Any]) -> None:
        self.arrays = arrays


def test_a_guided_training_does_not_go_on_from_one_with_another_guide_or_none() -> None:
    kept, by = Kept(), {"epochs": 2, "random_state": 0}
    TailClassifier(network(4, 0), ("0", "1", "5"), checkpoint=kept, **by).fit(IMAGES, CODES)
    frozen = TailClassifier(network(4, 0), ("0", "1", "5"), checkpoint=kept, guide=filled(NETWORK, 0), **by)
    assert torch.equal(frozen.fit(IMAGES, CODES).state()["0.weight"], network(4, 0).get_parameter("0.weight"))


def test_scouts_learn_different_parts_of_the_classes_by_the_seed() -> None:
    drawn = draw_subproblems(5, 4, 2, seed=0)
    assert len(set(drawn)) == 4
    assert all(0 <= first < second < 5 for first, second in drawn)
    assert draw_subproblems(5, 4, 2, seed=0) == drawn
    assert len(draw_subproblems(4, 100, 3, seed=0)) == 4
    many = draw_subproblems(200, 30, 5, seed=0)
    assert len(set(many)) == 30
    assert all(len(set(one)) == 5 for one in many)


@pytest.mark.parametrize("n_together", [1, 4, 5])
def test_a_scout_of_one_class_or_of_all_is_refused(n_together: int) -> None:
    with pytest.raises(DataError, match=f"a scout of {n_together} classes, expected between 2 and 3"):
        draw_subproblems(4, 3, n_together, seed=0)


def test_what_a_scout_had_to_move_most_takes_most_of_a_step() -> None:
    class Moving:
        weights = {"w": np.zeros(3, np.float32)}  # noqa: RUF012 - a stand-in

        def train(self, X: Any, codes: Any, *, guide: Any, seed: int) -> Trained:  # noqa: ARG002 - as a body has them
            return Trained({"w": np.array([0, 1, 2], np.float32) * (1 + len(X) / 20)}, lambda _: codes)

    movement = mean_movement(Moving(), FEATURES, CODES, [(0, 1), (2, 3)], seed=0)
    assert movement["w"].tolist() == [0, 4, 16]
    assert GuideRule().of(movement)["w"].tolist() == [0, 0.25, 1]
