"""A tail on augmented views: one is drawn for each image and epoch, and an image that chooses is looked at as it is."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from headstart.heads.finetuning import TailClassifier

N, K = 120, 4
Y = np.arange(N) % 2
_CENTRES = np.array([[-1.0, 0.5], [1.0, -0.5]])
_NOISE = np.random.default_rng(0).normal(0, 0.4, (N, K, 2))
ROWS = (_CENTRES[Y][:, None] + _NOISE).reshape(N * K, 2).astype(np.float32)
EPOCHS = 40


class Recorded:
    """Rows that keep which of them were read, batch by batch."""

    def __init__(self, rows: Any) -> None:
        self.rows, self.read = rows, list[list[int]]()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, numbers: Any) -> Any:
        self.read.append(np.asarray(numbers).tolist())
        return self.rows[numbers]


def tail(**given: Any) -> TailClassifier:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    options = {"epochs": EPOCHS, "batch_size": 108, "patience": EPOCHS, "schedule": "constant", "views": K}
    return TailClassifier(network, ["0", "2"], **(options | given))


def test_one_view_is_drawn_for_each_image_and_epoch_and_the_plain_one_chooses() -> None:
    rows = Recorded(ROWS)
    tail().fit(rows, Y)
    batches = [numbers for numbers in rows.read if len(numbers) > 1]
    trained, chosen = batches[0::2], batches[1::2]  # a batch of an epoch holds all that are trained on
    assert len(trained) == len(chosen) == EPOCHS
    images = {row // K for row in trained[0]}
    assert len(images) == 108
    for numbers in trained:
        assert sorted(row // K for row in numbers) == sorted(images)
    for numbers in chosen:
        assert numbers == chosen[0]
        assert {row % K for row in numbers} == {0}
    assert not images & {row // K for row in chosen[0]}
    views = np.array([[row % K for row in sorted(numbers)] for numbers in trained])
    assert [len(set(of_image)) for of_image in views.T.tolist()] == [K] * 108
    np.testing.assert_allclose(np.bincount(views.ravel()) / views.size, 1 / K, atol=0.03)


def test_views_that_are_all_alike_train_as_one_does() -> None:
    one = tail(views=1).fit(ROWS[::K], Y)
    alike = tail().fit(ROWS[::K].repeat(K, axis=0), Y)
    assert all(np.array_equal(*pair) for pair in zip(one.weights_, alike.weights_, strict=True))
    other = tail().fit(ROWS, Y)
    assert not np.array_equal(one.weights_[0], other.weights_[0])


class Kept:
    """A checkpoint in memory; after so many it ends the process."""

    def __init__(self, last: int) -> None:
        self.arrays, self.left = None, last

    def load(self) -> Any:
        return self.arrays

    def save(self, arrays: Any) -> None:
        self.arrays, self.left = {name: np.array(values) for name, values in arrays.items()}, self.left - 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_killed_and_gone_on_with_it_has_seen_the_same_views() -> None:
    whole, kept = tail().fit(ROWS, Y), Kept(7)
    with pytest.raises(KeyboardInterrupt):
        tail(checkpoint=kept).fit(ROWS, Y)
    again = tail(checkpoint=kept).fit(ROWS, Y)
    assert again.history_ == whole.history_
    assert all(np.array_equal(*pair) for pair in zip(whole.weights_, again.weights_, strict=True))


def test_a_linear_start_is_fitted_on_the_plain_images() -> None:
    rows = Recorded(ROWS)
    tail(start="linear").fit(rows, Y)
    first = next(numbers for numbers in rows.read if len(numbers) > 1)
    assert {row % K for row in first} == {0}


def test_rows_that_are_not_so_many_views_of_each_image_are_refused() -> None:
    with pytest.raises(ValueError, match="480 rows of 120 images, expected 3 of each"):
        tail(views=3).fit(ROWS, Y)
