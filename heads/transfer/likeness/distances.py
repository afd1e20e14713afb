"""Distances of two samples: by a domain classifier, Fréchet's of their first two moments, and MMD² by a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import pdist, squareform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Rows = NDArray[np.intp]

_FOLDS = 5
_PENALTY = 1e-2  # of the domain classifier, by the mean variance of a component


def domain_scores(first: Doubles, second: Doubles) -> tuple[Doubles, Doubles]:
    """Return the score of a domain classifier for each row, by ridge fitted on the other folds: below 0 for the first.

    Folds hold as many of either side, so that equals are told apart as often as not. Rows are taken in their order,
    which has to be random.

    Parameters
    ----------
    first, second : float64 ndarray of shape (n_images, k)
    """
    X, y = np.concatenate([first, second]), np.repeat([-1.0, 1.0], [len(first), len(second)])
    fold = np.concatenate([np.arange(len(first)), np.arange(len(second))]) % _FOLDS
    scores = np.empty(len(X))
    for number in range(_FOLDS):
        fit = fold != number
        centre = X[fit].mean(axis=0)
        Z = X[fit] - centre
        gram = Z.T @ Z
        gram.flat[:: len(gram) + 1] += _PENALTY * max(np.trace(gram) / len(gram), np.finfo(np.float64).tiny)
        weights = np.linalg.solve(gram, Z.T @ (y[fit] - y[fit].mean()))
        scores[~fit] = (X[~fit] - centre) @ weights + y[fit].mean()
    return scores[: len(first)], scores[len(first) :]


def proxy_a(first: Doubles, second: Doubles) -> float:
    """Return the proxy A-distance 2 (1 - 2ε), of the error ε of domain scores: 0 between equals, 2 at most.

    After Ben-David, Blitzer, Crammer and Pereira, "Analysis of representations for domain adaptation" (2006).
    """
    error = (np.mean(first >= 0) + np.mean(second < 0)) / 2
    return float(2 * (1 - 2 * error))


def separation(first: Doubles, second: Doubles) -> float:
    """Return by how many standard deviations the means of domain scores differ, which goes on where errors end."""
    spread = np.sqrt((first.var() + second.var()) / 2)
    return float((second.mean() - first.mean()) / max(spread, np.finfo(np.float64).tiny))


def frechet(first: Doubles, second: Doubles) -> float:
    """Return the Fréchet distance of two normal distributions with the samples' means and covariances.

    |m - m'|² + tr(C + C' - 2 (C^½ C' C^½)^½). Dowson and Landau, "The Fréchet distance between multivariate normal
    distributions" (1982). Of samples of equals it is above 0, the more so the fewer images there are by component.
    """
    means = first.mean(axis=0) - second.mean(axis=0)
    one, other = (np.cov(side, rowvar=False) for side in (first, second))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    together = np.linalg.eigvalsh(root @ other @ root)
    return float(means @ means + np.trace(one) + np.trace(other) - 2 * np.sqrt(np.maximum(together, 0)).sum())


def kernel_of(rows: Doubles) -> Doubles:
    """Return exp(-|x - y|² / 2s²) of all rows (n, n), s being the median distance, and 0 on the diagonal."""
    squares = pdist(rows, "sqeuclidean")
    apart = squares[squares > 0]  # copies say nothing of how far images are from each other
    kernel: Doubles = squareform(np.exp(-squares / (2 * (float(np.median(apart)) if len(apart) else 1.0))))
    return kernel


def mmd(kernel: Doubles, first: Rows, second: Rows) -> float:
    """Return the unbiased squared maximum mean discrepancy of two samples of a kernel's rows, about 0 between equals.

    Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test" (2012), equation 3.
    """
    n, m = len(first), len(second)
    within = kernel[np.ix_(first, first)].sum() / (n * (n - 1)) + kernel[np.ix_(second, second)].sum() / (m * (m - 1))
    return float(within - 2 * kernel[np.ix_(first, second)].mean())


def mmd_p_value(kernel: Doubles, first: Rows, second: Rows, n_permutations: int, rng: np.random.Generator) -> float:
    """Return how often samples of equal size drawn from both together are at least as far apart in MMD²."""
    both, n, m = np.concatenate([first, second]), len(first), len(second)
    here = kernel[np.ix_(both, both)]
    of_first = np.repeat([1.0, 0.0], [n, m])
    drawn = np.stack([of_first, *(rng.permutation(of_first) for _ in range(n_permutations))], axis=1)
    product = here @ drawn
    within, to_first = (drawn * product).sum(axis=0), product.sum(axis=0)
    between = to_first - within
    other = here.sum() - within - 2 * between
    found = within / (n * (n - 1)) + other / (m * (m - 1)) - 2 * between / (n * m)
    beyond = int((found[1:] >= found[0] - 1e-12).sum())  # equal sums in another order are equal
    return (1 + beyond) / (1 + n_permutations)
