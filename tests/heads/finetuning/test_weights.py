"""A tail's class weights count images in the loss as if the rare ones were there more often."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from headstart.heads.finetuning import TailClassifier
from headstart.heads.finetuning.training import loss_of

Y = np.array([0] * 24 + [1] * 6)
X = (np.random.default_rng(0).normal(size=(30, 6)) + 0.8 * Y[:, None]).astype(np.float32)


def fitted(X: Any, y: Any, **params: Any) -> TailClassifier:
    torch.manual_seed(0)
    network = nn.Sequential()
    network.add_module("fc", nn.Linear(6, 2))
    given: dict[str, Any] = {"epochs": 4, "batch_size": 1000, "validation_fraction": 0.0, "learning_rate": 0.1}
    return TailClassifier(network, ["fc"], **(given | params)).fit(X, y)


def test_a_weight_is_as_if_the_images_of_a_class_were_there_so_often() -> None:
    often = np.concatenate([np.arange(24), np.repeat(np.arange(24, 30), 4)])
    repeated = fitted(X[often], Y[often])
    for weight in ({0: 1.0, 1: 4.0}, "balanced"):
        weighed = fitted(X, Y, class_weight=weight)
        np.testing.assert_allclose(weighed.weights_[0], repeated.weights_[0], atol=1e-6)
        assert weighed.history_[0]["loss"] == pytest.approx(repeated.history_[0]["loss"], rel=1e-5)
    assert np.abs(fitted(X, Y).weights_[0] - repeated.weights_[0]).max() > 0.01


def test_weights_find_more_of_the_rare_class() -> None:
    plain, weighed = fitted(X, Y, epochs=30), fitted(X, Y, epochs=30, class_weight="balanced")
    found = [(one.predict(X)[Y == 1] == 1).mean() for one in (plain, weighed)]
    assert found[1] > found[0]


def test_equal_weights_are_none() -> None:
    weighed = fitted(X, Y, class_weight={0: 2.0, 1: 2.0})
    np.testing.assert_allclose(weighed.weights_[0], fitted(X, Y).weights_[0], atol=1e-6)


def test_a_linear_start_is_weighed_alike() -> None:
    plain = fitted(X, Y, start="linear", epochs=1, learning_rate=1e-12)
    weighed = fitted(X, Y, start="linear", epochs=1, learning_rate=1e-12, class_weight="balanced")
    assert weighed.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.05


def test_a_batch_with_few_rare_images_counts_for_less() -> None:
    logits, counted = torch.zeros(4, 2), torch.tensor([0.5, 2.0])
    few, many = (float(loss_of(logits, torch.tensor(codes), counted)) for codes in ([0, 0, 0, 1], [1, 1, 1, 0]))
    assert few == pytest.approx(np.log(2) * 3.5 / 4)
    assert many == pytest.approx(np.log(2) * 6.5 / 4)
