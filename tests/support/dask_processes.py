"""A real Dask scheduler and real workers, in processes of their own on loopback."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

from support.forked import Forked
from support.prefect_queries import free_port, wait_for


class DaskProcesses(ExitStack):
    """Processes that end with the block; logs lie in `folder`, and the backbone of tests finds its gate there."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.port = folder, free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._n_logs = 0
        self._scheduler: Forked | None = None

    def start_scheduler(self) -> None:
        """Start a scheduler, at the same address each time, that gives a task to two workers at most."""
        ports = ["--port", str(self.port), "--dashboard-address", "127.0.0.1:0"]
        self._scheduler = self._start("scheduler", *ports, "--no-dashboard")

    def end_scheduler(self) -> None:
        assert self._scheduler is not None
        end(self._scheduler)

    def start_worker(self, *options: str) -> Forked:
        """Start a worker of one thread that ends when it is killed, as a lost machine does."""
        where = ["--local-directory", str(self.folder), "--no-dashboard", "--memory-limit", "0"]
        return self._start("worker", self.address, "--no-nanny", "--nthreads", "1", *where, *options)

    def _start(self, *command: str) -> Forked:
        self._n_logs += 1
        environment = os.environ | {
            "GATE": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
        }
        log = self.folder / f"{command[0]}-{self._n_logs}.log"
        process = Forked("-m", "dask", *command, "--host", "127.0.0.1", env=environment, out=log)
        self.callback(end, process)
        return process

    def wait_until_gated(self, *workers: Forked) -> None:
        """Wait until each of these workers waits amid a shard."""
        for worker in workers:
            wait_for((self.folder / f"waits-{worker.pid}").exists, f"worker {worker.pid} to be amid a shard")

    def allow(self, n_passes: int | None) -> None:
        """Let each process make so many forward passes; None lets them all go on."""
        gate = self.folder / "allowed"
        if n_passes is None:
            gate.unlink(missing_ok=True)
        else:
            gate.with_suffix(".part").write_text(str(n_passes))
            gate.with_suffix(".part").replace(gate)


def end(process: Forked) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
