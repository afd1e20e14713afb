"""Model as it is saved, for `predict`, and what it says of the cache's images without a part in it."""

from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.flows.output import plain
from headstart.flows.transfer.zero_shot.class_file import ClassVectors
from headstart.flows.transfer.zero_shot.images import Sorted, features_of
from headstart.flows.transfer.zero_shot.trial import Trial
from headstart.heads.saving import Card


def card_of(trial: Trial, names: list[str], target: str, run: str) -> Card:
    """Gather what `predict` needs beside the model, and what a person would ask of it."""
    store = trial.embedded.store
    return {
        "run": run,
        "task": "classify",
        "class_names": names,
        "target": target,
        "head": f"zero-shot {trial.model.method}",
        "params": params_of(trial),
        "tap": trial.embedded.tap,
        "embedding": store.key.as_dict(),
        "weights_name": store.about["weights_name"],
        "weights_source": store.about["weights_source"],
        "scores": {
            "selection": {} if trial.chosen is None else plain(asdict(trial.chosen)),
            "test": plain(asdict(trial.outcome)),
        },
    }


def params_of(trial: Trial) -> dict[str, float]:
    """Return the hyper-parameters of a model by their names."""
    if trial.chosen is None:
        return {}
    names = {"gamma": "gamma", "lam": "lambda", "constant": "constant", "temperature": "temperature"}
    found = {shown: getattr(trial.chosen, name) for name, shown in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def predict_images(trial: Trial, images: Sorted, classes: ClassVectors, names: list[str]) -> pd.DataFrame:
    """Return the answers on images that were not fitted on, as `predict` has them, with true classes that are known.

    Of images that are not told among the model's classes, none is asked.
    """
    known = {name: number for number, name in enumerate(names)}
    true = [classes.names[one] if one >= 0 else None for one in images.codes]
    rows = np.array(
        [row for row in np.concatenate([images.told, images.test]) if true[row] is None or true[row] in known], np.intp
    )
    rows.sort()
    found: dict[str, list[str] | npt.NDArray[np.floating]] = {"label": [], "probability": []}
    if len(rows):
        probability = trial.model.predict_proba(features_of(trial.embedded, rows))
        best = probability.argmax(axis=1)
        found = {"label": [names[one] for one in best], "probability": probability.max(axis=1)}
    table = pd.DataFrame(
        {"path": [images.paths[row] for row in rows], **found, "true": [true[row] for row in rows], "reason": ""}
    )
    unread = images.unread.assign(label=None, probability=np.nan, true=None)
    return pd.concat([table, unread[list(table)]], ignore_index=True) if len(unread) else table
