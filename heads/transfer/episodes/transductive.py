"""Methods that tell all queries of an episode together: what they assume of these has to be said with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from headstart.heads.transfer.episodes.products import at_unit_length, centred, class_means, distances

if TYPE_CHECKING:
    from torch import Tensor

LAPLACIAN_WEIGHT, LAPLACIAN_NEIGHBOURS, LAPLACIAN_STEPS = 1.0, 3, 20
MAP_SHARPNESS, MAP_RATE, MAP_STEPS, SINKHORN_STEPS = 10.0, 0.2, 20, 5
_TINY = 1e-20


def tell_by_laplacian(products: Tensor, ways: int, shots: int) -> Tensor:
    """Return scores of queries, (n_episodes, n_queries, ways), whose neighbours shall be of one class.

    From the softmax of the negative squared distances a to the class means, each step sets a query's assignment to
    softmax(-a + weight * Σ assignments of its nearest queries). Weight and neighbours are fixed, not tuned; the means
    stay those of the labelled images.

    Parameters
    ----------
    products : float64 tensor of shape (n_episodes, n, n)
        Shots first, class by class, then queries.

    References
    ----------
    Ziko, Dolz, Granger & Ben Ayed, "Laplacian regularized few-shot learning", ICML 2020.
    """
    n = products.shape[1]
    labelled = ways * shots
    means = class_means(len(products), ways, shots, (n - labelled) // ways)
    apart = distances(products, means)[:, labelled:]
    among = products[:, labelled:, labelled:]
    squares = among.diagonal(dim1=1, dim2=2)
    near = 2 * among - squares[:, None, :]  # the larger, the nearer to the row's query
    near.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    k = min(LAPLACIAN_NEIGHBOURS, near.shape[2] - 1)
    graph = torch.zeros_like(near).scatter_(2, near.topk(k, dim=2).indices, 1.0)
    assigned = (-apart).softmax(dim=2)
    for _ in range(LAPLACIAN_STEPS):
        assigned = (LAPLACIAN_WEIGHT * (graph @ assigned) - apart).softmax(dim=2)
    return assigned


def tell_by_transport(products: Tensor, ways: int, shots: int) -> Tensor:
    """Return scores of queries, (n_episodes, n_queries, ways), of which each class has as many.

    From the class means on, assignments are the optimal transport (Sinkhorn) of queries to centres under classes of one
    size, and centres move towards the means of what is assigned to them.

    Parameters
    ----------
    products : float64 tensor of shape (n_episodes, n, n)
        Of features whose entries were replaced by their signed roots; shots first, class by class, then queries.

    References
    ----------
    Hu, Gripon & Pateux, "Leveraging the feature distribution in transfer-based few-shot learning", ICANN 2021 (PT-MAP).
    """
    products = at_unit_length(centred(at_unit_length(products)))
    n, labelled = products.shape[1], ways * shots
    queries = (n - labelled) // ways
    centres = class_means(len(products), ways, shots, queries).clone()
    fixed, kept = centres[:, :labelled] * shots, torch.ones(len(products), ways, 1, dtype=torch.float64)
    for step in range(MAP_STEPS + 1):
        scores = (-MAP_SHARPNESS * distances(products, centres)[:, labelled:]).mT
        assigned, kept = transport(scores, queries, kept)
        if step < MAP_STEPS:
            whole = torch.cat([fixed, assigned.mT], dim=1)
            centres += MAP_RATE * (whole / whole.sum(dim=1, keepdim=True) - centres)
    return assigned.mT


def transport(scores: Tensor, each: int, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Return assignments (n_episodes, ways, n_queries), of which a query has 1 and a class nearly `each`.

    Parameters
    ----------
    scores : float64 tensor of shape (n_episodes, ways, n_queries)
    each : int
    kept : float64 tensor of shape (n_episodes, ways, 1)
        Factors of the classes to begin with; those that were found are returned, too.
    """
    kernel = (scores - scores.amax(dim=1, keepdim=True)).exp().clamp_min(_TINY)
    for _ in range(SINKHORN_STEPS):
        kept = each / (kernel / (kernel * kept).sum(dim=1, keepdim=True)).sum(dim=2, keepdim=True)
    assigned = kernel * kept
    return assigned / assigned.sum(dim=1, keepdim=True), kept
