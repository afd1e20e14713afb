"""What an operator of Prefect has: `prefect.yaml` deployed on a work pool, and a worker of that pool."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import Any

from support.forked import Forked, run_forked
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
        """A worker of the pool, until the block ends."""
        command = ["-m", "prefect", "worker", "start", "--pool", POOL]
        process = Forked(*command, env=self._environment, cwd=self.folder, out=self.folder / "worker.log")
        try:
            yield
        finally:
            process.send_signal(SIGINT)
            process.wait(timeout=60)

    def start_run(self, name: str, experiment: dict[str, Any]) -> None:
        """Ask for a run of a deployment."""
        run = {"parameters": {"experiment": experiment}}
        post(self.server, f"deployments/{self.deployments[name]['id']}/create_flow_run", run)

    def schedule(self, name: str, experiment: dict[str, Any], seconds: int) -> None:
        schedule = {"schedule": {"interval": seconds}, "parameters": {"experiment": experiment}, "active": True}
        post(self.server, f"deployments/{self.deployments[name]['id']}/schedules", [schedule])

    def pause(self, name: str) -> None:
        """Start no more runs by the schedule."""
        post(self.server, f"deployments/{self.deployments[name]['id']}/pause_deployment", {})

    def runs(self, name: str) -> list[dict[str, Any]]:
        """The runs of a deployment so far, those that began."""
        which = {"deployments": {"id": {"any_": [self.deployments[name]["id"]]}}}
        return [run for run in ask(self.server, "flow_runs", which) if run["start_time"]]
