"""Whether this machine can do what is asked of it: everything is looked at, nothing is changed or fetched."""

from pathlib import Path

from headstart.extractors.results import ResultList
from headstart.flows.doctor.experiment import check_experiment
from headstart.flows.doctor.finding import Finding
from headstart.flows.doctor.installation import check_libraries, check_weights
from headstart.flows.doctor.machine import check_compiler, check_cpu, check_disk, check_gpu, check_low_precision
from headstart.flows.doctor.services import check_dask, check_prefect
from headstart.flows.experiment import Experiment, read_experiment


class Diagnosis(ResultList[Finding], says="{rows:n thing} looked at: {_states}", tables=("rows",)):
    """Findings in the order in which to mend them."""

    @property
    def ready(self) -> bool:
        """Whether a run would get through."""
        return not any(finding.state == "fail" for finding in self)

    @property
    def _states(self) -> str:
        states = [finding.state for finding in self]
        return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def doctor(experiment: str | Path | Experiment | None = None, *, dask: str | None = None) -> Diagnosis:
    """Look at the installation, the machine, and the servers that are configured, and say what to do.

    Parameters
    ----------
    experiment : path-like or Experiment, optional
        A TOML file whose folders, weights and servers are looked at, too.
    dask : str, optional
        Address of a Dask scheduler, such as ``tcp://10.0.0.5:8786``.

    Raises
    ------
    JobError
        The experiment cannot be read.

    Examples
    --------
    >>> [finding.name for finding in headstart.doctor()][:2]
    ['libraries', 'CPU']
    """
    read = read_experiment(experiment) if isinstance(experiment, str | Path) else experiment
    return Diagnosis(diagnose(read, dask=dask))


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
