"""The lineage that Prefect records: images → embeddings → model, each named by where it is."""

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from prefect.assets import Asset, AssetProperties, add_asset_metadata, materialize
from prefect.cache_policies import NO_CACHE

from headstart.extractors.images import is_url
from headstart.extractors.spec import short_name
from headstart.flows.experiment import Experiment, FinetuneTable, FitTable
from headstart.flows.extraction import ExtractionSummary

_NOT_IN_A_KEY = re.compile(r"[^A-Za-z0-9:/._=+,@~-]")  # most of this Prefect refuses; the rest no one can type
_LONGEST_KEY = 499  # Prefect's 512, less a dash and a digest


def images_asset(experiment: Experiment) -> Asset:
    """Name the images: nobody here makes them."""
    return Asset(key=asset_key(experiment.images), properties=AssetProperties(name=f"images of {experiment.name}"))


def embeddings_asset(cache: str | Path, key_id: str, backbone: str | None = None) -> Asset:
    """Name the embeddings of one key of a cache."""
    properties = AssetProperties(name=f"embeddings of {backbone}") if backbone else None
    return Asset(key=asset_key(Path(cache) / "embeddings" / key_id), properties=properties)


def model_asset(experiment: Experiment, table: FitTable | FinetuneTable) -> Asset:
    """Name the model folder that a fit or a fine-tuning writes."""
    kind = "tail" if isinstance(table, FinetuneTable) else "model"
    name = f"{kind} of {experiment.name} {table.name or ''}".strip()
    return Asset(key=asset_key(experiment.folder_of(table) / "model"), properties=AssetProperties(name=name))


def record_embeddings(experiment: Experiment, extracted: ExtractionSummary) -> None:
    """Record every key that an extraction filled or found complete; to be called in a flow."""
    for key in extracted.keys:
        asset = embeddings_asset(extracted.cache, key.id, key.backbone)
        record = _record_task.with_options(
            assets=[asset],
            asset_deps=[images_asset(experiment)],
            task_run_name=f"record the embeddings of {short_name(key.backbone)}",
        )
        record(asset.key, {name: getattr(key, name) for name in ("backbone", "weights", "embedded", "reused")})


@materialize("file:///embeddings", name="record embeddings", cache_policy=NO_CACHE, persist_result=False)
def _record_task(asset_key: str, metadata: dict[str, str | int]) -> None:
    # A key's shards are made by many tasks, on many machines; the asset is whole when all of them are sealed.
    add_asset_metadata(asset_key, metadata)


def asset_key(place: str | Path) -> str:
    """Write a place as Prefect names assets: a URI of at most 512 characters out of a few, without credentials.

    Where that changes the place, a digest of it follows, so that no two share a name.
    """
    if is_url(str(place)):
        parts = urlsplit(str(place))  # a password or a signature is no part of the name
        whole = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    else:
        whole = f"file://{Path(place).expanduser().absolute()}"
    key = _NOT_IN_A_KEY.sub("_", whole)[:_LONGEST_KEY]
    return key if key == whole else f"{key}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
