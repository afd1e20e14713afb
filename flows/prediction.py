"""A saved model on new images: embed them with the very key that the model was fitted on, then let it speak."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from extractors.atomic import write_atomically
from extractors.cache import EmbeddingCache
from extractors.extraction import Settings
from extractors.key import EmbeddingKey
from extractors.taps import Tap
from flows.errors import JobError
from flows.extraction import list_into, open_extraction, run_shards
from heads.model_file import load_model
from heads.prediction import predict as predict_classes


def predict(
    model: str | Path,
    images: str | Path,
    *,
    all_classes: bool = False,
    weights: str | None = None,
    cache: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Predict the classes of new images with a saved model.

    Parameters
    ----------
    model : path-like
        Folder that `fit` wrote.
    images : path-like
        Folder, manifest, or tar shards; labels are not needed.
    all_classes : bool
        Add one column ``probability_<class>`` for each class.
    weights : str, optional
        Where the backbone's weights are, if they are no longer where they were.
    cache : path-like, optional
        Keep the embeddings here; by default they are thrown away.
    device, workers
        See `extractors.extraction.Settings`.
    progress : bool
        Show bars on standard error.

    Returns
    -------
    DataFrame
        ``path, label, probability`` in the listing's order, then ``reason``: empty, or why an image could not be read;
        its label is missing then. ``probability`` is missing for heads that give none.

    Raises
    ------
    ModelFileError
        The model cannot be read.
    JobError
        The backbone at hand does not give the embeddings that the model was fitted on.
    """
    head, card = load_model(Path(model))
    key = EmbeddingKey.from_dict(card["embedding"])
    settings = Settings(device=device, precision=key.precision, dtype=key.dtype, workers=workers)
    with _cache_at(cache) as folder:
        listing, _ = list_into(folder, images, limit=None, workers=settings.n_workers, progress=progress)
        taps = [Tap.parse(spec) for spec in key.taps]
        extraction = open_extraction(folder, listing, key.backbone, weights or card["weights_source"], taps, settings)
        if differences := key.differences(extraction.store.key):
            raise JobError(
                f"{model}: fitted on other embeddings than this backbone gives ({differences}; here is the model); "
                f"name its own weights with --weights FILE",
            )
        reasons: dict[str, str] = {}
        run_shards(extraction, reasons, progress=progress)
        listing = listing.with_unreadable(reasons)
        usable = listing.usable
        features = np.asarray(extraction.store.view(card["tap"], usable["digest"].tolist()), dtype=np.float32)
    table = listing.rows[["path", "reason"]].copy()
    predicted = _speak(head, features, card["class_names"], all_classes=all_classes).set_index(usable.index)
    return table[["path"]].join(predicted).join(table["reason"])


def write_predictions(predictions: pd.DataFrame, out: Path | None) -> None:
    """Write predictions as CSV to standard output, or to a ``.csv`` or ``.parquet`` file.

    Raises
    ------
    JobError
        The suffix is neither.
    """
    if out is None:
        predictions.to_csv(sys.stdout, index=False)
    elif out.suffix == ".csv":
        write_atomically(out, predictions.to_csv(index=False).encode())
    elif out.suffix == ".parquet":
        write_atomically(out, predictions.to_parquet(index=False))
    else:
        raise JobError(f"{out}: unknown kind of file; name a .csv or a .parquet file")


def _speak(head: Any, features: Any, class_names: list[str], *, all_classes: bool) -> pd.DataFrame:
    classes, probability = predict_classes(head, features, len(class_names))
    columns: dict[str, Any] = {
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
