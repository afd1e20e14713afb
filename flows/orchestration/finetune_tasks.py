"""An experiment's tails as Prefect tasks, each with its artifacts; what cannot be trained is told before."""

from dataclasses import replace
from functools import cache as kept
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.assets import materialize
from prefect.cache_policies import NO_CACHE

from headstart.extractors.backbones import load_backbone
from headstart.extractors.network import cut_before
from headstart.extractors.spec import find_weights_file
from headstart.flows.errors import JobError
from headstart.flows.experiment import Experiment, FinetuneTable
from headstart.flows.fitting import refuse_unusable
from headstart.flows.fitting.finetuning import LINEAR_HEADS, FinetuneSummary, finetune, linear_options, verdict
from headstart.flows.orchestration.artifacts import slug_of
from headstart.flows.orchestration.assets import embeddings_asset, model_asset
from headstart.flows.orchestration.tasks import worth_retrying
from headstart.flows.output import as_markdown
from headstart.heads.report import interval_text, params_text, score_text


def finetune_in_tasks(experiment: Experiment, keys: list[str], *, progress: bool) -> list[FinetuneSummary]:
    """Train a tail for every ``finetune`` table of the experiment on these keys; to be called in a flow."""
    return [_finetune_table(experiment, table, keys, progress=progress) for table in experiment.finetune]


@materialize(
    "file:///model",  # each run names its own
    name="fine-tune",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=worth_retrying,
)
def finetune_task(experiment: Experiment, table: FinetuneTable, keys: list[str], progress: bool) -> FinetuneSummary:
    """Embed the maps that the cache lacks, train, score once, write model and report; a retry goes on from there."""
    network = experiment.network_of(table)
    options = replace(
        table.options,
        backbone=network.backbone,
        weights=network.weights,
        keys=keys,
        out=experiment.folder_of(table),
        progress=progress,
    )
    return finetune(experiment.cache, table.from_layer, options=options)


def _finetune_table(
    experiment: Experiment, table: FinetuneTable, keys: list[str], *, progress: bool
) -> FinetuneSummary:
    """Run the task of one of the experiment's tails and leave its artifacts."""
    training = finetune_task.with_options(
        task_run_name=f"fine-tune {table.name or 'from ' + ', '.join(table.from_layer)}",
        assets=[model_asset(experiment, table)],
        asset_deps=[embeddings_asset(experiment.cache, key) for key in keys],
    )
    found = training(experiment, table, keys, progress)
    _leave_artifacts(f"{experiment.name} {table.name or 'finetune'}", found)
    return found


def _leave_artifacts(name: str, found: FinetuneSummary) -> None:
    """Leave the tail beside the linear heads in Prefect's UI, and what its page says first."""
    metric, slug = found.winner.metric, slug_of(name)
    rows = [
        {
            "head": row.head,
            "on": row.tap,
            "parameters": params_text(row.params),
            metric: score_text(metric, row.score),
            "95 %": interval_text(metric, row.low, row.high),
        }
        for row in (found.winner, *found.heads)
    ]
    images = f"{found.test.n_images} images of {found.test.split}"
    create_table_artifact(key=f"{slug}-heads", table=rows, description=f"{verdict(found.difference)}, on {images}")
    lines = [f"# {as_markdown(name)}", as_markdown(f"{verdict(found.difference)}."), ""]
    lines += [f"- {as_markdown(note)}" for note in found.notes]
    lines += [
        "",
        "The whole page is this file, on the machine that trained:",
        "",
        f"    {Path(found.report).resolve()}",
    ]
    create_markdown_artifact(key=f"{slug}-report", markdown="\n".join(lines), description=f"Report of {name}")


def refuse_untrainable(experiment: Experiment) -> None:
    """Tell what no tail of an experiment can use, before anything is embedded.

    Raises
    ------
    BackboneError
        A network cannot be trained from a layer on that is named.
    JobError
        A metric is unknown, or none of classes.
    """
    for table in experiment.finetune:
        options = linear_options(replace(table.options, progress=False))
        refuse_unusable(list(LINEAR_HEADS), replace(options, task="classify", keys=None))
        if not experiment.scale:  # else the weights may lie with the workers alone
            network, size = experiment.network_of(table), experiment.settings.image_size
            _try_cuts(network.backbone, network.weights, tuple(table.from_layer), size)


@kept
def _try_cuts(backbone: str, weights: str, layers: tuple[str, ...], image_size: int | None) -> None:
    """Cut a backbone before each layer; a flow that checks again need not wait again."""
    loaded = load_backbone(backbone, weights=str(find_weights_file(weights) or weights), image_size=image_size)
    for layer in layers:
        cut_before(loaded, layer)


def refuse_tails(experiment: Experiment) -> None:
    """Refuse an experiment with tails where heads alone are fitted: on a schedule, and on what is embedded already.

    Raises
    ------
    JobError
        It has a ``finetune`` table.
    """
    if experiment.finetune:
        raise JobError(
            f"experiment {experiment.name!r}: 'headstart run' alone trains the tails of [[finetune]]; nightly, serve "
            "and refitting fit heads: leave the table out there, or keep it in a file of its own"
        )
