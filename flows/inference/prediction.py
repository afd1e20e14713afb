"""A saved model on new images: embed them with the very key that the model was fitted on, then let it speak."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.backbones import resolve_backbone
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import ImageSet, list_images
from headstart.extractors.listing import CacheListing, update_listing
from headstart.extractors.spec import Decode, EmbeddingKey, Settings, Tap
from headstart.flows.errors import JobError
from headstart.flows.extraction import open_extraction, run_shards
from headstart.flows.inference.options import PredictKeywords, PredictOptions
from headstart.flows.options import taken
from headstart.flows.output import emit_text, progress_bar
from headstart.heads.prediction import predict as predict_classes
from headstart.heads.prediction import predict_numbers
from headstart.heads.saving import load_model

if TYPE_CHECKING:
    from headstart.extractors.extraction import Extraction, ShardResult


def predict(
    model: str | Path,
    images: str | Path,
    *,
    options: PredictOptions | None = None,
    **named: Unpack[PredictKeywords],
) -> pd.DataFrame:
    """Predict the classes of new images with a saved model, or the numbers that it was fitted on.

    Parameters
    ----------
    model : path-like
        Folder that `fit` wrote.
    images : path-like
        As `extractors.images.sources.list_images` takes them; labels are not needed.
    options : PredictOptions, optional
        All else that is asked for, see `flows.inference.options.PredictOptions`.
    **named
        Options by their names, such as ``all_classes=True``; they go before those of `options`.

    Returns
    -------
    DataFrame
        ``path, label, probability`` in the listing's order, then ``reason``: empty, or why an image could not be read;
        its label is missing then. ``probability`` is missing for heads that give none. A model that predicts a number
        gives ``path, value, reason``.

    Raises
    ------
    ModelFileError
        The model cannot be read.
    JobError
        The backbone at hand does not give the embeddings that the model was fitted on, or would run code of the model's
        choosing.
    TypeError
        There is no option of that name.
    """
    options = taken("predict", options or PredictOptions(), named)
    head, card = load_model(Path(model), own=options.trust)
    key = _embedding_key(card, Path(model))
    _refuse_unnamed_code(key, options.backbone, Path(model))
    settings = Settings.for_key(key, device=options.device, workers=options.workers)
    settings = replace(settings, decode=_decoding(key, options.device))
    # No label or split of theirs is looked at, so that folders of any names will do.
    found = list_images(images, layout="classes" if Path(images).expanduser().is_dir() else None)
    weights = options.weights or card["weights_source"]
    with _cache_at(options.cache) as folder:
        listing, extraction = _embed(
            folder, found, key, weights, settings, model=Path(model), progress=options.progress
        )
        usable = listing.usable
        features = np.asarray(extraction.store.view(card["tap"], usable["digest"].tolist()), dtype=np.float32)
    if card.get("task") == "regress":
        predicted = pd.DataFrame({"value": predict_numbers(head, features) if len(features) else []})
    else:
        predicted = _speak(head, features, card["class_names"], all_classes=options.all_classes)
    predicted = predicted.set_index(usable.index)
    return listing.rows[["path"]].join(predicted).join(listing.rows["reason"])


def _embed(
    cache: EmbeddingCache,
    found: ImageSet,
    key: EmbeddingKey,
    weights: str,
    settings: Settings,
    *,
    model: Path,
    progress: bool,
) -> tuple[CacheListing, "Extraction"]:
    """Embed images with the very key of a model; returns their listing, and what has their rows."""
    with progress_bar("reading", len(found.rows), show=progress) as advance:
        listing = update_listing(cache, found, workers=settings.n_workers, on_image=advance, write=False)
        taps = [Tap.parse(spec) for spec in key.taps]
        extraction = open_extraction(cache, listing, key.backbone, weights, taps, settings)
        # Features keep a cosine of 0.999 whichever way a JPEG is decoded, and this machine may have no GPU for it.
        if differences := replace(key, decode=extraction.store.key.decode).differences(extraction.store.key):
            raise JobError(
                f"{model}: fitted on other embeddings than this backbone gives (model here, backbone there: "
                f"{differences}); name its own weights with --weights FILE"
            )
        results: list[ShardResult] = []
        run_shards(extraction, results, progress=progress)
        for result in results:
            listing = listing.with_unreadable(result.unreadable).with_not_read(result.not_read)
    return listing, extraction


def _decoding(key: EmbeddingKey, device: str) -> Decode:
    from headstart.extractors.network import resolve_device  # noqa: PLC0415 - loads torch

    on_gpu = resolve_device(device).type == "cuda"
    return "full" if key.decode == "nvjpeg" and not on_gpu else key.decode


def check_out(out: Path | None) -> None:
    """Refuse an output that cannot be written, before the work and not after it.

    Raises
    ------
    JobError
        The suffix is neither ``.csv`` nor ``.parquet``, or the folder is missing.
    """
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise JobError(f"{out}: unknown kind of file; name a .csv or a .parquet file")
    if out is not None and not out.absolute().parent.is_dir():
        raise JobError(f"{out}: its folder does not exist; make it, or name a file elsewhere")


def write_predictions(predictions: pd.DataFrame, out: Path | None) -> None:
    """Write predictions as CSV to standard output, or to a ``.csv`` or ``.parquet`` file.

    Raises
    ------
    JobError
        The file is neither, or cannot be written.
    """
    check_out(out)
    if out is None:
        emit_text(predictions.to_csv(index=False))
    elif out.suffix == ".csv":
        write_atomically(out, predictions.to_csv(index=False).encode(errors="backslashreplace"))
    else:
        write_atomically(out, predictions.to_parquet(index=False))


def _embedding_key(card: dict[str, Any], model: Path) -> EmbeddingKey:
    try:
        return EmbeddingKey.from_dict(card["embedding"])
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(f"{model}: its embedding key cannot be read ({error}); fit the model again") from error


def _refuse_unnamed_code(key: EmbeddingKey, backbone: str | None, model: Path) -> None:
    """Import a callable only on the word of the caller: a model may come from anywhere, and importing is running."""
    if resolve_backbone(key.backbone)[0] == "callable" and backbone != key.backbone:
        raise JobError(
            f"{model}: fitted on embeddings of {key.backbone}, which is code that would run now; "
            f"if you trust it, say so with --backbone {key.backbone}"
        )


def _speak(head: Any, features: Any, class_names: list[str], *, all_classes: bool) -> pd.DataFrame:
    if not len(features):  # not one image could be read
        names = [f"probability_{name}" for name in class_names] if all_classes else []
        return pd.DataFrame({"label": [], "probability": []} | {name: [] for name in names})
    classes, probability = predict_classes(head, features, len(class_names))
    columns = {
        "label": np.array(class_names, dtype=object)[classes],
        "probability": np.full(len(classes), np.nan)
        if probability is None
        else probability[np.arange(len(classes)), classes],
    }
    if all_classes and probability is not None:
        columns |= {f"probability_{name}": probability[:, number] for number, name in enumerate(class_names)}
    return pd.DataFrame(columns)


@contextmanager
def _cache_at(path: str | Path | None) -> Iterator[EmbeddingCache]:
    if path is not None:
        yield EmbeddingCache(path, create=True)
        return
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        yield EmbeddingCache(folder, create=True)
