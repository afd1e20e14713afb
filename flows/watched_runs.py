"""Runs that are started because the images changed."""

import asyncio
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
from prefect.logging import get_logger

from flows.experiment import Experiment
from flows.watching import Watch, look_at, watched_place


async def start_runs_of_changes(
    client: PrefectClient, deployment_id: UUID, experiment: Experiment, look_every: float
) -> None:
    """Start a run whenever the images changed and are still; never ends.

    A look every `look_every` seconds; where the folder or the server is away, the next look tries again.
    """
    watch, place = Watch(), watched_place(experiment.images)
    while True:
        try:
            look = await asyncio.to_thread(look_at, place, [experiment.cache, experiment.out])
            if watch.due(look):
                await _start_run(client, deployment_id)
        except (OSError, httpx.HTTPError) as error:  # a share or a server that is away for a while
            get_logger("headstart.watch").warning("%s: cannot be watched now (%s); looking again", place, error)
            watch.done = None
        await asyncio.sleep(look_every)


async def _start_run(client: PrefectClient, deployment_id: UUID) -> None:
    """Ask for a run, unless one waits already: it will see the same images."""
    waiting = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING]))
        ),
        limit=1,
    )
    if not waiting:
        await client.create_flow_run_from_deployment(deployment_id)
