"""A saved model on new images: embed them with the very key that the model was fitted on, then let it speak."""

from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.flows.inference.answers import Predictions
from headstart.flows.inference.doubts import SET, set_text
from headstart.flows.inference.model import Model
from headstart.flows.inference.options import PredictKeywords, PredictOptions
from headstart.flows.options import taken
from headstart.flows.output import check_named, emit_text


def predict(
    model: str | Path,
    images: Any,
    *,
    options: PredictOptions | None = None,
    **named: Unpack[PredictKeywords],
) -> Predictions:
    """Predict the classes of new images with a saved model, or the numbers that it was fitted on.

    Parameters
    ----------
    model : path-like
        Folder that `fit` wrote: the model, or the results in which it is.
    images : path-like, bytes, PIL image, array, or several of these
        A path is a single file, a glob, or what `extractors.images.sources.list_images` takes; labels are not needed.
        See `flows.inference.given.images_given`.
    options : PredictOptions, optional
        All else that is asked for, see `flows.inference.options.PredictOptions`.
    **named
        Options by their names, such as ``all_classes=True``; they go before those of `options`.

    Returns
    -------
    Predictions
        A data frame ``path, label, probability`` in the order given, then ``reason``: empty, or why an image could not
        be read; its label is missing then. ``probability`` is missing for heads that give none. A model that predicts a
        number gives ``path, value, reason``. Pixels without a path are called ``image 0`` and so on. A model that was
        fitted with a coverage also gives ``set``, a list of classes, ``outlier`` and ``outlier_score``.

    Raises
    ------
    ModelFileError
        The model cannot be read.
    JobError
        The backbone at hand does not give the embeddings that the model was fitted on, or would run code of the model's
        choosing.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> headstart.predict("photos.results", "new-photos")["label"].tolist()
    ['cat', 'dog', 'owl']
    """
    return Model(Path(model), taken("predict", options or PredictOptions(), named)).predict(images)


def check_out(out: Path | None) -> None:
    """Refuse an output that cannot be written, before the work and not after it.

    Raises
    ------
    JobError
        The suffix is neither ``.csv`` nor ``.parquet``, or the folder is missing.
    """
    if out is not None:
        check_named(out, (".csv", ".parquet"))


def write_predictions(predictions: pd.DataFrame, out: Path | None) -> None:
    """Write predictions as CSV to standard output, or to a ``.csv`` or ``.parquet`` file.

    Probabilities and scores have four digits in a CSV, and all of them in Parquet; a set is ``ants|bees`` in one, and a
    list in the other.

    Raises
    ------
    JobError
        The file is neither, or cannot be written.
    """
    check_out(out)
    if out is not None and out.suffix == ".parquet":
        write_atomically(out, predictions.to_parquet(index=False))
        return
    names = list(map(str, predictions.columns))
    named = [name for name in names if name in ("probability", "outlier_score") or name.startswith("probability_")]
    shown = {name: predictions[name].map("{:.4f}".format, na_action="ignore") for name in named}
    shown |= {SET: predictions[SET].map(set_text)} if SET in names else {}
    text = predictions.assign(**shown).to_csv(index=False)
    if out is None:
        emit_text(text)
    else:
        write_atomically(out, text.encode(errors="backslashreplace"))
