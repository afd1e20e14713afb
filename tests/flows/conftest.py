"""What the tests of flows share: one real Prefect server, and environments that know of it or of none."""

import fcntl
import os
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.forked import run_forked
from support.one_server import ASK_IT, OneServer
from support.prefect_queries import without_prefect

ONE_SERVER = pytest.StashKey[OneServer]()


@pytest.fixture(scope="session")
def settle_prefect(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Make a folder a home of Prefect with a database that is up to date: made anew, each costs seven seconds."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # by all processes of this run of pytest
    made = shared / "prefect" / "prefect.db"
    with (shared / "prefect.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            own = without_prefect() | {"PREFECT_HOME": str(made.parent)}
            ran = run_forked("-m", "prefect", "server", "database", "upgrade", "-y", env=own)
            assert ran.returncode == 0, ran.stderr

    def settle(home: Path) -> Path:
        home.mkdir(exist_ok=True)
        copyfile(made, home / made.name)
        return home

    return settle


@pytest.fixture(scope="session")
def one_server(
    tmp_path_factory: pytest.TempPathFactory,
    settle_prefect: Callable[[Path], Path],
    pytestconfig: pytest.Config,
) -> Iterator[OneServer]:
    server = pytestconfig.stash[ONE_SERVER] = OneServer(settle_prefect(tmp_path_factory.mktemp("server")))
    yield server
    server.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """End Prefect's server behind the last test that asks it."""
    yield
    server = item.config.stash.get(ONE_SERVER, None)
    if server and not (nextitem and nextitem.nodeid.startswith(ASK_IT)):
        server.end()


@pytest.fixture(scope="module")
def prefect_server(one_server: OneServer) -> str:
    """A Prefect server on loopback: its API's address. Runs and artifacts of other tests lie in it, too."""
    return one_server.address()


@pytest.fixture(scope="module", autouse=True)
def _quick_pages() -> Iterator[None]:
    """Pages whose map shows the first two features, and whose charts are empty: both take longer than most fits.

    They are drawn in the tests of reports, and by processes that tests start.
    """

    def project(embedding: np.ndarray) -> np.ndarray:
        return np.pad(np.asarray(embedding, np.float64), ((0, 0), (0, 2)))[:, :2]

    original = Figure.savefig

    def save(figure: Figure, file: Any, **options: Any) -> None:
        if options.get("format") == "svg":
            file.write('<svg viewBox="0 0 1 1"></svg>')
        else:
            original(figure, file, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.heads.report.page.project", project)
        patch.setattr("headstart.flows.reporting.map.project", project)
        patch.setattr("headstart.heads.report.transfer.adapt_page.project", project)
        patch.setattr(Figure, "savefig", save)
        yield


@pytest.fixture(scope="session", autouse=True)
def _once_for_all_fits() -> Iterator[None]:
    """Keep what fits do again and again: small pictures of the same photographs, resamples, and looks for heads.

    Each look for installed heads reads a file of every installed package.
    """
    from headstart.flows.reporting import thumbnails
    from headstart.heads.registry import own_heads
    from headstart.heads.scoring import resampling

    @lru_cache
    def installed(_: tuple[str, ...], group: str) -> Any:
        return entry_points(group=group)

    entry_points = own_heads.entry_points
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thumbnails, "thumbnail", lru_cache(maxsize=2000)(thumbnails.thumbnail))
        patch.setattr(resampling, "_kept_draws", lru_cache(maxsize=8)(resampling._kept_draws.__wrapped__))
        patch.setattr(own_heads, "entry_points", lambda group: installed(tuple(sys.path), group))
        yield


@pytest.fixture
def short_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `multitask` choose its linear heads from two candidates each: the others take most of its time."""
    from headstart.heads.transfer.multitask import linear

    def find(name: str, task: str) -> Any:
        head = found(name, task)
        return replace(head, grid={param: values[:2] for param, values in head.grid.items()})

    found = linear.find_head
    monkeypatch.setattr(linear, "find_head", find)


@pytest.fixture
def environment(tmp_path: Path, settle_prefect: Callable[[Path], Path]) -> dict[str, str]:
    """The environment of a process with a Prefect of its own, without a server."""
    return without_prefect() | {"PREFECT_HOME": str(settle_prefect(tmp_path / "prefect")), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def configured(environment: dict[str, str], prefect_server: str) -> dict[str, str]:
    """The environment of a process whose Prefect is told of the server."""
    return environment | {"PREFECT_API_URL": prefect_server}
