"""95 % intervals of one candidate's metrics after another's, over the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.intervals import (
    CONFIDENCE,
    cluster_variance,
    effective_size,
    mean_size,
    quantile,
    recall_variance,
    wilson,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]


class MetricIntervals:
    """What the intervals of all candidates have in common; `heads.evaluate.score_predictions` says how they are made.

    Parameters
    ----------
    true : sparse array of shape (n_units, n_classes)
        Images of each class in each unit, an image or a group, that is drawn as one.
    """

    def __init__(self, true: Any) -> None:
        self._sizes = np.asarray(true.sum(axis=1), dtype=np.float64)
        self._counts = np.asarray(true.sum(axis=0), dtype=np.float64)
        self._n_units, self._n_images = len(self._sizes), float(self._sizes.sum())
        self._grouped = self._n_units < self._n_images
        self._reach = quantile(self._n_units if self._grouped else None)
        self._sizes_of_means = mean_size(true)

    def ends(
        self, values: Mapping[str, float | None], right: Any, drawn: Mapping[str, Doubles]
    ) -> dict[str, tuple[float, float]]:
        """Return the interval of every metric.

        Parameters
        ----------
        values : mapping of str to float or None
            Every metric over all images.
        right : sparse array of shape (n_units, n_classes)
            Images of each class that are right.
        drawn : mapping of str to float64 ndarray of shape (n_resamples,)
            Every metric over resamples of the units.
        """
        n_units, n_images = self._n_units, self._n_images
        # Resamples of G groups vary (G-1) / G as much as new sets of G groups do.
        variances = {name: float(drawn[name].var()) * n_units / max(1, n_units - 1) for name in drawn}
        if not self._grouped:
            variances["balanced_accuracy"] = recall_variance(np.asarray(right.sum(axis=0)), self._counts)
        accuracy = float(values["accuracy"] or 0.0)
        if self._grouped:
            spread = cluster_variance(np.asarray(right.sum(axis=1)), self._sizes)
        else:
            spread = accuracy * (1 - accuracy) / n_images
        where_none = n_images**2 / float((self._sizes**2).sum())
        effective = {"accuracy": effective_size(accuracy, spread, n_images, where_none)}
        for name in ("balanced_accuracy", "macro_f1"):
            effective[name] = effective_size(float(values[name] or 0.0), variances[name], *self._sizes_of_means)
        tails = np.percentile(drawn["log_loss"], [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
        ends = {name: wilson(float(values[name] or 0.0), size, self._reach) for name, size in effective.items()}
        return {**ends, "log_loss": (float(tails[0]), float(tails[1]))}
