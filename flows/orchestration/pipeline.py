"""The Prefect flow of a whole experiment: list, embed shard by shard, fit, fine-tune, report."""

from dataclasses import dataclass, field
from pathlib import Path

from prefect import flow

from headstart.extractors.images import has_own_scheme, is_url
from headstart.extractors.images.remote import check_address, redacted
from headstart.extractors.results import JobResult
from headstart.flows.errors import JobError
from headstart.flows.experiment import Experiment, check_allowed, read_experiment
from headstart.flows.extraction import ExtractionSummary, check_there, check_wanted
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting import refuse_unusable
from headstart.flows.fitting.finetuning import FinetuneSummary
from headstart.flows.orchestration.assets import record_embeddings
from headstart.flows.orchestration.embedded_server import tie_embedded_server
from headstart.flows.orchestration.extraction_tasks import extract_in_tasks, wanted_by
from headstart.flows.orchestration.finetune_tasks import finetune_in_tasks, refuse_untrainable
from headstart.flows.orchestration.fit_tasks import fit_in_tasks
from headstart.flows.orchestration.preparation import NO_PICKLE, experiment_at_work
from headstart.flows.output import show_line


@dataclass(frozen=True, repr=False)
class RunSummary(
    JobResult,
    says="{extraction.cache}: {extraction.images:n image}, {fits:n fit}\n{fit.report}",
    tables=("winners",),
):
    """Summary of a run.

    Attributes
    ----------
    extraction : ExtractionSummary
    fit : FitSummary
        Of ``[fit]``, or of the first ``[[fit]]``.
    further_fits : list of FitSummary
        Of the other ``[[fit]]`` tables, in their order.
    finetunes : list of FinetuneSummary
        Of the ``[[finetune]]`` tables, in their order.
    """

    extraction: ExtractionSummary
    fit: FitSummary
    further_fits: list[FitSummary] = field(default_factory=list)
    finetunes: list[FinetuneSummary] = field(default_factory=list)

    @property
    def fits(self) -> list[FitSummary]:
        """The summary of every fit."""
        return [self.fit, *self.further_fits]

    @property
    def winners(self) -> list[dict[str, object]]:
        """The winner of every fit with its one score, and where its report is."""
        names = ("label", "tap", "head", "params", "metric")
        return [
            {name: getattr(one.winner, name) for name in names}
            | {"test": one.test.scores[one.winner.metric], "report": one.report}
            for one in self.fits
        ]


def run(experiment: str | Path | Experiment, *, progress: bool = False) -> RunSummary:
    """Run an experiment as a Prefect flow, on the server that is configured or on an embedded one.

    Parameters
    ----------
    experiment : path-like or Experiment
        A TOML file, or what `flows.experiment.reading.read_experiment` made of it.
    progress : bool
        Show bars on standard error.

    Raises
    ------
    JobError
        The file is wrong.
    BackboneError, HeadError
        It names something that does not exist, or that its task cannot use.

    Examples
    --------
    >>> found = headstart.run("birds.toml")
    >>> found.fit.winner.head, found.extraction.images
    ('centroid', 36)
    """
    checked = experiment if isinstance(experiment, Experiment) else read_experiment(experiment)
    check_allowed(checked)  # before the next line imports code of one's own
    check_there(checked.images)  # what is served may wait for its images to be mounted
    refuse_misspelt(checked)
    if progress:
        show_line("starting Prefect, which takes some seconds")
    tie_embedded_server()
    return run_experiment(checked, progress)


def refuse_misspelt(experiment: Experiment) -> None:
    """Tell what is misspelt now, and not when a server is up and half the work done, or has kept what is secret.

    Raises
    ------
    ImageSetError
        The images' address is refused, such as one with a password in it: parameters of a flow are kept for good.
    BackboneError, HeadError
        The experiment names something that does not exist, or a head that its task cannot use.
    JobError
        So is a metric, or another option of a fit; or a scheduler's address holds a password.
    """
    if is_url(experiment.images) and not has_own_scheme(experiment.images):
        check_address(experiment.images)
    if experiment.scale and redacted(experiment.scale.dask) != experiment.scale.dask:
        raise JobError(
            f"[scale] dask = {redacted(experiment.scale.dask)!r}: an address with a password or a query, which Prefect "
            "would keep; leave it out, and configure Dask's TLS"
        )
    check_wanted(experiment.images, wanted_by(experiment), experiment.cache)
    for fit_table in experiment.fit:
        refuse_unusable(fit_table.head, fit_table.options)
    refuse_untrainable(experiment)


@flow(name="headstart", flow_run_name="{experiment.name}", persist_result=False, result_serializer=NO_PICKLE)
def run_experiment(experiment: Experiment, progress: bool = False) -> RunSummary:
    """Extract with every backbone, fit the heads, train the tails, and leave a table and a page of each report."""
    with experiment_at_work(experiment, show=progress) as settled:
        refuse_misspelt(settled)  # a parameter that was typed into Prefect's form has passed through nothing else
        extracted = extract_in_tasks(settled, progress=progress)
        record_embeddings(settled, extracted)
        keys = [key.id for key in extracted.keys]
        fits = fit_in_tasks(settled, keys, progress=progress)
        tails = finetune_in_tasks(settled, keys, progress=progress)
    return RunSummary(extracted, fits[0], fits[1:], tails)
