"""The methods of a few-shot episode: one row each, with what it assumes beside its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headstart.heads.transfer.episodes.cosine import tell_by_cosine
from headstart.heads.transfer.episodes.products import class_means, distances
from headstart.heads.transfer.episodes.transductive import tell_by_laplacian, tell_by_transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Tell = Callable[[Tensor, int, int], Tensor]

Origin = Literal["features", "unit", "base", "roots"]


def tell_by_means(products: Tensor, ways: int, shots: int) -> Tensor:
    """Return scores of queries, (n_episodes, n_queries, ways): negative squared distances to the class means.

    Parameters
    ----------
    products : float tensor of shape (n_episodes, n, n)
        Shots first, class by class, then queries.
    """
    labelled = ways * shots
    means = class_means(len(products), ways, shots, (products.shape[1] - labelled) // ways)
    return -distances(products, means)[:, labelled:]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to tell the queries of an episode.

    Attributes
    ----------
    name, summary : str
    origin : {"features", "unit", "base", "roots"}
        What it is given products of: features as they are, at unit length, less the base classes' mean and then at
        unit length, or signed roots of their entries.
    tell : callable
        From products, ways and shots to scores of queries.
    assumes : str
        About the queries of an episode together; empty where each is told by itself.
    """

    name: str
    summary: str
    origin: Origin
    tell: Tell
    assumes: str = ""


METHODS = (
    Method(name="plain", summary="nearest class mean: the control", origin="features", tell=tell_by_means),
    Method(name="l2n", summary="nearest class mean at unit length", origin="unit", tell=tell_by_means),
    Method(
        name="cl2n",
        summary="nearest class mean, less the base classes' mean, at unit length (SimpleShot)",
        origin="base",
        tell=tell_by_means,
    ),
    Method(name="cosine", summary="cosine head (Baseline++)", origin="unit", tell=tell_by_cosine),
    Method(
        name="laplacian",
        summary="cl2n, and queries that are near each other (LaplacianShot)",
        origin="base",
        tell=tell_by_laplacian,
        assumes="queries come together, and near ones are of one class",
    ),
    Method(
        name="pt-map",
        summary="optimal transport of all queries to the classes (PT-MAP)",
        origin="roots",
        tell=tell_by_transport,
        assumes="queries come together, as many of each class",
    ),
)
"""Every method, the control first."""
