"""Losses of several columns: what is missing adds nothing, and what the prior's guess costs is the measure of each."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss

from headstart.heads.errors import DataError
from headstart.heads.transfer.multitask.losses import ColumnLosses, prior_loss

N_CLASSES = [3, 0, 2]
WIDTH = 3 + 1 + 2


def example(n_images: int = 40) -> tuple[torch.Tensor, np.ndarray]:
    """Features (n_images, 5) and labels of three columns, about a third of them missing."""
    rng = np.random.default_rng(0)
    labels = np.column_stack(
        [rng.integers(3, size=n_images), rng.normal(size=n_images), rng.integers(2, size=n_images)]
    )
    labels[rng.random(labels.shape) < 1 / 3] = np.nan
    return torch.tensor(rng.normal(size=(n_images, 5))), labels


def test_masked_labels_give_the_gradient_of_the_rows_that_have_one() -> None:
    X, labels = example()
    weight = torch.randn(5, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    losses = ColumnLosses(labels, N_CLASSES, "column")  # so that a column's mean has its weight
    (masked,) = torch.autograd.grad(losses.loss(X @ weight, torch.tensor(labels)), weight)
    outputs, dropped = X @ weight, torch.zeros((), dtype=torch.float64)
    for column, part in enumerate([slice(0, 3), slice(3, 4), slice(4, 6)]):
        rows = np.flatnonzero(~np.isnan(labels[:, column]))
        own = torch.tensor(labels[rows, column])
        mean = mse_loss(outputs[rows, 3], own) if column == 1 else cross_entropy(outputs[rows, part], own.long())
        dropped = dropped + losses.weights[column] * mean
    (of_rows,) = torch.autograd.grad(dropped, weight)
    torch.testing.assert_close(masked, of_rows, rtol=1e-12, atol=1e-14)


def test_a_missing_label_has_a_gradient_of_nothing_at_all() -> None:
    X, labels = example()
    outputs = torch.randn(len(X), WIDTH, generator=torch.Generator().manual_seed(2), requires_grad=True)
    losses = ColumnLosses(labels, N_CLASSES)
    (gradient,) = torch.autograd.grad(losses.loss(outputs, torch.tensor(labels, dtype=torch.float32)), outputs)
    missing = np.repeat(np.isnan(labels), [3, 1, 2], axis=1)
    assert (gradient.numpy()[missing] == 0).all()
    assert (gradient.numpy()[~missing] != 0).all()


def test_each_loss_is_a_share_of_what_the_prior_guess_costs() -> None:
    _, labels = example()
    losses = ColumnLosses(labels, N_CLASSES)
    assert losses.weights.mean() == pytest.approx(1)
    assert np.ptp(losses.weights * losses.priors) == pytest.approx(0)
    assert prior_loss(np.array([0.0, 0, 1, 1]), 3) == pytest.approx(np.log(2))
    assert prior_loss(np.array([1.0, 3]), 0) == 1
    guess = [np.nanmean(labels[:, 0] == one) for one in range(3)]
    outputs = torch.tensor(np.tile(np.log([*guess, 1, 0.5, 0.5]), (len(labels), 1)))
    shares = [np.bincount(labels[~np.isnan(labels[:, column]), column].astype(int)) for column in (0, 2)]
    outputs[:, :3], outputs[:, 4:] = (torch.tensor(np.log(counts / counts.sum())) for counts in shares)
    outputs[:, 3] = np.nanmean(labels[:, 1])
    measured = losses.measure(outputs, torch.tensor(labels))
    assert [measured[f"val_column_{column}"] for column in range(3)] == pytest.approx([1, 1, 1])
    assert measured["val_loss"] == pytest.approx(float(losses.weights @ losses.priors))


def test_columns_weigh_alike_or_labels_do() -> None:
    labels = np.column_stack([np.tile([0.0, 1], 50), np.where(np.arange(100) < 10, np.tile([0.0, 1], 50), np.nan)])
    outputs = torch.zeros(100, 4, dtype=torch.float64, requires_grad=True)
    shares = {}
    for weighting in ("column", "label"):
        loss = ColumnLosses(labels, [2, 2], weighting).loss(outputs, torch.tensor(labels))
        (gradient,) = torch.autograd.grad(loss, outputs)
        shares[weighting] = float(gradient[:, 2:].abs().sum() / gradient[:, :2].abs().sum())
    assert shares == pytest.approx({"column": 1, "label": 0.1})


def test_a_column_without_labels_here_has_no_say_in_the_epoch() -> None:
    X, labels = example()
    losses, outputs = ColumnLosses(labels, N_CLASSES), X @ torch.ones(5, WIDTH, dtype=torch.float64)
    few = torch.tensor(labels).clone()
    few[:, 1] = float("nan")
    measured = losses.measure(outputs, few)
    assert measured["val_column_1"] is None
    assert measured["val_loss"] is not None
    few[:] = float("nan")
    assert losses.measure(outputs, few)["val_loss"] is None


def test_what_cannot_be_weighed_is_told() -> None:
    with pytest.raises(DataError, match="no weighting is called 'loud'; expected label or column"):
        ColumnLosses(example()[1], N_CLASSES, "loud")
    with pytest.raises(DataError, match="not two different labels"):
        ColumnLosses(np.array([[1.0], [1.0], [np.nan]]), [2])
