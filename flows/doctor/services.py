"""The servers that are configured: Prefect's and Dask's. No other is connected to, and none is waited for long."""

import platform
import re
from importlib.metadata import version

from headstart.flows.doctor.finding import Finding

TIMEOUT_S = 4.0


def check_prefect() -> Finding:
    """Ask the Prefect server that is configured, if one is, for its version."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - takes seconds
    from prefect.settings import (  # noqa: PLC0415 - likewise
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    address, mine = str(PREFECT_API_URL.value() or ""), version("prefect")
    if not address:
        return Finding("Prefect", "ok", "no server is configured: a run starts its own; a schedule needs one")
    once = temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})
    with once, get_client({"timeout": TIMEOUT_S}, sync_client=True) as client:
        error = client.api_healthcheck()
        theirs = mine if error else client.api_version()
    where = _without_credentials(address)
    if error:
        advice = "start it by 'prefect server start', or mend PREFECT_API_URL"
        return Finding("Prefect", "fail", f"{where} does not answer: {_first_line(error)}", advice)
    if theirs != mine:
        advice = f"install one version on both, here by pip install prefect=={theirs}"
        return Finding("Prefect", "warn", f"{where} runs {theirs}; here is {mine}", advice)
    return Finding("Prefect", "ok", f"{where} runs {theirs}, as here")


def check_dask(address: str) -> Finding:
    """Ask a Dask scheduler for its workers and versions."""
    from distributed import Client  # noqa: PLC0415 - takes a second

    where = _without_credentials(address)
    try:
        with Client(address, timeout=TIMEOUT_S, set_as_default=False) as client:
            threads = client.nthreads()
            theirs = client.get_versions(check=False)["scheduler"]
    except (OSError, ValueError, RuntimeError) as error:
        advice = "start it by 'dask scheduler' and workers by 'dask worker', or mend the address"
        return Finding("Dask", "fail", f"{where} does not answer: {_first_line(error)}", advice)
    apart = [
        f"{name} {found} there and {mine} here"
        for name, found, mine in (
            ("distributed", theirs["packages"]["distributed"], version("distributed")),
            (
                "Python",
                ".".join(theirs["host"]["python"].split(".")[:2]),
                ".".join(platform.python_version_tuple()[:2]),
            ),
        )
        if found != mine
    ]
    summary = f"{where} has {len(threads)} workers with {sum(threads.values())} threads"
    if not threads:
        return Finding("Dask", "warn", summary, f"start some by 'dask worker {where}'")
    if apart:
        advice = "install one version on scheduler, workers and here"
        return Finding("Dask", "warn", f"{summary}; {', '.join(apart)}", advice)
    return Finding("Dask", "ok", summary)


def _first_line(error: Exception) -> str:
    return _without_credentials(str(error).partition("\n")[0]) or type(error).__name__


def _without_credentials(text: str) -> str:
    """Leave name and password out of every address in a text."""
    return re.sub(r"://[^/@\s]+@", "://", text)
