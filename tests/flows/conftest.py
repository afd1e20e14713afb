"""What the tests of flows share: one real Prefect server, and environments that know of it or of none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.prefect_queries import serving_prefect, without_prefect


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server on loopback; yields its API's address. Runs and artifacts of other tests lie in it, too."""
    with serving_prefect(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module", autouse=True)
def _quick_maps() -> Iterator[None]:
    """Reports whose map shows the first two features: t-SNE takes longer than most fits. Other processes draw it."""

    def project(embedding: np.ndarray) -> np.ndarray:
        return np.pad(np.asarray(embedding, np.float64), ((0, 0), (0, 2)))[:, :2]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.heads.report.page.project", project)
        yield


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a process with a Prefect of its own, without a server."""
    return without_prefect() | {"PREFECT_HOME": str(tmp_path / "prefect"), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def configured(environment: dict[str, str], prefect_server: str) -> dict[str, str]:
    """The environment of a process whose Prefect is told of the server."""
    return environment | {"PREFECT_API_URL": prefect_server}
