"""The tail as an estimator: it learns as the whole network would, goes on after a kill, and is saved without pickle."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.small_networks import NETWORKS, small_backbone, some_images
from torch import nn

from headstart.extractors.network import Tail, cut_before
from headstart.extractors.network.taps import TapReader
from headstart.heads.errors import DataError, ModelFileError
from headstart.heads.finetuning import TailClassifier
from headstart.heads.finetuning.schedules import Rates, plan_phases
from headstart.heads.finetuning.training import TailRecipe, as_batch, make_optimizer, parameters_of, take_step
from headstart.heads.saving import load_model, save_model


def recipe(**changes: Any) -> TailRecipe:
    given: dict[str, Any] = {
        "rates": Rates(learning_rate=0.05, layer_decay=0.3),
        "optimizer": "sgd",
        "momentum": 0.0,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
        "epochs": 3,
        "batch_size": 4,
        "patience": 3,
        "unfreeze": "all",
        "batch_norm": "eval",
        "seed": 0,
    }
    return TailRecipe(**(given | changes))


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize(
    ("optimizer", "momentum", "decay"), [("sgd", 0.0, 0.0), ("sgd", 0.9, 0.01), ("adamw", 0.0, 0.01)]
)
def test_a_step_on_the_tail_is_the_step_of_the_whole_network_with_its_trunk_frozen(
    family: str, optimizer: str, momentum: float, decay: float
) -> None:
    # In one memory layout: AdamW's first steps make of gradients that are rounding alone steps of a whole rate.
    images = some_images(8).contiguous(memory_format=torch.channels_last)
    backbone, codes = small_backbone(family), torch.arange(8) % 7
    tail = cut_before(backbone, NETWORKS[family][2])
    how = recipe(optimizer=optimizer, momentum=momentum, weight_decay=decay)
    own, whole = copy.deepcopy(tail.module), copy.deepcopy(backbone.module)
    with torch.no_grad(), TapReader(backbone, [tail.tap]) as read:
        rows = read(images)[str(tail.tap)]
    trained = set(dict(own.named_parameters()))
    for network in (own, whole):
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in trained)
    for network, given in ((own, as_batch(rows.numpy())), (whole, images)):
        stepping = make_optimizer(network, tail.blocks, how)
        for _ in range(2):  # the second one with momentum
            take_step(network, stepping, given, codes)
    before, after = dict(tail.module.named_parameters()), dict(own.named_parameters())
    of_whole = dict(whole.named_parameters())
    with torch.no_grad():
        assert any((after[name] - before[name]).abs().max() > 1e-5 for name in trained)
        assert max(float((after[name] - of_whole[name]).abs().max()) for name in trained) <= 1e-6


def test_rates_fall_from_block_to_block_and_single_ones_can_be_given() -> None:
    blocks = ("low", "mid", "top")
    assert Rates(learning_rate=1.0, layer_decay=0.5).at_first(blocks) == {"low": 0.25, "mid": 0.5, "top": 1.0}
    assert Rates(learning_rate=1.0, of_blocks={"mid": 7.0}).at_first(blocks) == {"low": 1.0, "mid": 7.0, "top": 1.0}
    step = Rates(learning_rate=1.0, step_size=2, warmup=1)
    assert [step.factor(epoch, 4, first=True) for epoch in range(4)] == pytest.approx([0.5, 1.0, 0.1, 0.1])
    cosine = Rates(learning_rate=1.0, schedule="cosine")
    assert [cosine.factor(epoch, 2, first=False) for epoch in range(2)] == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize(
    ("n_epochs", "phases"),
    [
        (9, [(("top",), 3), (("mid", "top"), 3), (("low", "mid", "top"), 3)]),
        (10, [(("top",), 3), (("mid", "top"), 3), (("low", "mid", "top"), 4)]),
        (2, [(("top",), 1), (("low", "mid", "top"), 1)]),
        (1, [(("top",), 1)]),
    ],
)
def test_blocks_are_unfrozen_from_the_classifier_down(n_epochs: int, phases: list[Any]) -> None:
    found = plan_phases(("low", "mid", "top"), n_epochs, "progressive")
    assert [(phase.blocks, phase.n_epochs) for phase in found] == phases


class Problem:
    """Rows of three classes that a small tail can learn, and the tail."""

    def __init__(self) -> None:
        backbone = small_backbone("mobilenet")
        self.tail: Tail = cut_before(backbone, "features.17").with_classes(3)
        generator = np.random.default_rng(0)
        self.y = np.arange(24) % 3
        directions = generator.normal(size=(3, 40, 1, 1))
        self.X = (directions[self.y] + 0.5 * generator.normal(size=(24, 40, 2, 2))).astype(np.float16)

    def classifier(self, **params: Any) -> TailClassifier:
        given = {"learning_rate": 0.02, "epochs": 4, "batch_size": 8, "step_size": 3}
        return TailClassifier(self.tail.module, self.tail.blocks, **(given | params))


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem()


def test_a_tail_learns_and_leaves_the_network_that_it_was_given(problem: Problem) -> None:
    before = copy.deepcopy(problem.tail.module.state_dict())
    how = {"optimizer": "adamw", "learning_rate": 0.003, "epochs": 15, "schedule": "constant"}
    head = problem.classifier(**how).fit(problem.X, problem.y)
    assert (head.predict(problem.X) == problem.y).all()
    assert head.history_[-1]["loss"] < head.history_[0]["loss"]
    after = problem.tail.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(problem: Problem) -> None:
    first, again, other = (
        problem.classifier(random_state=seed, epochs=2).fit(problem.X, problem.y) for seed in (1, 1, 2)
    )
    assert all(np.array_equal(one, two) for one, two in zip(first.weights_, again.weights_, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first.weights_, other.weights_, strict=True))


def test_batch_norms_keep_their_statistics_unless_that_is_asked(problem: Problem) -> None:
    name = "features.18.1.running_mean"
    kept = problem.classifier(epochs=1).fit(problem.X, problem.y).state()
    followed = problem.classifier(epochs=1, batch_norm="train").fit(problem.X, problem.y).state()
    before = problem.tail.module.state_dict()
    assert torch.equal(kept[name], before[name])
    assert not torch.equal(followed[name], before[name])


def test_the_first_phase_of_progressive_unfreezing_moves_the_classifier_alone(problem: Problem) -> None:
    head = problem.classifier(epochs=1, unfreeze="progressive").fit(problem.X, problem.y)
    before, after = problem.tail.module.state_dict(), head.state()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        "classifier.1.weight",
        "classifier.1.bias",
    }


def test_a_linear_start_is_the_logistic_regression_on_the_penultimate_features(problem: Problem) -> None:
    head = problem.classifier(start="linear", epochs=1, learning_rate=1e-12).fit(problem.X, problem.y)
    assert (head.predict(problem.X) == problem.y).all()
    assert head.history_[0]["loss"] < 0.05


@pytest.mark.parametrize(
    ("classifier", "reason"),
    [
        (nn.Linear(4, 2, bias=False), "fc has no bias, which a linear head needs"),
        (nn.Sequential(nn.Linear(4, 2)), "fc is no linear layer on one row an image"),
    ],
)
def test_a_classifier_that_no_linear_head_fits_into_cannot_start_linear(classifier: nn.Module, reason: str) -> None:
    network = nn.Sequential()
    network.add_module("fc", classifier)
    X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    with pytest.raises(DataError, match=f"^{reason}, so that it cannot start linear; start fresh$"):
        TailClassifier(network, ["fc"], start="linear", epochs=1).fit(X, np.arange(8) % 2)


class Killed(Exception):  # noqa: N818 - a signal, not an error
    """Ends a training where a kill would."""


class InMemory:
    """Keeps what it is given, and ends the process's training behind some epochs."""

    def __init__(self, *kills: int) -> None:
        self.kills, self.arrays, self.saved = list(kills), None, 0

    def load(self) -> Any:
        return self.arrays

    def save(self, arrays: Any) -> None:
        self.arrays, self.saved = {name: np.array(values) for name, values in arrays.items()}, self.saved + 1
        if self.saved in self.kills:
            raise Killed


