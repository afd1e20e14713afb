"""What an operator of Prefect has: `prefect.yaml` deployed on a work pool, and a worker of that pool."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGINT
from typing import Any

from support.forked import PYTHON, Forked, forking_python, run_forked
from support.prefect_queries import ask, post, without_prefect

ROOT = Path(__file__).parent.parent.parent
POOL = "headstart"


class Operations:
    """A copy of `prefect.yaml` in `folder`, as Prefect's own commands deployed it."""

    def __init__(self, server: str, folder: Path) -> None:
        self.server, self.folder = server, folder
        own = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": server, "OMP_NUM_THREADS": "1"}
        own["PREFECT_WORKER_QUERY_SECONDS"] = "1"  # it looks for runs every ten seconds otherwise
        self._environment = without_prefect() | own
        (folder / "prefect.yaml").write_bytes((ROOT / "prefect.yaml").read_bytes())
        self.prefect("work-pool", "create", POOL, "--type", "process")
        self.prefect("--no-prompt", "deploy", "--all")
        found = [one for one in ask(server, "deployments") if one["work_pool_name"] == POOL]
        self.deployments: dict[str, dict[str, Any]] = {one["name"]: one for one in found}

    def prefect(self, *words: str) -> None:
        """Run one of Prefect's own commands."""
        ran = run_forked("-m", "prefect", *words, env=self._environment, cwd=self.folder)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A worker of the pool, until the block ends; the processes of its runs are forked, too."""
        command = ["-m", "prefect", "worker", "start", "--pool", POOL]
        env = self._environment | {PYTHON: str(forking_python(self.folder))}
        process = Forked(*command, env=env, cwd=self.folder, out=self.folder / "worker.log")
        try:
            yield
        finally:
            process.send_signal(SIGINT)
            process.wait(timeout=60)

    def start_run(self, name: str, experiment: dict[str, Any]) -> None:
        """Ask for a run of a deployment."""
        run = {"parameters": {"experiment": experiment}}
        post(self.server, f"deployments/{self.deployments[name]['id']}/create_flow_run", run)

    def schedule(self, name: str, experiment: dict[str, Any]) -> None:
        """Schedule a deployment for now and for the same time of every day after."""
        deployment, now = f"deployments/{self.deployments[name]['id']}", datetime.now(UTC).isoformat()
        every_day = {"interval": 86_400, "anchor_date": now}
        schedule = {"schedule": every_day, "parameters": {"experiment": experiment}, "active": True}
        post(self.server, f"{deployment}/schedules", [schedule])
        # The server's own look at schedules is up to two seconds away, and plans nothing for then that has passed.
        post(self.server, f"{deployment}/schedule", {"start_time": now, "end_time": now})

    def runs(self, name: str) -> list[dict[str, Any]]:
        """The runs of a deployment so far, those that began."""
        which = {"deployments": {"id": {"any_": [self.deployments[name]["id"]]}}}
        return [run for run in ask(self.server, "flow_runs", which) if run["start_time"]]
