"""What the server of forked processes imports, so that none of them has to; see `support.forked`.

Prefect looks at the environment when it is imported, and `headstart.flows` sets what it is to find there. Both are laid
aside here: a forked process that imports one takes it up there and then, and has it look, or set, again. Dask, which
looks as well, does so when a process begins.
"""

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NAMES = [
    "cleanlab.filter",
    "distributed.cli.dask_scheduler",
    "distributed.cli.dask_worker",
    "h5py",
    "matplotlib.backends.backend_svg",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.discriminant_analysis",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.svm",
    "skops.io",
    "torch",
    "torchvision",
    "headstart.extractors.extraction.extraction",
    "headstart.flows.cli.app",
    "headstart.flows.extraction.scaled",
    "headstart.flows.fitting.finetuning.job",
    "headstart.flows.fitting.job",
    "headstart.flows.inference.model",
    "headstart.flows.reporting.explanation",
    "headstart.heads.solvers.logistic.grid",
]
"""None of them imports Prefect: it would hold on to one that has not looked at its environment."""

PREFECT = ["prefect", "prefect.cli", "prefect.flow_engine", "prefect.server.api.server"]
SERVING = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2"}
"""What Prefect's server takes from the environment once for all, of that which tests set: all of them to this."""


class LaidAside(MetaPathFinder, Loader):
    """A package as it was imported, for whoever imports it first, which then does `again`."""

    def __init__(self, package: str, again: Callable[[ModuleType], None]) -> None:
        names = [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]
        self._modules = {name: sys.modules.pop(name) for name in names}
        self._package, self._again, self._spec = package, again, self._modules[package].__spec__

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname == self._package else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        sys.meta_path.remove(self)
        sys.modules.update(self._modules)
        return self._modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import put its own there
        self._again(module)


def look_again(prefect: ModuleType) -> None:
    prefect.context.refresh_global_settings_context()
    prefect.logging.configuration.PROCESS_LOGGING_CONFIG.clear()  # or else only levels are set
    prefect.logging.configuration.setup_logging()


def set_again(flows: ModuleType) -> None:
    """Set what Prefect is to find in the environment."""
    assert flows.__spec__ is not None
    assert flows.__spec__.loader is not None
    flows.__spec__.loader.exec_module(flows)


def preload() -> None:
    os.fsync = lambda _: None  # as in tests/conftest.py
    for name in NAMES:
        importlib.import_module(name)
    assert "prefect" not in sys.modules
    set_before = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PREFECT_")}
    os.environ.update(SERVING)
    for name in PREFECT:
        importlib.import_module(name)
    for name in SERVING:
        del os.environ[name]
    os.environ.update(set_before)
    sys.meta_path[:0] = [LaidAside("prefect", look_again), LaidAside("headstart.flows", set_again)]
    # Or else each process's look for cycles would go through all of it, and copy the memory that it lies in.
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # or else libraries complain, at its end, of what they find left over


preload()
