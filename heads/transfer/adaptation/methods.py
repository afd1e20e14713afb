"""Table of the methods: one row each, with its control, what it tries, and how it makes candidates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from headstart.heads.errors import DataError
from headstart.heads.transfer.adaptation.alignment import align_correlations, align_subspaces, leave, standardise
from headstart.heads.transfer.adaptation.linear import linear_candidates
from headstart.heads.transfer.adaptation.networks import network_candidates
from headstart.heads.transfer.adaptation.transport import has_transport, move_by_transport
from headstart.heads.transfer.adaptation.weighting import weigh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from headstart.heads.transfer.adaptation.adapted import Candidate


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to adapt.

    Attributes
    ----------
    name, title : str
    control : str or None
        The method that it has to beat, which is the same without a look at the target; None of the first one.
    head : str
        Of the table of heads, that its model is.
    candidates : callable
        Domains, folds of the source, seed → candidates, the most careful first.
    """

    name: str
    title: str
    control: str | None
    head: str
    candidates: Callable[..., Iterator[Candidate]]


SOURCE, NETWORK, TRANSPORT = "source", "source-mlp", "transport"

_RIDGES = [{"ridge": ridge} for ridge in (1.0, 0.1, 0.01)]
_DIMENSIONS = [{"dimensions": k} for k in (10, 20, 40, 80)]
_RATES = [{"learning_rate": rate} for rate in (3e-4, 1e-3)]


def _linear(name: str, title: str, align: Any, grid: Sequence[Mapping[str, float]] = ({},)) -> Method:
    control = None if name == SOURCE else SOURCE
    made = partial(linear_candidates, align, grid)
    return Method(name=name, title=title, control=control, head="logreg", candidates=made)


def _network(name: str, title: str, kind: Any) -> Method:
    control = SOURCE if name == NETWORK else NETWORK
    made = partial(network_candidates, kind, _RATES)
    return Method(name=name, title=title, control=control, head="mlp", candidates=made)


METHODS = {
    method.name: method
    for method in (
        _linear(SOURCE, "source only: the target is not looked at", leave),
        _linear("standardise", "each domain with its own mean and deviation", standardise),
        _linear("coral", "CORAL: the source gets the target's covariance", align_correlations, _RIDGES),
        _linear("subspace", "subspace alignment: principal directions turned", align_subspaces, _DIMENSIONS),
        _linear("weights", "importance weights by a classifier of domains", weigh),
        _linear(TRANSPORT, "optimal transport of the source onto the target", move_by_transport),
        _network(NETWORK, "source only, a small network", "none"),
        _network("dann", "DANN: a network whose features hide the domain", "adversarial"),
        _network("deep-coral", "Deep CORAL: a network with equal covariances", "correlation"),
    )
}
"""Methods by name; each stands behind its control."""


def methods_asked(names: Sequence[str] | None) -> tuple[list[Method], list[str]]:
    """Return the methods that are asked for with their controls, in the table's order, and notes.

    Parameters
    ----------
    names : sequence of str, optional
        By default all whose library is installed.

    Raises
    ------
    DataError
        A name is unknown, or its library is not installed.
    """
    for name in names or ():
        if name not in METHODS:
            raise DataError(f"no method is called {name!r}; expected {', '.join(METHODS)}")
    wanted = set(names or METHODS) | {SOURCE}
    wanted |= {control for name in wanted if (control := METHODS[name].control)}
    notes = []
    if TRANSPORT in wanted and not has_transport():
        if names is not None:
            raise DataError(f"{TRANSPORT} needs POT; run 'pip install headstart[transport]', or leave the method out")
        wanted.discard(TRANSPORT)
        notes.append("optimal transport is left out: POT is not installed (headstart[transport])")
    return [method for name, method in METHODS.items() if name in wanted], notes
