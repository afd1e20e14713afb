"""The shared trunk as a model that `predict` takes, and what it says of every image of the cache that has a label."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from headstart.extractors.atomic import errors_explained, write_atomically
from headstart.flows.inference import answer_columns
from headstart.flows.output import plain
from headstart.flows.transfer.multitask.options import MultitaskOptions
from headstart.flows.transfer.multitask.posed import Posed
from headstart.heads.report.transfer import ColumnRow
from headstart.heads.saving import Card, save_model

HEAD = "shared-mlp"


def save_trunk(
    folder: Path, model: Pipeline, posed: Posed, rows: list[ColumnRow], options: MultitaskOptions, run: str
) -> None:
    """Write the model, without pickle.

    Raises
    ------
    CacheError
        It cannot be written.
    """
    store = posed.embedded.store
    card: Card = {
        "run": run,
        "task": "columns",
        "class_names": [],
        "columns": [{"name": one.name, "class_names": list(one.class_names)} for one in posed.columns],
        "head": HEAD,
        "params": {"hidden": list(options.hidden), "weighting": options.weighting, "seeds": options.seeds},
        "tap": posed.embedded.tap,
        "embedding": store.key.as_dict(),
        "weights_name": store.about["weights_name"],
        "weights_source": store.about["weights_source"],
        "scores": {"test": plain([asdict(row) for row in rows])},
    }
    with errors_explained(folder):
        save_model(folder, model, card)


def write_answers(path: Path, model: Pipeline, posed: Posed, X: npt.NDArray[np.float32]) -> None:
    """Write a row for each image: its side, the labels that it has, and what the trunk says of every column."""
    images, labelled = posed.images, posed.labelled
    side = np.full(len(X), "", dtype=object)  # left out, because a group is on two sides
    side[images.train], side[images.test] = "train", "test"
    table = pd.DataFrame({"path": list(labelled.images.paths(np.arange(len(X)))), "side": side})
    given = {f"{column.name}_label": labelled.rows[column.name].to_numpy() for column in posed.columns}
    answers = answer_columns(
        model, [X], [(one.name, list(one.class_names)) for one in posed.columns], all_classes=False
    )
    likely = [name for name in map(str, answers.columns) if name.startswith("probability_")]
    answers[likely] = answers[likely].round(4)
    write_atomically(path, pd.concat([table, pd.DataFrame(given), answers], axis=1).to_csv(index=False).encode())