@pytest.mark.parametrize("params", [{"optimizer": "adamw"}, {"unfreeze": "progressive", "layer_decay": 0.5}])
def test_killed_at_three_moments_it_ends_with_the_weights_of_one_that_was_not(
    problem: Problem, params: dict[str, Any]
) -> None:
    given = {"epochs": 6, "patience": 6, "random_state": 3, **params}
    undisturbed = problem.classifier(**given).fit(problem.X, problem.y)
    place = InMemory(1, 3, 4)
    for _ in range(3):
        with pytest.raises(Killed):
            problem.classifier(**given, checkpoint=place).fit(problem.X, problem.y)
    head = problem.classifier(**given, checkpoint=place).fit(problem.X, problem.y)
    assert place.saved == 6  # no epoch twice
    assert head.history_ == undisturbed.history_
    assert all(np.array_equal(one, two) for one, two in zip(head.weights_, undisturbed.weights_, strict=True))


def test_another_training_does_not_go_on_from_a_checkpoint(problem: Problem) -> None:
    place = InMemory()
    problem.classifier(epochs=2, checkpoint=place).fit(problem.X, problem.y)
    head = problem.classifier(epochs=2, checkpoint=place, learning_rate=0.01).fit(problem.X, problem.y)
    plain = problem.classifier(epochs=2, learning_rate=0.01).fit(problem.X, problem.y)
    assert all(np.array_equal(one, two) for one, two in zip(head.weights_, plain.weights_, strict=True))


