"""The mean of the base classes, where a source cache is named: it holds images of other classes, and none of these."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_usable
from headstart.flows.errors import JobError
from headstart.flows.problem import Embedded, Problem, find_covering

_AT_ONCE = 8192  # rows


def base_means(source: Path, problem: Problem, notes: list[str]) -> list[npt.NDArray[np.float64]]:
    """Return the mean of a source's images for each embedding of a problem, whose own images are left out of it.

    Raises
    ------
    JobError
        The source lacks a key or a tap, or holds no other images.
    """
    cache = EmbeddingCache(source)
    digests = read_usable(cache).images.digest
    known = {one.tobytes() for one in problem.images.digest}
    is_other = np.array([one.tobytes() not in known for one in digests], dtype=bool)
    if not is_other.any():
        raise JobError(
            f"{source}: holds no image that {problem.cache} lacks; name a source with images of other classes"
        )
    if not is_other.all():
        notes.append(
            f"{(~is_other).sum()} of {len(digests)} images of {source} are images of {problem.cache}, left out"
        )
    found: dict[str, dict[str, Embedded]] = {}
    for key in dict.fromkeys(one.store.key.id for one in problem.embedded):
        covering = find_covering(cache, digests[is_other], None, [key], notes)
        found[key] = {one.tap: one for one in covering}
    return [_mean(source, found[one.store.key.id], one) for one in problem.embedded]


def _mean(source: Path, taps: dict[str, Embedded], wanted: Embedded) -> npt.NDArray[np.float64]:
    if wanted.tap not in taps:
        raise JobError(
            f"{source}: no tap {wanted.tap} of {wanted.label}; run 'headstart extract' with --tap {wanted.tap} on the "
            "source, too"
        )
    rows, total = taps[wanted.tap].features, np.zeros(wanted.features.shape[1])
    for first in range(0, len(rows), _AT_ONCE):
        some: Any = np.arange(first, min(first + _AT_ONCE, len(rows)))
        total += np.asarray(rows.take(some), np.float64).sum(axis=0)
    return total / len(rows)
