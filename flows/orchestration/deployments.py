"""The flows that ``prefect.yaml`` names: extraction and refitting, each with a whole experiment as its parameter."""

from prefect import flow

from headstart.extractors.backbones import canonical_name
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.extraction import recall
from headstart.extractors.spec import find_weights_file, short_name
from headstart.flows.errors import JobError
from headstart.flows.experiment import Experiment, ExtractTable
from headstart.flows.extraction import ExtractionSummary
from headstart.flows.fit_summary import FitSummary
from headstart.flows.orchestration.assets import record_embeddings
from headstart.flows.orchestration.extraction_tasks import extract_in_tasks, wanted_by
from headstart.flows.orchestration.finetune_tasks import refuse_tails
from headstart.flows.orchestration.fit_tasks import fit_in_tasks
from headstart.flows.orchestration.preparation import NO_PICKLE, experiment_at_work


@flow(
    name="extraction",
    flow_run_name="extraction of {experiment.name}",
    persist_result=False,
    result_serializer=NO_PICKLE,
)
def extraction(experiment: Experiment) -> ExtractionSummary:
    """Embed what is new in the experiment's images with each of its backbones; its heads are not fitted."""
    with experiment_at_work(experiment) as settled:
        extracted = extract_in_tasks(settled, progress=False)
        record_embeddings(settled, extracted)
    return extracted


@flow(
    name="refitting", flow_run_name="refitting of {experiment.name}", persist_result=False, result_serializer=NO_PICKLE
)
def refitting(experiment: Experiment) -> list[FitSummary]:
    """Fit the experiment's heads on what its cache holds; no image is read and none embedded."""
    refuse_tails(experiment)
    with experiment_at_work(experiment, create=False) as settled:
        return fit_in_tasks(settled, find_keys(settled), progress=False)


def find_keys(experiment: Experiment) -> list[str]:
    """Return the keys that the experiment's ``[[extract]]`` tables led to, in their order.

    Raises
    ------
    JobError
        The cache holds no embeddings of one of them.
    CacheError
        There is no cache.
    """
    cache = EmbeddingCache(experiment.cache)
    wanted = wanted_by(experiment)
    keys: list[str] = []
    for table in experiment.extract:
        known = recall(cache.path, wanted.request(table.backbone, table.weights))
        found = [known.id] if known else _keys_of(cache, table)
        if not found:
            raise JobError(
                f"{cache.path}: no embeddings of {table.backbone} ({table.weights}); run the extraction first"
            )
        keys += [key for key in found if key not in keys]
    return keys


def _keys_of(cache: EmbeddingCache, table: ExtractTable) -> list[str]:
    """Return a backbone's keys of these weights: what another machine asked for is not known here, its rows are."""
    source = str(find_weights_file(table.weights) or table.weights)
    return [
        store.key.id
        for store in cache.stores(plain=True)
        if canonical_name(table.backbone) in (store.key.backbone, short_name(store.key.backbone))
        and store.about["weights_source"] == source
    ]
