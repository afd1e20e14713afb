"""Whether this machine can do what is asked of it: everything is looked at, nothing is changed or fetched."""

from pathlib import Path

from headstart.flows.doctor.experiment import check_experiment
from headstart.flows.doctor.finding import Finding
from headstart.flows.doctor.installation import check_libraries, check_weights
from headstart.flows.doctor.machine import check_compiler, check_cpu, check_disk, check_gpu, check_low_precision
from headstart.flows.doctor.services import check_dask, check_prefect
from headstart.flows.experiment import Experiment


def diagnose(experiment: Experiment | None = None, *, dask: str | None = None) -> list[Finding]:
    """Look at the installation, the machine, and the servers that are configured; only these are connected to.

    Parameters
    ----------
    experiment : Experiment, optional
        Its folders, weights, device and Dask scheduler are looked at, too.
    dask : str, optional
        Address of a Dask scheduler.

    Returns
    -------
    list of Finding
        In the order in which to mend them. Where libraries cannot be loaded, what needs them is left out.
    """
    findings = check_libraries()
    folders = [experiment.cache, experiment.out] if experiment else [Path()]
    if not any(finding.state == "fail" for finding in findings):
        findings += [
            check_cpu(),
            check_low_precision(),
            check_gpu(experiment.settings.device if experiment else "auto"),
            check_compiler(experiment.settings.compile if experiment else "auto"),
            *check_weights(experiment),
            *(check_experiment(experiment) if experiment else []),
            check_prefect(),
            *(check_dask(address) for address in _schedulers(experiment, dask)),
        ]
    return [*findings, *check_disk(folders)]


def _schedulers(experiment: Experiment | None, dask: str | None) -> list[str]:
    tables = experiment.fit if experiment else []
    named = [dask, *(table.options.dask for table in tables)]
    if experiment and experiment.scale:
        named.append(experiment.scale.dask)
    return list(dict.fromkeys(address for address in named if address and (address == dask or "://" in address)))
