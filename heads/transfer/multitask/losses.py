"""The sum of several columns' losses: missing labels are masked, and each is divided by what the prior's guess costs.

The loss of a label is the cross-entropy of classes, or the squared error of numbers. It is divided by what it is on
average when nothing is known of an image: the entropy of the classes' shares, or the variance. So every column begins
near 1 and ends near 0, whatever its number of classes or its unit, and none drowns another. The weights are then scaled
to 1 on average, so that learning rates mean what they mean to one head.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from headstart.heads.errors import DataError

WEIGHTINGS = ("label", "column")


def prior_loss(labels: NDArray[np.float64], n_classes: int) -> float:
    """Return the loss of the best guess that looks at no image: entropy in nats, or variance.

    Parameters
    ----------
    labels : float64 ndarray of shape (n_labels,)
        Classes from 0, or numbers; at least two different ones.
    n_classes : int
        0 of numbers.
    """
    if not n_classes:
        return float(labels.var())
    shares = np.bincount(labels.astype(np.intp)) / len(labels)
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


class ColumnLosses:
    """The columns' losses as one objective of training.

    Parameters
    ----------
    targets : float ndarray of shape (n_images, n_columns)
        Of the images that are trained on: classes or numbers, NaN where missing.
    n_classes : sequence of int
        Of each column; 0 of numbers.
    weighting : {"label", "column"}
        Whether all labels weigh alike, so that a column with few of them has a small say in what the trunk learns; or
        all columns over an epoch.

    Attributes
    ----------
    priors : float64 ndarray of shape (n_columns,)
        Loss of each column's prior guess.
    weights : float64 ndarray of shape (n_columns,)
        Of each column's mean loss, 1 on average over the columns.

    Raises
    ------
    DataError
        There is no such weighting, or a column has not two different labels.
    """

    def __init__(self, targets: NDArray[np.floating], n_classes: Sequence[int], weighting: str = "label") -> None:
        if weighting not in WEIGHTINGS:
            raise DataError(f"no weighting is called {weighting!r}; expected {' or '.join(WEIGHTINGS)}")
        labels = [own[~np.isnan(own)].astype(np.float64) for own in targets.T]
        if any(len(np.unique(own)) < 2 for own in labels):
            raise DataError("a label column has not two different labels to train on; label others, or leave it out")
        self.priors = np.array([prior_loss(own, n) for own, n in zip(labels, n_classes, strict=True)])
        self.weights = 1 / self.priors / (1 / self.priors).mean()
        shares = np.array([len(own) for own in labels]) / len(targets)
        self._by_label = self.weights / (shares if weighting == "column" else 1.0)
        self._ends = np.cumsum([0, *(n or 1 for n in n_classes)]).tolist()
        self._numbers = [not n for n in n_classes]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the weighted sum of the losses of a batch (n_images, n_outputs), by its images: an unbiased estimate.

        A missing label adds nothing, and nothing to any gradient.
        """
        sums = [loss.sum() for loss in self._each(outputs, targets)]
        return torch.stack([weight * one for weight, one in zip(self._by_label, sums, strict=True)]).sum() / len(
            targets
        )

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float | None]:
        """Return the weighted sum of the columns' means, and each by its number as a share of the prior's loss.

        A column without any label here has no say.
        """
        means = [float(loss.mean()) if len(loss) else None for loss in self._each(outputs, targets)]
        known = [weight * mean for weight, mean in zip(self.weights, means, strict=True) if mean is not None]
        shares = {
            f"val_column_{number}": None if mean is None else float(mean / prior)
            for number, (mean, prior) in enumerate(zip(means, self.priors, strict=True))
        }
        return {"val_loss": float(sum(known)) if known else None, "val_accuracy": None, **shares}

    def _each(self, outputs: Tensor, targets: Tensor) -> list[Tensor]:
        """Return the loss of each label that is there, (n_labels,), column by column."""
        losses = []
        for number, (start, end) in enumerate(pairwise(self._ends)):
            own = targets[:, number]
            there = ~own.isnan()
            of_column, labels = outputs[there, start:end], own[there]
            if self._numbers[number]:
                losses.append(mse_loss(of_column[:, 0], labels, reduction="none"))
            else:
                losses.append(cross_entropy(of_column, labels.long(), reduction="none"))
        return losses
