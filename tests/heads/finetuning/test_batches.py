"""Batches of a tail: steps enough of few images, groups on one side, bfloat16, and a loss that is no longer finite."""

from typing import Any

import numpy as np
import pytest
import torch
from support.small_networks import small_backbone
from torch import nn

from headstart.extractors.network import cut_before
from headstart.heads.errors import DataError
from headstart.heads.finetuning import TailClassifier, training
from headstart.heads.finetuning.held_out import hold_out_whole


class Small(nn.Module):
    """A tail of two layers, with a batch norm between."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.norm, self.top = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.top(self.norm(self.low(rows)).relu())


def made(n_images: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    y = np.arange(n_images) % 3
    return (np.eye(3, 6)[y] * 3 + generator.normal(size=(n_images, 6))).astype(np.float32), y


def head(**params: Any) -> TailClassifier:
    torch.manual_seed(0)
    given = {"epochs": 5, "batch_size": 8, "learning_rate": 0.05, "schedule": "constant"}
    return TailClassifier(Small().eval(), ["low", "norm", "top"], **(given | params))


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The images of each step that is taken."""
    taken: list[int] = []
    step = training.take_step

    def counted(network: Any, optimizer: Any, rows: Any, codes: Any, **named: Any) -> Any:
        taken.append(len(codes))
        return step(network, optimizer, rows, codes, **named)

    monkeypatch.setattr(training, "take_step", counted)
    return taken


@pytest.mark.parametrize(("min_steps", "n_passes", "n_steps"), [(0, 1, 10), (10, 1, 10), (11, 2, 20), (100, 10, 100)])
def test_of_few_images_an_epoch_goes_over_all_as_often_as_the_steps_ask(
    sizes: list[int], min_steps: int, n_passes: int, n_steps: int
) -> None:
    X, y = made(9)
    found = head(min_steps=min_steps).fit(X, y)
    assert (found.n_passes_, len(sizes), len(found.history_)) == (n_passes, n_steps, 5)


def test_the_passes_of_an_epoch_are_in_different_orders_and_the_first_is_as_it_was_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders: list[list[int]] = []
    shuffled = training.Training._shuffled

    def kept(self: Any, epoch: int, number: int) -> Any:
        orders.append(shuffled(self, epoch, number).tolist())
        return np.array(orders[-1])

    monkeypatch.setattr(training.Training, "_shuffled", kept)
    X, y = made(9)
    head(min_steps=30, epochs=5).fit(X, y)
    assert len({tuple(order) for order in orders}) == len(orders) == 15
    assert orders[0] == np.random.default_rng([0, 1]).permutation(9).tolist()


def test_fewer_images_than_a_batch_are_one_step(sizes: list[int]) -> None:
    X, y = made(6)
    head(batch_size=32, epochs=2).fit(X, y)
    assert sizes == [6, 6]


def test_a_batch_norm_that_follows_the_images_never_sees_one_alone(sizes: list[int]) -> None:
    X, y = made(9)
    found = head(batch_norm="train", epochs=2).fit(X, y)
    assert sizes == [9, 9]
    assert np.isfinite(found.predict_proba(X)).all()
    with pytest.raises(ValueError, match="batch_size is 1, expected at least 2 where batch norms follow"):
        head(batch_norm="train", batch_size=1).fit(X, y)


def test_a_loss_that_is_no_longer_finite_ends_the_training_and_the_epochs_before_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = made(60)
    plain = head(epochs=2).fit(X, y)
    step, taken = training.take_step, []

    def diverging(*given: Any, **named: Any) -> Any:
        taken.append(step(*given, **named))
        return taken[-1]._replace(loss=float("nan")) if len(taken) == 17 else taken[-1]

    monkeypatch.setattr(training, "take_step", diverging)
    found = head().fit(X, y)
    assert len(found.history_) == 2
    assert found.stopped_ == (
        f"training diverged in epoch 3: the loss is nan at a learning rate of 0.05; the epochs before are kept, epoch "
        f"{found.best_epoch_} of them; lower --learning-rate"
    )
    assert all(np.array_equal(one, two) for one, two in zip(found.weights_, plain.weights_, strict=True))


@pytest.mark.parametrize("where", ["a step", "validation"])
def test_where_the_first_epoch_diverges_there_is_nothing_to_keep(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = made(120)
    if where == "validation":
        monkeypatch.setattr(training.Training, "_validate", lambda _: (float("inf"), 0.3))
    rate = 1e30 if where == "a step" else 0.05
    with pytest.raises(DataError, match=r"diverged in epoch 1: the loss is (nan|inf) at a learning rate of .*; lower"):
        head(learning_rate=rate).fit(X, y)


def test_groups_are_trained_on_or_choose_the_epoch_as_a_whole() -> None:
    codes, groups = np.arange(120) % 3, np.arange(120) // 4
    fit_rows, val_rows = hold_out_whole(codes, groups, 0.1, seed=0)
    assert sorted([*fit_rows, *val_rows]) == list(range(120))
    assert not set(groups[fit_rows]) & set(groups[val_rows])
    assert 10 <= len(val_rows) <= 15
    again = hold_out_whole(codes, groups, 0.1, seed=0)
    assert np.array_equal(again[1], val_rows)
    assert not np.array_equal(hold_out_whole(codes, groups, 0.1, seed=1)[1], val_rows)


def test_without_groups_the_tenth_is_the_one_of_all_heads_and_of_one_group_none_chooses() -> None:
    codes = np.arange(120) % 3
    plain, single = (hold_out_whole(codes, groups, 0.1, 0)[1] for groups in (None, np.arange(120)))
    assert np.array_equal(plain, single)
    assert len(plain) == 12
    assert len(hold_out_whole(codes, codes, 0.1, 0)[1]) == 0  # a class has to be trained on


def test_a_tail_is_given_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = made(120)
    groups, seen = np.arange(120) // 4, []
    validate = training.Training._validate
    monkeypatch.setattr(training.Training, "_validate", lambda self: (seen.append(self._val_rows), validate(self))[1])
    head(epochs=1).fit(X, y, groups=groups)
    chosen = set(groups[seen[0]])
    assert len(seen[0]) == 4 * len(chosen)


def test_in_bfloat16_weights_stay_in_float32_and_end_close_by() -> None:
    tail = cut_before(small_backbone("mobilenet"), "features.17").with_classes(3)
    generator = np.random.default_rng(0)
    y = np.arange(24) % 3
    X = (generator.normal(size=(3, 40, 1, 1))[y] + 0.5 * generator.normal(size=(24, 40, 2, 2))).astype(np.float16)
    whole, half = (
        TailClassifier(tail.module, tail.blocks, epochs=3, batch_size=8, precision=precision).fit(X, y)
        for precision in ("fp32", "bf16")
    )
    assert {values.dtype for values in half.weights_ if values.dtype.kind == "f"} == {np.dtype(np.float32)}
    assert not all(np.array_equal(one, two) for one, two in zip(whole.weights_, half.weights_, strict=True))
    np.testing.assert_allclose(whole.predict_proba(X), half.predict_proba(X), atol=0.05)
