"""The jobs of Headstart as plain functions, as Prefect flows, and as a command line.

demo         Whole job on a small scale, offline: pre-train, extract, fit and report on handwritten digits.
errors       Tree of what can go wrong in a job as a whole.
fit_summary  Values that a fit returns, for programs and people.
"""

import os

import lazy_loader

# Prefect reads these when it is first imported, which is always after this file; whoever sets them otherwise is heeded.
for _name, _value in {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # its default of 20 s is too short on a loaded machine
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the terminal has progress bars; the UI gets every log
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",  # or the embedded server prints tracebacks while it shuts down
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # no telemetry
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_name, _value)

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
