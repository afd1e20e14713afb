"""Views of an image as rows that follow each other: which of them are fitted on, and which are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.intp]

_Values = TypeVar("_Values", bound=np.generic)


@dataclass(frozen=True)
class Views:
    """How many rows of features an image has: image i has the rows n i to n i + n - 1, the first of which is view 0.

    Splits are of images. So all rows of an image are on its side of every one, whatever is drawn.

    Parameters
    ----------
    n : int
        Rows an image.
    average : bool
        An image is scored by the mean over all its views, and not by view 0.
    """

    n: int = 1
    average: bool = False

    @property
    def n_scored(self) -> int:
        """Rows by which an image is scored."""
        return self.n if self.average else 1

    def to_fit(self, images: Rows) -> Rows:
        """Return the rows of all views of these images."""
        return images if self.n == 1 else (images[:, None] * self.n + np.arange(self.n)).ravel()

    def to_score(self, images: Rows) -> Rows:
        """Return the rows by which these images are scored."""
        return self.to_fit(images) if self.average else images * self.n

    def plain(self, features: NDArray[_Values]) -> NDArray[_Values]:
        """Return the rows of view 0, of all rows."""
        return features[:: self.n]

    def labels(self, y: NDArray[_Values]) -> NDArray[_Values]:
        """Return the labels of the rows that `to_fit` gives for images with labels `y`."""
        return y if self.n == 1 else np.repeat(y, self.n)

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one value an image, of those for the rows that `to_score` gives: probabilities, or numbers."""
        return values if self.n_scored == 1 else values.reshape(-1, self.n, *values.shape[1:]).mean(axis=1)

    def joined(self, classes: Rows, probability: NDArray[np.float64] | None) -> tuple[Rows, NDArray[np.float64] | None]:
        """Return class and probabilities of each image, of those of the rows that `to_score` gives.

        The class is that of the highest mean probability. Without probabilities each view has a vote, and of classes
        with as many that of the earliest view is taken.
        """
        if self.n_scored == 1:
            return classes, probability
        if probability is not None:
            mean = self.mean(probability)
            return mean.argmax(axis=1), mean
        votes = classes.reshape(-1, self.n)
        counts = (votes[:, :, None] == votes[:, None, :]).sum(axis=1)
        return votes[np.arange(len(votes)), counts.argmax(axis=1)], None


ONE_VIEW = Views()
"""Of images that have one row each."""


def refuse_torn(n_rows: int, views: int) -> None:
    """Raise ValueError where so many rows are no images of `views` rows each."""
    if views < 1 or n_rows % views:
        raise ValueError(f"{n_rows} rows are no images of views={views} rows each; give all views of each image")
