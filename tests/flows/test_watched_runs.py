"""When a watched folder's failed run is tried again."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import StateType

from flows.watched_runs import has_failed


class Client:
    """What a server says of the last run of a deployment."""

    def __init__(self, *runs: Any) -> None:
        self.runs = list(runs)

    async def read_flow_runs(self, **_: Any) -> list[Any]:
        return self.runs


@pytest.mark.parametrize(
    ("state", "minutes_ago", "failed"),
    [
        (StateType.FAILED, 11, True),
        (StateType.CRASHED, 11, True),
        (StateType.FAILED, 9, False),
        (StateType.COMPLETED, 11, False),
        (StateType.RUNNING, None, False),
    ],
)
def test_a_run_that_failed_ten_minutes_ago_is_tried_again(
    state: StateType, minutes_ago: int | None, failed: bool
) -> None:
    ended = None if minutes_ago is None else datetime.now(UTC) - timedelta(minutes=minutes_ago)
    client: Any = Client(SimpleNamespace(state_type=state, end_time=ended))
    assert asyncio.run(has_failed(client, uuid4(), timedelta(minutes=10))) is failed


def test_without_a_run_there_is_nothing_to_try_again() -> None:
    client: Any = Client()
    assert not asyncio.run(has_failed(client, uuid4(), timedelta(0)))
