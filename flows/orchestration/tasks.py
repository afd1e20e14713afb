"""Log of a task in Prefect: one line that tells an operator something."""

from typing import TYPE_CHECKING, Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_logger, get_run_logger
from prefect.tasks import Task

from headstart.extractors.errors import CacheError
from headstart.extractors.extraction import ShardResult
from headstart.extractors.listing import CacheListing
from headstart.flows.errors import EXPECTED_ERRORS

if TYPE_CHECKING:
    import logging


def log_shard(name: str, result: ShardResult, seconds: float, listing: CacheListing) -> None:
    """Log what came of a shard: in the log of its run where it is called in one.

    Parameters
    ----------
    name : str
        Such as ``resnet18, shard 3 of 12``.
    result : ShardResult
    seconds : float
        How long it took.
    listing : CacheListing
        Of its images: a person knows them by their paths.
    """
    rate = result.embedded / seconds if seconds else 0.0
    text = f"{name}: {result.embedded} rows in {seconds:.1f} s, {rate:.1f} images/s"
    if lost := result.unreadable | result.not_read:
        first, reason = next(iter(lost.items()))
        of_digest = listing.rows["path"][listing.rows["digest"] == first]
        first = first if of_digest.empty else of_digest.iloc[0]
        text += f"; quarantined {len(lost)}, first {first}: {reason}"
    run_logger().info(text)


def run_logger() -> "logging.Logger | logging.LoggerAdapter[logging.Logger]":
    """Return the log of the run that this is called in, and Headstart's own outside one."""
    return get_run_logger() if FlowRunContext.get() or TaskRunContext.get() else get_logger("headstart")


def worth_retrying(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass by itself, such as a full disk or a busy device; what is wrong stays wrong."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, CacheError) or not isinstance(error, EXPECTED_ERRORS)
