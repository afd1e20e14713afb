"""A served experiment: a deployment on the Prefect server, and a process that runs what the server schedules."""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL
from prefect.types.entrypoint import EntrypointType

from headstart.flows.errors import JobError
from headstart.flows.experiment import Experiment, check_allowed, export_limits, read_experiment
from headstart.flows.nightly import nightly
from headstart.flows.orchestration import (
    ONE_AFTER_THE_OTHER,
    free_dead_runs,
    refuse_misspelt,
    refuse_tails,
    share_limit,
)
from headstart.flows.serving.runner import TidyRunner
from headstart.flows.serving.schedules import When, read_when
from headstart.flows.serving.watched_runs import start_runs_of_changes
from headstart.flows.serving.watching import watched_place

SERVED: Flow[..., Any] = nightly
LOOK_EVERY_S = 60.0


@dataclass(frozen=True)
class Served:
    """Deployment that is being served.

    Attributes
    ----------
    deployment : str
        ``FLOW/NAME``, as ``prefect deployment run`` takes it.
    when : str
        What starts its runs, in words.
    address : str
        Of the deployment in Prefect's UI.
    notes : list of str
        What a person should know.
    """

    deployment: str
    when: str
    address: str
    notes: list[str]


def serve(
    experiment: str | Path,
    *,
    cron: str | None = None,
    interval: str | float | None = None,
    watch: bool = False,
    timezone: str = "UTC",
    name: str | None = None,
    look_every: float = LOOK_EVERY_S,
    on_ready: Callable[[Served], None] | None = None,
) -> None:
    """Register an experiment with the Prefect server and run what is scheduled, until this process is ended.

    Runs are processes of their own on this machine, one at a time for all deployments on the experiment's cache. What
    the experiment's ``[security]`` table allows is pinned for all of them, whatever parameters the UI sends. No port is
    opened but one on loopback, over which Prefect asks a run to stop.

    Parameters
    ----------
    experiment : path-like
        A TOML file: the runs' default parameter.
    cron : str, optional
        When to run: minute, hour, day, month, weekday, such as ``0 2 * * *``.
    interval : str or float, optional
        Time between two starts: seconds, or ``30m``, ``1h``, ``1d``.
    watch : bool
        Run whenever the images changed and are still. Without any of the three, runs start on demand.
    timezone : str
        Of `cron`, such as ``Europe/Berlin``.
    name : str, optional
        Of the deployment; by default the experiment's. A second process under the same name takes over.
    look_every : float
        Seconds between two looks at the images, where they are watched.
    on_ready : callable
        Called once all is registered.

    Raises
    ------
    JobError
        The file is wrong, or no Prefect server that stays is configured and answers.
    BackboneError, HeadError
        It names something that does not exist, or that its task cannot use.

    Examples
    --------
    Without a server that stays it says how to start one:

    >>> headstart.serve("birds.toml", cron="0 2 * * *")
    Traceback (most recent call last):
    ...
    headstart.flows.errors.JobError: no Prefect server is configured, and schedules need one that stays: ...
    """
    when = read_when(cron, interval, watch=watch, timezone=timezone)
    api = require_server()
    checked = read_experiment(experiment)
    refuse_tails(checked)
    check_allowed(checked)
    refuse_misspelt(checked)
    # The runs inherit it: what the UI sends as a parameter can narrow these limits, and never widen them.
    os.environ.update(export_limits(checked))
    if when.watch:
        watched_place(checked.images)  # or it would be refused when all is registered
    runner = TidyRunner(name=deployment_name(name or checked.name))
    try:
        with runner.sigterm_passed_on():
            asyncio.run(_serve(runner, checked, when, look_every, on_ready))
    except httpx.TransportError as error:
        raise _unanswered(api, error) from error
    except ExceptionGroup as failures:  # of a loop of Prefect's runner, or of ours
        first: Exception = failures
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        if isinstance(first, RuntimeError | httpx.TransportError):  # the former after some of the latter
            raise _unanswered(api, first) from failures
        raise first from failures


def _unanswered(api: str, error: Exception) -> JobError:
    return JobError(f"{api}: no Prefect server answers ({error}); start it, or set PREFECT_API_URL to where it is")


def require_server() -> str:
    """Return the address of the Prefect server that is configured.

    Raises
    ------
    JobError
        None is: Prefect would start one that ends with this process and never schedules anything.
    """
    address = PREFECT_API_URL.value()
    if address:
        return str(address)
    raise JobError(
        "no Prefect server is configured, and schedules need one that stays: start it with 'prefect server start', say "
        "where it is with 'export PREFECT_API_URL=http://127.0.0.1:4200/api', and serve again"
    )


async def register(runner: Runner, experiment: Experiment, when: When, client: PrefectClient) -> UUID:
    """Make or renew the experiment's deployment, which bears the runner's name; returns its id."""
    deployment_id = await runner.aadd_flow(
        SERVED,
        schedules=when.schedules(),
        parameters={"experiment": experiment.model_dump(mode="json")},
        concurrency_limit=ONE_AFTER_THE_OTHER,
        description=f"Experiment {experiment.name!r} on {experiment.images}, into {experiment.cache}.",
        tags=["headstart"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    await share_limit(client, deployment_id, experiment.cache)
    return deployment_id


async def _serve(
    runner: Runner, experiment: Experiment, when: When, look_every: float, on_ready: Callable[[Served], None] | None
) -> None:
    async with get_client() as client:
        deployment_id = await register(runner, experiment, when, client)
        dead = await free_dead_runs(client, deployment_id, experiment.cache)
        if on_ready:
            notes = [f"run {run!r} had died without a word; it is marked Crashed" for run in dead]
            address = f"{PREFECT_UI_URL.value()}/deployments/deployment/{deployment_id}"
            on_ready(Served(f"{SERVED.name}/{runner.name}", when.text, address, notes))
        if not when.watch:
            await runner.start()
            return
        async with asyncio.TaskGroup() as together:  # if one of them fails, the other must not go on alone
            looking = together.create_task(start_runs_of_changes(client, deployment_id, experiment, look_every))
            await runner.start()
            looking.cancel()


def deployment_name(name: str) -> str:
    """Take out of an experiment's name what Prefect does not allow in a deployment's."""
    return re.sub(r"[/%&<>]+", "-", name.removesuffix(".py"))
