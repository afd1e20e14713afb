"""The one Prefect server that tests share, which looks for work all the time: it ends when none of them is left."""

from contextlib import ExitStack
from pathlib import Path

from support.prefect_queries import serving_prefect

# They run in one process of xdist; it takes long, so it begins.
ASK_IT = (
    "tests/flows/orchestration/",
    "tests/flows/serving/",
    "tests/flows/extraction/test_cluster_faults.py",
    "tests/flows/nightly/test_flow.py",
    "tests/flows/doctor/test_services.py",
    "tests/flows/test_examples.py",
)


class OneServer:
    """A server on loopback from the first question for its address to `end`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._address = ""
        self._running = ExitStack()

    def address(self) -> str:
        """Its API's address."""
        if not self._address:
            self._address = self._running.enter_context(serving_prefect(self._home))
        return self._address

    def end(self) -> None:
        """End it, if it runs."""
        self._address = ""
        self._running.close()
