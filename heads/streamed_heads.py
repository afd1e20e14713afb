"""Which heads can be fitted on features that do not fit in memory, and by what function."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.registry import find_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headstart.heads.candidates import Candidate
    from headstart.heads.solvers.streamed.data import StreamedData

    Fitted = list[list[Any]]


@dataclass(frozen=True, kw_only=True)
class StreamedHead:
    """A head's way to be fitted in few passes.

    Parameters
    ----------
    module, function : str
        ``function(data, grid, seed)`` takes a `StreamedData` and choices of hyper-parameters, and returns for each
        choice the fitted pipelines, one for each fit.
    params : frozenset of str
        The hyper-parameters that it knows.
    """

    module: str
    function: str
    params: frozenset[str]

    def fit(self, data: StreamedData, grid: Sequence[Mapping[str, Any]], seed: int) -> Fitted:
        """Import the function and call it."""
        found: Fitted = getattr(import_module(self.module), self.function)(data, grid, seed)
        return found


STREAMED: Mapping[str, StreamedHead] = MappingProxyType(
    {
        "ridge": StreamedHead(
            module="headstart.heads.solvers.streamed.ridge", function="stream_ridge", params=frozenset({"alpha"})
        ),
        "logreg": StreamedHead(
            module="headstart.heads.solvers.streamed.logreg", function="stream_logreg", params=frozenset({"C"})
        ),
        "centroid": StreamedHead(
            module="headstart.heads.solvers.streamed.centroid", function="stream_centroid", params=frozenset()
        ),
        "dummy": StreamedHead(
            module="headstart.heads.streamed_heads", function="stream_dummy", params=frozenset({"strategy"})
        ),
    }
)
"""By the head's name."""


def stream_dummy(data: StreamedData, grid: Sequence[Mapping[str, Any]], seed: int) -> Fitted:
    """Return the floor, which needs the classes' counts alone, fitted for each choice and each fit."""

    def fitted(fit: int, params: Mapping[str, Any]) -> Any:
        counts = data.counts(fit)
        present = np.flatnonzero(counts)
        nothing = np.zeros((len(present), data.stream.n_features))
        return find_head("dummy").make(params, seed).fit(nothing, present, sample_weight=counts[present])

    return [[fitted(fit, params) for fit in range(data.n_fits)] for params in grid]


def can_stream(candidate: Candidate) -> bool:
    """Tell whether a candidate can be fitted without its features in memory."""
    head = STREAMED.get(candidate.head) if candidate.task == "classify" else None
    return head is not None and candidate.params.keys() <= head.params
