"""When a watched folder's failed run is tried again."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import StateType

from headstart.flows.serving.watched_runs import has_failed, start_run


class Client:
    """What a server says of the last runs of a deployment, the latest first."""

    def __init__(self, *runs: Any) -> None:
        self.runs = list(runs)
        self.created = 0

    async def read_flow_runs(self, **_: Any) -> list[Any]:
        return self.runs

    async def create_flow_run_from_deployment(self, _: UUID) -> None:
        self.created += 1


OWN = {"experiment": {"images": "photos"}}
EDITED = {"experiment": {"images": "elsewhere"}}


def run(state: StateType, minutes_ago: int | None, parameters: Any = OWN, name: str = "") -> Any:
    ended = None if minutes_ago is None else datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return SimpleNamespace(state_type=state, state_name=name, end_time=ended, parameters=parameters)


def failed_ten_minutes_ago(*runs: Any) -> bool:
    client: Any = Client(*runs)
    return asyncio.run(has_failed(client, uuid4(), OWN, timedelta(minutes=10)))


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
    assert failed_ten_minutes_ago(run(state, minutes_ago)) is failed


def test_a_night_that_ended_in_an_alert_did_its_work() -> None:
    assert not failed_ten_minutes_ago(run(StateType.FAILED, 11, name="Alert"))


def test_a_failed_run_of_what_a_person_edited_is_not_tried_again() -> None:
    assert not failed_ten_minutes_ago(run(StateType.FAILED, 11, EDITED), run(StateType.COMPLETED, 20))


def test_a_run_of_what_a_person_edited_does_not_hide_that_the_last_of_its_own_failed() -> None:
    assert failed_ten_minutes_ago(run(StateType.COMPLETED, 5, EDITED), run(StateType.FAILED, 20))


def test_without_a_run_there_is_nothing_to_try_again() -> None:
    assert not failed_ten_minutes_ago()


@pytest.mark.parametrize(("parameters", "started"), [(OWN, 0), (EDITED, 1)])
def test_a_waiting_run_spares_another_where_it_reads_the_same_images(parameters: Any, started: int) -> None:
    client: Any = Client(run(StateType.SCHEDULED, None, parameters))
    asyncio.run(start_run(client, uuid4(), OWN))
    assert client.created == started
