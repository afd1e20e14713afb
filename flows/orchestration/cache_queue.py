"""Runs of one cache, one after the other.

Two things see to it, and each does what the other cannot:

- A limit of Prefect's, one slot a cache, that all served deployments on the cache share. A run that finds it taken
  waits on the server as ``AwaitingConcurrencySlot``: no process starts, and an operator sees why. The slot has a lease:
  when a run's process dies, its runner gives it back at once, and when the runner dies too, the lease ends by itself
  within five minutes. But a server that keeps leases in memory, which is Prefect's default, forgets them when it is
  restarted, while the slot stays counted (`free_dead_runs` mends that); and runs that nobody served (``headstart run``,
  ``headstart extract``) take no slot at all. So it orders runs, and nothing that must be true rests on it.
- A lock of the kernel's on a file in the cache. It is gone with the process that holds it, however that ended, so it
  can never be left behind; and whoever holds it is alone with the cache, whichever deployment, worker or terminal it
  came from. What it cannot do is to be seen in Prefect's UI, and the process that waits for it exists already.

Below both, every key has a writer's lock of its own (`extractors.writer_lock`): with it, no row is embedded twice even
beside a ``headstart extract`` by hand.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from filelock import FileLock, Timeout
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, FlowRun, State, StateType
from prefect.states import Crashed

from headstart.extractors.writer_lock import WRITER_LOCK, writer_lock
from headstart.flows.orchestration.tasks import run_logger
from headstart.flows.output import show_notes

ONE_AFTER_THE_OTHER = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


@contextmanager
def turn_of(cache: Path, *, show: bool = False) -> Iterator[None]:
    """Be the only run of a cache; wait for another to end. It cannot be entered twice.

    Raises
    ------
    CacheError
        The cache's folder cannot be written, or its file system knows no locks.
    """

    def say(lock: Path) -> None:
        text = f"another run uses {cache}; waiting for it to end ({lock})"
        run_logger().info(text)
        if show:
            show_notes([text])

    with writer_lock(cache, on_wait=say):
        yield


def limit_name(cache: Path) -> str:
    """Name the limit of a cache: readable, and the same for every experiment that writes into this folder."""
    place = str(cache.expanduser().resolve())
    return f"cache:{Path(place).name}:{hashlib.sha256(place.encode()).hexdigest()[:12]}"


async def share_limit(client: PrefectClient, deployment_id: UUID, cache: Path) -> None:
    """Let a deployment take its slot from the limit of its cache instead of one of its own.

    The deployment was registered with `ONE_AFTER_THE_OTHER`, which keeps what it says of collisions.
    """
    name = limit_name(cache)
    await client.upsert_global_concurrency_limit_by_name(name, 1)
    shared = await client.read_global_concurrency_limit_by_name(name)
    own = (await client.read_deployment(deployment_id)).global_concurrency_limit
    if own is not None and own.id == shared.id:
        return
    # The client's own models lack the field; the server's API has it.
    change = {"global_concurrency_limit_id": str(shared.id)}
    await client.request("PATCH", "/deployments/{id}", path_params={"id": deployment_id}, json=change)
    if own is not None and own.name.startswith("deployment:"):
        await client.delete_global_concurrency_limit_by_name(own.name)


async def free_dead_runs(client: PrefectClient, deployment_id: UUID, cache: Path) -> list[str]:
    """Tell the server which runs of a deployment have died without a word, so that their slot is free again.

    A run holds the kernel's lock on its cache. Where nobody does, no run is alive, whatever the server remembers: the
    machine lost its power, or server and runner were killed together.

    Returns
    -------
    list of str
        Names of the runs that are now ``Crashed``.
    """
    lock = FileLock(cache / WRITER_LOCK)
    if not cache.is_dir():
        return []
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return []
    try:
        running = await client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING]))
            ),
        )
        # A run whose form named another cache may be alive: its lock is elsewhere.
        mine = [run for run in running if _cache_of(run) in (None, str(cache))]
        for run in mine:
            died: State[None] = Crashed(message=f"its process is gone: nobody holds {lock.lock_file}")
            await client.set_flow_run_state(run.id, died, force=True)
        return [run.name for run in mine]
    finally:
        lock.release()


def _cache_of(run: FlowRun) -> str | None:
    """Return the cache that a run's parameters name."""
    experiment = run.parameters.get("experiment")
    return str(experiment["cache"]) if isinstance(experiment, dict) and "cache" in experiment else None
