"""When a fit reads features in blocks instead of holding them in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import psutil

from headstart.flows.errors import JobError
from headstart.flows.output import size_text
from headstart.heads.registry import Candidate, streamed_fit_of, streamed_heads
from headstart.heads.solvers.sums import BLOCK_BYTES, SAMPLE_BYTES, Stream

_SHARE = 0.25  # of free memory: folds copy most of the matrix, and each worker has a fold


@dataclass(frozen=True)
class Streaming:
    """How a fit reads features in blocks.

    Attributes
    ----------
    candidates : list of Candidate
        Those whose heads can; their features are streams.
    notes : list of str
        Why, and what is left out.
    """

    candidates: list[Candidate]
    notes: list[str]


def plan_streaming(candidates: Sequence[Candidate], *, memory: float | None, dask: str) -> Streaming | None:
    """Decide whether features must be read in blocks; None where they fit in memory, or other processes hold them.

    Parameters
    ----------
    candidates : sequence of Candidate
    memory : float or None
        Bytes that all features may take in float32; None takes a quarter of what is free.
    dask : str
        Only threads share one matrix.

    Raises
    ------
    JobError
        They must, and no candidate's head can.
    """
    if dask != "threads":
        return None
    sets: dict[tuple[str, str], Any] = {one.place: one.features for one in candidates}
    needed = sum(4 * prod(features.shape) for features in sets.values())
    free = psutil.virtual_memory().available
    allowed = _SHARE * free if memory is None else memory
    if needed <= allowed:
        return None
    able = [one for one in candidates if streamed_fit_of(one)]
    unable = sorted({one.head for one in candidates if not streamed_fit_of(one)})
    limit = f"a quarter of the {size_text(free)} that are free" if memory is None else size_text(int(memory))
    shortage = f"the features take {size_text(needed)} in float32, more than {limit}"
    if not able:
        raise JobError(
            f"{shortage}, which {', '.join(unable)} cannot do without; these can: --head {' '.join(streamed_heads())}"
        )
    missing = "suspects, outliers and near copies were not looked for"
    notes = [f"{shortage}: they were read in blocks, temperatures were fitted on a sample, and {missing}"]
    if unable:
        notes.append(f"{', '.join(unable)} cannot be fitted on features read in blocks and were left out")
    # A small budget is for tests and small machines; with a large one more in memory would gain little.
    block, sample = int(min(BLOCK_BYTES, allowed / 8)), int(min(SAMPLE_BYTES, allowed / 2))
    streams = [Stream(features=one.features, block_bytes=block, sample_bytes=sample) for one in able]
    return Streaming([replace(one, features=own) for one, own in zip(able, streams, strict=True)], notes)
