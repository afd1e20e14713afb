"""Which failures of a task are worth another try."""

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from headstart.extractors.errors import CacheError
from headstart.flows.errors import EXPECTED_ERRORS


def worth_retrying(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass by itself, such as a full disk or a busy device; what is wrong stays wrong."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, CacheError) or not isinstance(error, EXPECTED_ERRORS)
