"""H-score: how far apart the means of classes are, by the spread of all features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.transfer.spectrum import Spectrum, decompose

if TYPE_CHECKING:
    from numpy.typing import NDArray


def h_score(X: NDArray[Any] | Spectrum, y: NDArray[Any]) -> float:
    """Return the regularised H-score: the trace of the inverse covariance times that of the classes' means.

    The covariance is shrunk as Ledoit and Wolf do; otherwise features that outnumber the images would all score the
    number of classes less one. After Ibrahim, Ponomareva and Mazumder, "Newer is not always better: Rethinking
    transferability metrics, their peculiarities, stability and performance" (2021).

    Parameters
    ----------
    X : float array of shape (n_images, n_features), or Spectrum
        The latter of centred features.
    y : int array of shape (n_images,)
        Classes from 0.
    """
    spectrum = X if isinstance(X, Spectrum) else decompose(X, centred=True)
    n, counts = len(y), np.bincount(y)
    of_class = (np.arange(len(counts))[:, None] == y) / np.sqrt(np.maximum(counts, 1) * n)[:, None]
    means = (of_class @ spectrum.vectors) * np.sqrt(spectrum.squares)  # their squares are the means' covariance
    share, variance = shrinkage(spectrum)
    spread = (1 - share) * spectrum.squares / n + share * variance
    return float((1 - share) * ((means**2).sum(axis=0) / spread).sum())


def shrinkage(spectrum: Spectrum) -> tuple[float, float]:
    """Return Ledoit and Wolf's share of a multiple of the identity, and that multiple: a column's mean variance."""
    n, d = len(spectrum.vectors), spectrum.n_columns
    variance = float(spectrum.squares.sum()) / (n * d)
    squared = float((spectrum.squares**2).sum()) / n**2
    apart = squared / d - variance**2
    noise = (float((spectrum.lengths**2).sum()) / n - squared) / (n * d)
    return (0.0 if apart <= 0 else min(noise, apart) / apart), variance
