"""Runs that are started because the images changed."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.logging import get_logger

from headstart.flows.experiment import Experiment
from headstart.flows.nightly import ALERT
from headstart.flows.serving.watching import Watch, look_at, watched_place

_PATIENCE = 10  # looks between a run that failed and the next try
_LATEST = 50  # runs of a deployment that are looked at


async def start_runs_of_changes(
    client: PrefectClient, deployment_id: UUID, experiment: Experiment, look_every: float
) -> None:
    """Start a run whenever the images changed and are still; never ends.

    A look every `look_every` seconds; where the folder or the server is away, the next look tries again, and so does
    the tenth look after a run that failed.
    """
    watch, place = Watch(), watched_place(experiment.images)
    parameters = {"experiment": experiment.model_dump(mode="json")}
    while True:
        try:
            look = await asyncio.to_thread(look_at, place, [experiment.cache, experiment.out])
            if watch.due(look):
                await start_run(client, deployment_id, parameters)
            elif await has_failed(client, deployment_id, parameters, timedelta(seconds=_PATIENCE * look_every)):
                watch.done = None  # the next look is due, though nothing changed
        except (OSError, httpx.HTTPError) as error:  # a share or a server that is away for a while
            get_logger("headstart.watch").warning("%s: cannot be watched now (%s); looking again", place, error)
            watch.done = None
        await asyncio.sleep(look_every)


async def has_failed(
    client: PrefectClient, deployment_id: UUID, parameters: Mapping[str, Any], since: timedelta
) -> bool:
    """Tell whether the last run with these parameters failed, at least so long ago: what was away may be back.

    Runs whose parameters a person edited in the UI are that person's to try again.
    """
    runs = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=_LATEST,
    )
    last = next((run for run in runs if run.parameters == parameters), None)
    if last is None or last.state_type not in (StateType.FAILED, StateType.CRASHED) or last.state_name == ALERT:
        return False  # a night that ends in an alert did its work
    return last.end_time is not None and datetime.now(UTC) - last.end_time >= since


async def start_run(client: PrefectClient, deployment_id: UUID, parameters: Mapping[str, Any]) -> None:
    """Ask for a run, unless one with the same parameters waits already: it will see the same images."""
    waiting = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING]))
        ),
        limit=_LATEST,
    )
    if not any(run.parameters == parameters for run in waiting):
        await client.create_flow_run_from_deployment(deployment_id)
