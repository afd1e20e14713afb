"""An experiment's fits as Prefect tasks, each with its artifacts."""

from dataclasses import replace

from prefect.assets import materialize
from prefect.cache_policies import NO_CACHE

from headstart.flows.experiment import Experiment, FitTable
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting import fit
from headstart.flows.orchestration.artifacts import leave_fit_artifacts
from headstart.flows.orchestration.assets import embeddings_asset, model_asset
from headstart.flows.orchestration.tasks import worth_retrying


def fit_in_tasks(experiment: Experiment, keys: list[str], *, progress: bool) -> list[FitSummary]:
    """Fit the heads of every ``fit`` table of the experiment on these keys; to be called in a flow."""
    return [_fit_table(experiment, table, keys, progress=progress) for table in experiment.fit]


@materialize(
    "file:///model",  # each run names its own
    name="fit heads",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=worth_retrying,
)
def fit_task(experiment: Experiment, table: FitTable, keys: list[str], progress: bool) -> FitSummary:
    """Sweep the heads, choose, score once, write model and report."""
    options = replace(table.options, keys=keys, out=experiment.folder_of(table), progress=progress)
    return fit(experiment.cache, table.head, options=options)


def _fit_table(experiment: Experiment, table: FitTable, keys: list[str], *, progress: bool) -> FitSummary:
    """Run the task of one of the experiment's fits and leave its artifacts."""
    heads = ", ".join(table.head) or f"the {table.options.sweep or 'quick'} sweep"
    fitting = fit_task.with_options(
        task_run_name=f"fit {table.name or heads}",
        assets=[model_asset(experiment, table)],
        asset_deps=[embeddings_asset(experiment.cache, key) for key in keys],
    )
    fitted = fitting(experiment, table, keys, progress)
    leave_fit_artifacts(experiment.name if len(experiment.fit) == 1 else f"{experiment.name} {table.name}", fitted)
    return fitted
