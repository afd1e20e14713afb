"""Networks whose features hide the domain: schedule, reversed gradient, loss, and what they learn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart.heads.errors import DataError
from headstart.heads.saving import load_model, save_model
from headstart.heads.transfer.adaptation import Domains
from headstart.heads.transfer.adaptation.networks import (
    NetworkRecipe,
    Reversal,
    _batches,
    correlation_distance,
    network_candidates,
    reversal_strength,
    train_network,
)


@pytest.fixture(scope="module")
def two() -> Domains:
    """Two classes in the first feature; the domains are far apart in the second, which has nothing to do with them."""
    draw = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = draw.normal(size=(120, 4)).astype(np.float32)
    X[:, 0] += 4 * y
    X[60:, 1] += 6
    return Domains(source=X[:60], y=y[:60], target=X[60:], groups=np.arange(120), n_classes=2)


def test_the_strength_of_reversal_follows_the_schedule() -> None:
    assert reversal_strength(0.0) == 0.0
    for progress in (0.1, 0.25, 0.5, 1.0):
        assert reversal_strength(progress) == pytest.approx(2 / (1 + np.exp(-10 * progress)) - 1, abs=1e-12)
    assert reversal_strength(0.1) == pytest.approx(0.46211716, abs=1e-8)
    assert reversal_strength(1.0) == pytest.approx(0.99990920, abs=1e-8)


def test_reversal_is_the_identity_and_turns_the_gradient_round() -> None:
    features = torch.tensor([[1.0, -2.0], [3.0, 0.5]], requires_grad=True)
    given = torch.tensor([[0.25, 1.0], [-2.0, 4.0]])
    passed = Reversal.apply(features, 0.3)
    assert torch.equal(passed, features)
    passed.backward(given)
    assert features.grad is not None
    torch.testing.assert_close(features.grad, -0.3 * given)


def test_the_features_climb_what_the_judge_descends() -> None:
    def gradients(*, turned: bool) -> list[torch.Tensor]:
        feature, judge = (torch.tensor([[one]], requires_grad=True) for one in (0.7, 1.3))
        hidden = torch.tensor([[2.0]]) @ feature
        score = (Reversal.apply(hidden, 0.5) if turned else hidden) @ judge
        torch.nn.functional.softplus(score).sum().backward()
        return [feature.grad, judge.grad]  # type: ignore[list-item]  # just made

    (feature, judge), (turned, own) = gradients(turned=False), gradients(turned=True)
    torch.testing.assert_close(turned, -0.5 * feature)
    torch.testing.assert_close(own, judge)


def test_the_distance_of_correlations_is_deep_corals_formula() -> None:
    draw = np.random.default_rng(1)
    source, target = draw.normal(size=(30, 5)), draw.normal(size=(20, 5)) @ draw.normal(size=(5, 5))
    found = correlation_distance(torch.tensor(source), torch.tensor(target))

    def covariance(D: np.ndarray) -> np.ndarray:  # equations 2 and 3 of the paper
        ones = np.ones((1, len(D)))
        return (D.T @ D - (ones @ D).T @ (ones @ D) / len(D)) / (len(D) - 1)

    wanted = np.linalg.norm(covariance(source) - covariance(target), "fro") ** 2 / (4 * 5**2)
    assert float(found) == pytest.approx(wanted, rel=1e-10)
    assert float(correlation_distance(torch.tensor(source), torch.tensor(source + 3))) == pytest.approx(0, abs=1e-20)


def test_every_image_comes_once_before_any_comes_again() -> None:
    drawn = torch.cat(list(_batches(200, 6, torch.Generator().manual_seed(0)))[:3])
    assert len(drawn) == len(set(drawn.tolist())) == 192
    few = list(_batches(5, 4, torch.Generator().manual_seed(0)))
    assert [sorted(one.tolist()) for one in few] == [list(range(5))] * 4


@pytest.mark.parametrize("kind", ["none", "adversarial", "correlation"])
def test_a_network_learns_the_sources_classes_and_is_saved_like_any_perceptron(
    two: Domains, kind: Any, tmp_path: Path
) -> None:
    model = train_network(NetworkRecipe(kind=kind, steps=60, learning_rate=3e-3), two, np.arange(60))
    assert (model.predict(two.source) == two.y).mean() > 0.95
    np.testing.assert_allclose(model.predict_proba(two.target).sum(axis=1), 1, atol=1e-6)
    key = {"backbone": "x", "weights": "y", "taps": ["t"], "preprocessing": {}, "precision": "fp32", "dtype": "float32"}
    card = {"class_names": ["a", "b"], "head": "mlp", "params": {}, "embedding": key, "tap": "t", "scores": {}}
    save_model(tmp_path / "model", model, {**card, "weights_name": "y", "weights_source": "y"})
    again, _ = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(two.target), model.predict_proba(two.target))


def test_what_draws_the_domains_together_does_so(two: Domains) -> None:
    def gap(kind: Any, weight: float) -> float:
        recipe = NetworkRecipe(kind=kind, weight=weight, steps=200)
        model = train_network(recipe, two, np.arange(60))
        coefs, bias = model[-1].coefs_[0], model[-1].intercepts_[0]
        source, target = (np.maximum(model[0].transform(X) @ coefs + bias, 0) for X in (two.source, two.target))
        if kind == "correlation":
            return float(correlation_distance(torch.tensor(source), torch.tensor(target)))
        return float(np.linalg.norm(source.mean(axis=0) - target.mean(axis=0)))

    assert gap("adversarial", 3.0) < 0.8 * gap("adversarial", 0.0)
    assert gap("correlation", 10.0) < 0.7 * gap("correlation", 0.0)


def test_labels_of_left_out_images_judge_and_do_not_train(two: Domains) -> None:
    folds = [(np.arange(0, 30), np.arange(30, 60)), (np.arange(30, 60), np.arange(0, 30))]
    (one,) = network_candidates("none", [{"learning_rate": 3e-3, "steps": 60}], two, folds, 0)
    assert np.mean(one.right) > 0.9
    wrong = replace(two, y=np.r_[two.y[:30], 1 - two.y[30:]])
    (other,) = network_candidates("none", [{"learning_rate": 3e-3, "steps": 60}], wrong, folds, 0)
    assert np.mean(other.right) < 0.1


def test_a_training_that_diverges_says_what_to_do(two: Domains) -> None:
    with pytest.raises(DataError, match=r"diverged at learning rate 1e\+38; lower it"):
        train_network(NetworkRecipe(kind="none", learning_rate=1e38, steps=5), two, np.arange(60))
