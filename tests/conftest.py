"""What the tests share: tiny photographs of three classes, and caches of them made with a tiny random backbone."""

import gc
import importlib.metadata
import os
import signal
from collections.abc import Callable, Generator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.one_server import ASK_IT
from support.shared_imports import ImportedTests, share_server_of_forks, start_server_of_forks

# Nothing that a test writes is to outlive a power cut, and one waits longer for a disk than for most of what is tested.
os.fsync = lambda _: None

# An extraction asks for a dozen versions, and reads a file for each.
importlib.metadata.version = lru_cache(importlib.metadata.version)

CLASSES = ("cat", "dog", "owl")

# What takes longest comes first, then the other tests that start processes: the last file to end would leave the other
# cores waiting. The command line cannot say so, for pytest sees each file once, in the order of the folder above it.
ORDER = (
    (
        "tests/flows/orchestration/",
        "tests/test_benchmarks",
        "tests/flows/serving/",
        "tests/flows/test_demo.py",
        "tests/flows/extraction/test_cluster_faults.py",
    ),
    ("tests/flows/", "tests/test_", "tests/heads/test_"),
    ("",),
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile``, files that share a server stay together, too."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class LoadFilesOfOneServer(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "Prefect's server" if nodeid.startswith(ASK_IT) else super()._split_scope(nodeid)

    return LoadFilesOfOneServer(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first; all others stay in their order."""
    items.sort(key=lambda item: next(place for place, names in enumerate(ORDER) if item.nodeid.startswith(names)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage meanwhile: nearly all that is imported stays, and each look goes through all of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Fork the processes of xdist, which all need the same imports, from one."""
    start_server_of_forks()  # both take their time, side by side
    imported = ImportedTests(config.args)
    config.add_cleanup(imported.end)
    for spec in specs:
        spec.python = imported.python


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of xdist where processes are forked for all of them."""
    node.workerinput["forks"] = start_server_of_forks()


def pytest_configure(config: pytest.Config) -> None:
    """Take up what the process that started this one of xdist tells."""
    if given := getattr(config, "workerinput", None):
        share_server_of_forks(given["forks"])


# A shell without job control starts what it puts into the background with Ctrl-C ignored, and nohup with SIGHUP, and so
# would be every process that a test starts and then interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def draw(path: Path, label: int, seed: int, size: tuple[int, int] = (48, 40)) -> Path:
    """Write an image that a classifier can learn: noise around the colour of its class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawn(path.suffix.lower(), label, seed, size))
    return path


@lru_cache(maxsize=500)  # most tests take the same
def drawn(suffix: str, label: int, seed: int, size: tuple[int, int]) -> bytes:
    """The bytes of that image."""
    colour = np.full(3, 60) + np.eye(3)[label] * 130
    noise = np.random.default_rng(seed).normal(0, 12, (size[1], size[0], 3))
    file = BytesIO()
    Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(file, Image.registered_extensions()[suffix])
    return file.getvalue()


def age(folder: Path) -> None:
    """Date every file long before any listing, as files usually are."""
    for path in folder.rglob("*.*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder per class with 12 PNG files each."""
    folder = tmp_path / "photos"
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(folder / name / f"{number:02d}.png", label, seed=100 * label + number)
    return folder


@pytest.fixture
def embed(photos: Path, tmp_path: Path) -> Callable[..., Any]:
    """Extract `photos` into one cache with the tiny backbone, in float32; keyword arguments override."""
    from headstart.flows.extraction.job import extract

    def run(**options: Any) -> Any:
        given = {
            "images": photos,
            "backbone": "small_cnn",
            "weights": "none",
            "cache": tmp_path / "cache",
            "precision": "fp32",
        }
        return extract(**(given | options))

    return run


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real photographs and weights; tests that need them skip where they are not at hand."""
    place = os.environ.get("HEADSTART_DATA")
    if not place or not (Path(place) / "data" / "hymenoptera").is_dir():
        pytest.skip("HEADSTART_DATA does not name a folder with data/hymenoptera")
    return Path(place)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, so that default outputs land there."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
