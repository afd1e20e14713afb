"""Table of the strategies, and which one is taken where nobody says it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.analysis.active.clusters import by_centroid, by_typicality
from headstart.heads.analysis.active.doubt import at_random, by_dropout, by_entropy, by_margin
from headstart.heads.analysis.active.gradients import by_gradients
from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.heads.analysis.active.images import PartlyLabelled

Order = Callable[
    ["PartlyLabelled", "NDArray[np.intp]", int, np.random.Generator],
    "Iterator[tuple[int, float | None, int | None]]",
]
"""Of images, the rows to put in order, how many are wanted, and a generator: row, score and cluster, best first."""


@dataclass(frozen=True)
class Strategy:
    """One way to choose.

    Attributes
    ----------
    name, title : str
    measure : str
        What the score of an image is; empty where it has none.
    order : callable
    needs_labels : bool
        Whether a classifier has to be fitted before: on two classes at least.
    with_copies : bool
        Whether near copies may come, as often as they are there: else it would be no random sample.
    """

    name: str
    title: str
    measure: str
    order: Order
    needs_labels: bool
    with_copies: bool = False


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        row.name: row
        for row in (
            Strategy(
                "typical", "the image most like its neighbours, of each cluster", "typicality", by_typicality, False
            ),
            Strategy("centroids", "the image nearest to the middle of each cluster", "nearness", by_centroid, False),
            Strategy("margin", "where the likeliest class leads by least", "lead", by_margin, True),
            Strategy("entropy", "where the probabilities are spread most", "entropy", by_entropy, True),
            Strategy(
                "gradients", "where the classifier is unsure, each image in another way", "gradient", by_gradients, True
            ),
            Strategy(
                "dropout", "where answers change as half the features are left out", "disagreement", by_dropout, True
            ),
            Strategy("random", "at random, as a control", "", at_random, False, with_copies=True),
        )
    }
)


def find_strategy(name: str) -> Strategy:
    """Return the strategy of a name.

    Raises
    ------
    DataError
        There is none.
    """
    if name not in STRATEGIES:
        raise DataError(f"no strategy is called {name!r}; expected one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def usual_strategy(n_classes: int) -> str:
    """Return the strategy that is taken where nobody says it, with labels of so many classes.

    It needed fewer labels than random images on photographs, digits and a rare class alike, each with an interval above
    1 (`benchmarks/bench_next.py`); margin, entropy and dropout each failed to on one of the three.
    """
    return "gradients" if n_classes >= 2 else "centroids"
