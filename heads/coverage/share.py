"""A share of images, with its binomial interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.scoring import quantile, wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Share:
    """A share of images, with its binomial 95 % interval (Wilson's); None of no images."""

    count: int
    of: int
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def counted(cls, hits: ArrayLike) -> Share:
        """Count the images (n_images,) of which something holds."""
        count, n_images = int(np.asarray(hits).sum()), len(np.asarray(hits))
        if not n_images:
            return cls(0, 0, None, None, None)
        value = count / n_images
        low, high = wilson(value, n_images, quantile())
        return cls(count, n_images, value, min(low, value), max(high, value))
