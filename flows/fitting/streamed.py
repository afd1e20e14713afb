"""When a fit reads features in blocks instead of holding them in memory, and the steps of it that differ then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import psutil

from headstart.extractors.memory import give_back_freed_memory
from headstart.flows.errors import JobError
from headstart.flows.output import size_text
from headstart.flows.problem import Problem
from headstart.heads.registry import Candidate, streamed_fit_of, streamed_heads
from headstart.heads.solvers.sums import BLOCK_BYTES, SAMPLE_BYTES
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore, Result, fit_streamed, score_test_streamed, sweep_streamed

_SHARE = 0.25  # of free memory: folds copy most of the matrix, and each worker has a fold


@dataclass(frozen=True)
class Streaming:
    """How a fit reads features in blocks.

    Attributes
    ----------
    candidates : list of Candidate
        Those whose heads can.
    block_bytes, sample_bytes : int
        Of features in float32, as `heads.sweep.streamed.sweep_streamed` wants them.
    notes : list of str
        Why, and what is left out.
    """

    candidates: list[Candidate]
    block_bytes: int
    sample_bytes: int
    notes: list[str]

    def sweep(
        self,
        problem: Problem,
        plan: SplitPlan,
        *,
        metric: str,
        seed: int,
        on_result: Callable[[Result], None],
        finished: Sequence[Result],
    ) -> list[Result]:
        """Try every candidate in every fold; best first."""
        give_back_freed_memory()  # of posing the problem and planning its splits, which took more than what they left
        return sweep_streamed(
            self.candidates,
            problem.y,
            plan,
            metric=metric,
            groups=problem.groups,
            seed=seed,
            block_bytes=self.block_bytes,
            sample_bytes=self.sample_bytes,
            on_result=on_result,
            finished=finished,
        )

    def score_once(self, problem: Problem, plan: SplitPlan, candidate: Candidate, seed: int) -> tuple[Any, FinalScore]:
        """Fit a candidate on all of train, and score it on the test images."""
        give_back_freed_memory()  # of the sweep
        sizes = {"block_bytes": self.block_bytes, "sample_bytes": self.sample_bytes}
        final = fit_streamed(candidate, problem.y, plan, seed, **sizes)
        score = score_test_streamed(
            final, candidate, problem.y, plan, groups=problem.groups, block_bytes=self.block_bytes
        )
        return final, score


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
    sets: dict[tuple[str, str], Any] = {(one.key, one.tap): one.features for one in candidates}
    needed = sum(4 * prod(features.shape) for features in sets.values())
    free = psutil.virtual_memory().available
    allowed = _SHARE * free if memory is None else memory
    if needed <= allowed:
        return None
    able = [one for one in candidates if streamed_fit_of(one)]
    unable = sorted({one.head for one in candidates if not streamed_fit_of(one)})
    limit = f"a quarter of the {size_text(free)} that are free" if memory is None else size_text(int(memory))
    told = f"the features take {size_text(needed)} in float32, more than {limit}"
    if not able:
        raise JobError(
            f"{told}, which {', '.join(unable)} cannot do without; these can: --head {' '.join(streamed_heads())}"
        )
    missing = "suspects, outliers and near copies were not looked for"
    notes = [f"{told}: they were read in blocks, temperatures were fitted on a sample, and {missing}"]
    if unable:
        notes.append(f"{', '.join(unable)} cannot be fitted on features read in blocks and were left out")
    # A small budget is for tests and small machines; with a large one more in memory would gain little.
    return Streaming(able, int(min(BLOCK_BYTES, allowed / 8)), int(min(SAMPLE_BYTES, allowed / 2)), notes)
