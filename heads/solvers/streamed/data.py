"""Input of every streamed head, and the stock scalers that it makes of sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from headstart.heads.estimators import make_dummy, weights_of_counts
from headstart.heads.solvers.sums import SAMPLE_BYTES, Moments, Parts, PartSums, Sample, Stream, draw_sample, sum_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from headstart.heads.estimators import ClassWeight

    Singles = NDArray[np.float32]
    Fitted = list[list[Any]]


MOST_SAMPLED = 20_000
"""Images that temperatures are fitted on."""


@dataclass(frozen=True, kw_only=True)
class StreamedData:
    """Images to fit on, however many.

    Parameters
    ----------
    stream : Stream
    codes : int ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1.
    n_classes : int
    parts : Parts
    sample : Sample
        Of the images that some fit uses.
    sums : PartSums
    """

    stream: Stream
    codes: NDArray[np.intp]
    n_classes: int
    parts: Parts
    sample: Sample
    sums: PartSums

    @property
    def n_fits(self) -> int:
        """How many times a head is fitted."""
        return len(self.parts.fits)

    def moments(self, fit: int) -> Moments:
        """Return the moments that standardise the features of a fit."""
        return self.sums.moments(self.parts.fits[fit])

    def counts(self, fit: int) -> NDArray[np.intp]:
        """Return how many images of each class a fit has, (n_classes,)."""
        return np.asarray(self.sums.counts[self.parts.fits[fit]].sum(axis=0).astype(np.intp))

    def present(self, fit: int) -> NDArray[np.intp]:
        """Return the classes that a fit knows.

        Raises
        ------
        ValueError
            There is a single one.
        """
        found = np.flatnonzero(self.counts(fit))
        if len(found) < 2:
            raise ValueError(f"fold {fit + 1} needs at least two classes to fit on, found one: {found[0]!r}")
        return found

    def sampled(self, fit: int) -> tuple[Singles, NDArray[np.intp]]:
        """Return features of the sample's images of a fit, and each one's place among the classes `present`.

        There are `MOST_SAMPLED` at most: one number is fitted on them, in arrays of float64.
        """
        rows = self.sample.block.rows
        here = np.flatnonzero(self.parts.fits[fit][self.parts.of_image[rows]])
        if len(here) > MOST_SAMPLED:
            here = here[np.linspace(0, len(here) - 1, MOST_SAMPLED).astype(np.intp)]
        return self.sample.block.features[here], np.searchsorted(self.present(fit), self.codes[rows[here]])


def gather(
    stream: Stream,
    codes: NDArray[np.intp],
    n_classes: int,
    parts: Parts,
    *,
    with_gram: bool,
    class_weight: ClassWeight = None,
    sample_bytes: int = SAMPLE_BYTES,
) -> StreamedData:
    """Draw the sample, and go through all images once for the sums; see `sum_parts`."""
    sample = draw_sample(stream, parts.rows, sample_bytes)
    of_parts = [np.bincount(codes[parts.of_image == part], minlength=n_classes) for part in range(parts.fits.shape[1])]
    weights = weights_of_counts(class_weight, parts.fits.astype(np.intp) @ np.stack(of_parts))
    sums = sum_parts(stream, codes, n_classes, parts, sample, with_gram=with_gram, weights=weights)
    return StreamedData(stream=stream, codes=codes, n_classes=n_classes, parts=parts, sample=sample, sums=sums)


def scaler_of(data: StreamedData, moments: Moments, *, with_std: bool = True) -> StandardScaler:
    """Return the scaler that scikit-learn would have fitted."""
    scaler = StandardScaler(with_std=with_std)
    scaler.n_features_in_ = data.stream.n_features
    scaler.n_samples_seen_ = np.int64(moments.n_images)
    scaler.mean_ = moments.mean + data.sums.centre
    scaler.var_ = moments.variance if with_std else None
    scaler.scale_ = moments.scale if with_std else None
    return scaler


def stream_dummy(data: StreamedData, grid: Sequence[Mapping[str, Any]], seed: int) -> Fitted:
    """Return the floor, which needs the classes' counts alone, fitted for each choice and each fit."""

    def fitted(fit: int, params: Mapping[str, Any]) -> Any:
        counts = data.counts(fit)
        present = np.flatnonzero(counts)
        nothing = np.zeros((len(present), data.stream.n_features))
        return make_dummy(params, seed).fit(nothing, present, sample_weight=counts[present])

    return [[fitted(fit, params) for fit in range(data.n_fits)] for params in grid]
