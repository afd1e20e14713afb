"""What runs, when and where: the jobs of Headstart as plain functions, as Prefect flows, and as a command line.

The public names are those of the command line; each is imported when it is first asked for, so that the command starts
at once.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.flows.extraction.job import extract
    from headstart.flows.fitting.job import fit
    from headstart.flows.inference.prediction import predict
    from headstart.flows.orchestration.pipeline import run
    from headstart.flows.upkeep.compaction import compact
    from headstart.flows.upkeep.exporting import export
    from headstart.flows.upkeep.inspection import inspect
    from headstart.flows.upkeep.verification import verify

__all__ = ["compact", "export", "extract", "fit", "inspect", "predict", "run", "verify"]

_MODULES = {
    "compact": "compaction",
    "export": "exporting",
    "extract": "extraction",
    "fit": "fitting",
    "inspect": "inspection",
    "predict": "prediction",
    "run": "pipeline",
    "verify": "verification",
}


# Prefect reads these when it is first imported, which is always after this file; whoever sets them otherwise is heeded.
for _name, _value in {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # its default of 20 s is too short on a loaded machine
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the terminal has progress bars; the UI gets every log
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",  # or the embedded server prints tracebacks while it shuts down
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # no telemetry
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_name, _value)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'flows' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module  # noqa: PLC0415 - only needed here

    return getattr(import_module(f"headstart.flows.{_MODULES[name]}"), name)