def test_a_loss_that_is_not_finite_is_told_with_epoch_and_rate(problem: Problem) -> None:
    with pytest.raises(DataError, match=r"diverged in epoch \d+: the loss is nan at a learning rate of 1e\+20; lower"):
        problem.classifier(learning_rate=1e20).fit(problem.X, problem.y)


def test_one_class_is_refused_and_a_batch_larger_than_the_images_is_none(problem: Problem) -> None:
    with pytest.raises(DataError, match="at least two classes"):
        problem.classifier().fit(problem.X, np.zeros(24, int))
    assert problem.classifier(batch_size=500, epochs=1).fit(problem.X[:4], problem.y[:4]).best_epoch_ == 1


@pytest.mark.parametrize("params", [{"epochs": 0}, {"learning_rate": 0.0}, {"block_rates": {"layer9": 1.0}}])
def test_a_parameter_out_of_its_range_is_refused(problem: Problem, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|no block 'layer9'"):
        problem.classifier(**params).fit(problem.X, problem.y)


def test_rows_are_read_a_batch_at_a_time(problem: Problem) -> None:
    class Counted:
        shape, most = problem.X.shape, 0

        def __len__(self) -> int:
            return len(problem.X)

        def __getitem__(self, numbers: Any) -> Any:
            self.most = max(self.most, len(numbers))
            return problem.X[numbers]

    rows = Counted()
    head = problem.classifier(epochs=1).fit(rows, problem.y)
    head.predict(rows)
    assert rows.most == 8


CARD: dict[str, Any] = {
    "class_names": ["a", "b", "c"],
    "head": "tail",
    "params": {},
    "embedding": {
        "backbone": "x",
        "weights": "y",
        "taps": ["layer3:map"],
        "preprocessing": {},
        "precision": "fp32",
        "dtype": "float16",
    },
    "tap": "layer3:map",
    "weights_name": "y",
    "weights_source": "y",
    "scores": {},
}


def test_a_tail_is_saved_without_pickle_and_says_the_same_once_it_has_its_network(
    problem: Problem, tmp_path: Path
) -> None:
    head = problem.classifier(epochs=1).fit(problem.X, problem.y)
    save_model(tmp_path / "model", head.without_network(), CARD)
    loaded, _ = load_model(tmp_path / "model")
    with pytest.raises(DataError, match="without its network"):
        loaded.predict(problem.X)
    loaded.bind(copy.deepcopy(problem.tail.module))
    assert np.array_equal(loaded.predict_proba(problem.X), head.predict_proba(problem.X))


def test_a_tail_of_another_network_is_refused(problem: Problem) -> None:
    head = problem.classifier(epochs=1).fit(problem.X, problem.y)
    with pytest.raises(ModelFileError, match="of another network"):
        head.bind(nn.Linear(2, 2))
    assert list(parameters_of(problem.tail.module, "classifier.1"))
