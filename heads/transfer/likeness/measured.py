"""Likeness of a target to a source: each distance with its null, and with those of the source's classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from headstart.heads.scoring import SIGNIFICANCE
from headstart.heads.transfer.likeness.distances import (
    domain_scores,
    frechet,
    kernel_of,
    mmd,
    mmd_p_value,
    proxy_a,
    separation,
)
from headstart.heads.transfer.likeness.shared import Shared, share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]
    Rows = NDArray[np.intp]

Verdict = Literal["alike", "similar", "different", "apart"]
N_NULL = 199
SATURATED = 1.9
"""Proxy A-distance from which it hardly tells distances apart: one image of forty is taken for the other side's."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One distance between target and source.

    Attributes
    ----------
    name : {"proxy-A", "separation", "Fréchet", "MMD²"}
    value : float
        Less the null's mean of what is biased: of Fréchet's.
    null, null_high : float
        Mean of the distances between two samples of the source, and what 5 % of them exceed.
    p_value : float
        How often chance alone leaves equals so far apart: of MMD² by permutation of both sets, else by the null.
    between, between_high : float or None
        Median and largest distance between halves of the source's classes; None where these are not known.
    verdict : {"alike", "similar", "different", "apart"}
        Not beyond chance; no farther than the source's own classes from each other; farther; or beyond chance, and the
        source's classes are not known.
    """

    name: str
    value: float
    null: float
    null_high: float
    p_value: float
    between: float | None
    between_high: float | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How like a target's images are to a source's.

    Attributes
    ----------
    verdict : {"alike", "similar", "different", "apart"}
        What most of separation, Fréchet's distance and MMD² say.
    measures : list of Measure
    size, components : int
        Images of each sample that was compared, and shared components.
    saturated : bool
        Whether the proxy A-distance is so near to 2 that it tells no distances apart; separation does.
    """

    verdict: Verdict
    measures: list[Measure]
    size: int
    components: int
    saturated: bool


def measure_likeness(
    source: ArrayLike, target: ArrayLike, *, classes: ArrayLike | None = None, seed: int = 0, n_null: int = N_NULL
) -> Likeness:
    """Measure how far a target's features are from a source's, by three distances and what each is by chance.

    All comparisons are of equally many images in components that both sets share, so that what few images add to a
    distance is in the null, too. The null splits the source in two at random, again and again. That real image sets
    differ beyond chance says little; the yardstick is how far halves of the source's classes are from each other: a
    target within that is as near as other classes of the source would be.

    The proxy A-distance ends at 2 wherever a domain classifier makes no errors. How many standard deviations it parts
    the sides by does not, and stands for it in the verdict. Images are taken for independent: give one of each group.

    Parameters
    ----------
    source, target : array-like of shape (n_source, n_features) and (n_target, n_features)
        At least 20 and 10 rows; of more than 1000 and 500, as many are drawn.
    classes : array-like of shape (n_source,) or None
        Of the source's images.
    seed : int
        Of all draws.
    n_null : int
        Splits of the source, and permutations; the smallest p-value is 1 / (1 + n_null).

    Raises
    ------
    DataError
        Features are too few, of unlike widths, or not finite.
    """
    generator = np.random.default_rng(seed)
    shared = share(source, target, classes, generator)
    kernel = kernel_of(shared.rows)
    samples = shared.samples(generator)
    observed = _distances(shared, kernel, samples)
    null = [_distances(shared, kernel, shared.halves(generator)) for _ in range(n_null)]
    between = [_distances(shared, kernel, shared.parts(split, generator)) for split in shared.splits]
    p_mmd = mmd_p_value(kernel, *samples, n_null, generator)
    measures = [_measure(name, observed, null, between, p_mmd if name == "MMD²" else None) for name in observed]
    votes = [one.verdict for one in measures if one.name != "proxy-A"]
    order: list[Verdict] = ["alike", "similar", "apart", "different"]
    return Likeness(
        verdict=sorted(votes, key=order.index)[len(votes) // 2],
        measures=measures,
        size=shared.size,
        components=shared.rows.shape[1],
        saturated=observed["proxy-A"] >= SATURATED,
    )


def _distances(shared: Shared, kernel: Doubles, samples: tuple[Rows, Rows]) -> dict[str, float]:
    first, second = (shared.rows[side] for side in samples)
    scores = domain_scores(first, second)
    return {
        "proxy-A": proxy_a(*scores),
        "separation": separation(*scores),
        "Fréchet": frechet(first, second),
        "MMD²": mmd(kernel, *samples),
    }


def _measure(
    name: str,
    observed: Mapping[str, float],
    null: list[dict[str, float]],
    between: list[dict[str, float]],
    p_value: float | None,
) -> Measure:
    by_chance, parts = np.array([one[name] for one in null]), [one[name] for one in between]
    bias = float(by_chance.mean()) if name == "Fréchet" else 0.0
    p = (1 + int((by_chance >= observed[name]).sum())) / (1 + len(null)) if p_value is None else p_value
    high = max(parts, default=None)
    return Measure(
        name=name,
        value=observed[name] - bias,
        null=float(by_chance.mean()) - bias,
        null_high=float(np.quantile(by_chance, 1 - SIGNIFICANCE)) - bias,
        p_value=p,
        between=float(np.median(parts)) - bias if parts else None,
        between_high=None if high is None else high - bias,
        verdict=_verdict(observed[name], p, high),
    )


def _verdict(value: float, p_value: float, between: float | None) -> Verdict:
    if p_value >= SIGNIFICANCE:
        return "alike"
    if between is None:
        return "apart"
    return "similar" if value <= between else "different"
