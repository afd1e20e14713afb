"""Images of the source weighed by how much they look as if they were of the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.transfer.adaptation.alignment import Aligned
from headstart.heads.transfer.adaptation.domains import tell_apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.heads.transfer.adaptation.domains import Domains

    Doubles = NDArray[np.float64]

CLIP = 10.0
"""Largest weight; their mean is near 1."""


def importance_weights(probability: Doubles, n_source: int, *, clip: float = CLIP) -> Doubles:
    """Return p / (1 - p) · n_source / n_target of each image of the source, (n_source,), at most `clip`.

    That is how much more frequent such an image is in the target, if p is right: what covariate shift or a biased
    choice of images did to the source, the weights undo, where the source has such images at all.

    Parameters
    ----------
    probability : float64 ndarray of shape (n_source + n_target,)
        Of the target, each by a fit without the image.
    n_source : int
    clip : float

    References
    ----------
    Bickel, Brückner & Scheffer, "Discriminative learning under covariate shift", JMLR 10, 2009; Shimodaira, "Improving
    predictive inference under covariate shift by weighting the log-likelihood function", JSPI 90, 2000.
    """
    p = np.clip(probability[:n_source], 0.0, 1 - 1e-12)
    return np.asarray(np.minimum(p / (1 - p) * n_source / (len(probability) - n_source), clip))


def effective_size(weights: Doubles) -> float:
    """Return (Σ w)² / Σ w²: as many images, all counting alike, would say as much (Kish)."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def weigh(domains: Domains, *, clip: float = CLIP, seed: int = 0) -> Aligned:
    """Leave both domains where they are, and weigh the source's images by a cross-fitted classifier of domains."""
    apart = tell_apart(domains.source, domains.target, domains.groups, seed=seed)
    weights = importance_weights(apart.probability, len(domains.source), clip=clip)
    source = np.asarray(domains.source, np.float64)
    return Aligned(source=source, weights=weights, centre=np.zeros(source.shape[1]))
