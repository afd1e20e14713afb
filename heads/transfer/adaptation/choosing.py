"""Hyper-parameters chosen without a label of the target, and methods adapted by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from headstart.heads.transfer.adaptation.adapted import Adapted, Candidate
    from headstart.heads.transfer.adaptation.domains import Domains
    from headstart.heads.transfer.adaptation.methods import Method

    Doubles = NDArray[np.float64]
    Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A method with the hyper-parameters that did best on the source, fitted on all of it.

    Attributes
    ----------
    method : Method
    params : mapping of str to value
    validation : float
        Accuracy on images of the source that were not fitted on, weighed as asked.
    n_tried : int
    adapted : Adapted
    """

    method: Method
    params: Mapping[str, Any]
    validation: float
    n_tried: int
    adapted: Adapted


def adapt_by(
    method: Method, domains: Domains, folds: Folds, *, counted: Doubles | None = None, seed: int = 0
) -> Chosen:
    """Adapt by one method, its hyper-parameters chosen on the source's folds.

    Parameters
    ----------
    method : Method
    domains : Domains
    folds : sequence of (fit rows, score rows)
        Of the source.
    counted : float64 ndarray of shape (n_source,), optional
        How much each image of the source counts when candidates are compared: importance weights make the score an
        estimate of that on the target, if labels go by the features alike in both domains; by default all alike.
    seed : int

    References
    ----------
    Sugiyama, Krauledat & Müller, "Covariate shift adaptation by importance weighted cross validation", JMLR 8, 2007.
    """
    weights = np.ones(len(domains.source)) if counted is None else counted
    candidates = list(method.candidates(domains, folds, seed))
    scores = [validation_score(one, weights) for one in candidates]
    best = int(np.argmax(scores))
    return Chosen(
        method=method,
        params=candidates[best].params,
        validation=scores[best],
        n_tried=len(candidates),
        adapted=candidates[best].build(),
    )


def validation_score(candidate: Candidate, counted: Doubles) -> float:
    """Return the share of right answers on the images that the candidate was judged on, each counting as given."""
    asked = ~np.isnan(candidate.right)
    return float(np.average(candidate.right[asked], weights=counted[asked]))
