"""Source moved so that its mean and correlations, or its directions, are the target's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.heads.transfer.adaptation.domains import Domains

    Doubles = NDArray[np.float64]

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, kw_only=True)
class Aligned:
    """Both domains in one space, where a linear head is fitted on the source.

    Attributes
    ----------
    source : float64 ndarray of shape (n_fitted, k)
    rows : int ndarray of shape (n_fitted,) or None
        Images of the source that a head is fitted on; None for all.
    weights : float64 ndarray of shape (n_fitted,) or None
        How much each counts; None for all alike.
    centre : float64 ndarray of shape (n_features,)
    matrix : float64 ndarray of shape (n_features, k) or None
        An image of the target stands at (x - centre) matrix; None leaves it at x - centre.
    """

    source: Doubles
    rows: NDArray[np.intp] | None = None
    weights: Doubles | None = None
    centre: Doubles
    matrix: Doubles | None = None

    def place(self, X: NDArray[Any]) -> Doubles:
        """Return where images of the target (n_images, n_features) stand, (n_images, k)."""
        centred = np.asarray(X, np.float64) - self.centre
        return centred if self.matrix is None else np.asarray(centred @ self.matrix)


def leave(domains: Domains) -> Aligned:
    """Leave both domains where they are."""
    return Aligned(source=np.asarray(domains.source, np.float64), centre=np.zeros(domains.source.shape[1]))


def standardise(domains: Domains) -> Aligned:
    """Give each domain mean 0 and deviation 1 in each feature."""
    centre, spread = _moments(domains.target)
    own_centre, own_spread = _moments(domains.source)
    source = (np.asarray(domains.source, np.float64) - own_centre) / own_spread * spread
    return Aligned(source=source, centre=centre)


def align_correlations(domains: Domains, *, ridge: float) -> Aligned:
    """Give the source the target's covariance, CORAL: (x - μs) (Cs + λI)^-½ (Ct + λI)^½, both domains centred.

    Parameters
    ----------
    domains : Domains
    ridge : float
        λ by the mean variance of a feature in both domains. With 0 the covariance becomes the target's exactly, if the
        source has more images than features.

    References
    ----------
    Sun, Feng & Saenko, "Return of frustratingly easy domain adaptation", AAAI 2016.
    """
    source, target = (np.asarray(one, np.float64) for one in (domains.source, domains.target))
    centre = target.mean(axis=0)
    source = source - source.mean(axis=0)
    own, other = domains.spectra
    added = ridge * float(np.mean([values.mean() for values, _ in (own, other)]))
    moved = _times_power(_times_power(source, *own, added, -0.5), *other, added, 0.5)
    return Aligned(source=moved, centre=centre)


def align_subspaces(domains: Domains, *, dimensions: int) -> Aligned:
    """Turn the source's first principal directions into the target's: Xs Ps Psᵀ Pt beside Xt Pt.

    Each domain is standardised by itself first. Of fewer features or images, as many directions are taken.

    References
    ----------
    Fernando, Habrard, Sebban & Tuytelaars, "Unsupervised visual domain adaptation using subspace alignment", ICCV 2013.
    """
    centre, spread = _moments(domains.target)
    own_centre, own_spread = _moments(domains.source)
    source = (np.asarray(domains.source, np.float64) - own_centre) / own_spread
    target = (np.asarray(domains.target, np.float64) - centre) / spread
    own, other = (_directions(one, dimensions) for one in (source, target))
    k = min(own.shape[1], other.shape[1])
    own, other = own[:, :k], other[:, :k]
    return Aligned(source=source @ own @ (own.T @ other), centre=centre, matrix=other / spread[:, None])


def _moments(X: NDArray[Any]) -> tuple[Doubles, Doubles]:
    """Return mean and standard deviation of each feature; of one that is constant, 1."""
    rows = np.asarray(X, np.float64)
    spread = rows.std(axis=0)
    return rows.mean(axis=0), np.where(spread > 0, spread, 1.0)


def _times_power(X: Doubles, values: Doubles, vectors: Doubles, added: float, exponent: float) -> Doubles:
    """Return X times a power of a covariance plus a multiple of the identity; directions without length stay at 0."""
    least = len(values) * np.finfo(np.float64).eps * max(float(values.max(initial=0.0)), _TINY)
    kept = values + added > least
    raised = np.zeros_like(values)
    raised[kept] = (np.maximum(values[kept], 0.0) + added) ** exponent
    return np.asarray(((X @ vectors) * raised) @ vectors.T)


def _directions(X: Doubles, k: int) -> Doubles:
    """Return the first principal directions of centred rows, (n_features, k at most), by the smaller Gram matrix."""
    n, d = X.shape
    values, vectors = np.linalg.eigh(X.T @ X if d <= n else X @ X.T)
    first = np.argsort(-values)[: min(k, n - 1, d)]
    first = first[values[first] > 1e-10 * max(float(values.max()), _TINY)]
    if d <= n:
        return np.asarray(vectors[:, first])
    return np.asarray(X.T @ vectors[:, first] / np.sqrt(values[first]))
