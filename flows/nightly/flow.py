"""The Prefect flow of one night, for a schedule: its final state is called Alert where somebody should look."""

from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from headstart.flows.experiment import Experiment, check_allowed, read_experiment
from headstart.flows.extraction import ExtractionSummary
from headstart.flows.nightly.night import run_night
from headstart.flows.nightly.summary import NightSummary
from headstart.flows.nightly.text import headline, night_page
from headstart.flows.orchestration import (
    NO_PICKLE,
    experiment_at_work,
    extract_in_tasks,
    fit_in_tasks,
    record_embeddings,
    refuse_misspelt,
    refuse_tails,
    slug_of,
    tie_embedded_server,
)

ALERT = "Alert"
"""Name of the final state of a night that somebody should look at, of type FAILED: Prefect shows it in red."""


@flow(
    name="headstart nightly",
    flow_run_name="{experiment.name} nightly",
    persist_result=False,
    result_serializer=NO_PICKLE,
)
def nightly(experiment: Experiment, progress: bool = False) -> State[NightSummary]:
    """Embed what is new, fit again if that matters, compare with the last night, and leave one page about it.

    Its work is done also where it ends as Alert. Call `hold_night` for the `NightSummary`: called as a function, a flow
    that ends so raises.
    """
    refuse_tails(experiment)
    with experiment_at_work(experiment, show=progress) as settled:
        refuse_misspelt(settled)  # a parameter that was typed into Prefect's form has passed through nothing else
        night = run_night(
            settled,
            extract=partial(_extract, settled, progress=progress),
            fit=partial(fit_in_tasks, settled, progress=progress),
            leave=leave_page,
        )
    if night.alerts:
        return Failed(name=ALERT, message="; ".join(night.alerts), data=night)
    return Completed(message=headline(night), data=night)


def leave_page(night: NightSummary) -> None:
    """Leave the page of a night in Prefect's UI; its key is of the experiment's name, so each night is a version."""
    create_markdown_artifact(
        key=f"{slug_of(night.name)}-night", markdown=night_page(night), description=headline(night)
    )


def hold_night(experiment: str | Path | Experiment, *, progress: bool = False) -> NightSummary:
    """Run one night now as a Prefect flow, on the server that is configured or on an embedded one.

    Parameters
    ----------
    experiment : path-like or Experiment
        A TOML file, or what `flows.experiment.reading.read_experiment` made of it.
    progress : bool
        Show bars on standard error.

    Raises
    ------
    JobError
        The file is wrong, or leads where it may not.
    BackboneError, HeadError
        It names something that does not exist, or that its task cannot use.

    Examples
    --------
    >>> night = headstart.nightly("birds.toml")
    >>> night.images, night.alerts
    (36, [])
    """
    checked = experiment if isinstance(experiment, Experiment) else read_experiment(experiment)
    refuse_tails(checked)
    check_allowed(checked)  # before the next line imports code of one's own
    refuse_misspelt(checked)
    tie_embedded_server()
    state: State[Any] = nightly(checked, progress, return_state=True)
    night: Any = state.result(raise_on_failure=state.name != ALERT)
    return night  # type: ignore[no-any-return]  # Prefect keeps what the flow found in the state


def _extract(experiment: Experiment, *, progress: bool) -> ExtractionSummary:
    extracted = extract_in_tasks(experiment, progress=progress)
    record_embeddings(experiment, extracted)
    return extracted
