"""All that a fit goes by, as values to compare: where none of it changed, to fit again would give the same model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from headstart.extractors.listing import CacheListing
from headstart.flows.errors import JobError
from headstart.flows.experiment import Experiment, FitTable
from headstart.flows.problem import choose_targets, merge_labels

_LIBRARIES = ("headstart", "scikit-learn", "numpy", "scipy", "torch")
_NO_MATTER = {"name", "note", "dask", "labels"}  # where it runs; what a file of labels says is among the images


@dataclass(frozen=True, kw_only=True)
class FitInputs:
    """All that one fit goes by, as plain values.

    Attributes
    ----------
    images : str
        Digest of the images that have a label, with labels, splits and groups.
    embeddings : list of str
        Ids of the keys, sorted.
    settings : dict
        The table of the experiment.
    versions : dict of str to str
        Of what computes.
    """

    images: str
    embeddings: list[str]
    settings: dict[str, object]
    versions: dict[str, str]


Inputs = dict[str, FitInputs]
"""Of each fit, by its name."""


def describe_inputs(experiment: Experiment, listing: CacheListing, keys: Sequence[str]) -> Inputs:
    """Return the inputs of each fit of an experiment; names of files do not matter, nor do images without a label.

    Parameters
    ----------
    experiment : Experiment
    listing : CacheListing
        As it is after extraction.
    keys : sequence of str
        Ids of the embeddings.

    Raises
    ------
    JobError
        The images have no labels, or it is not clear which are meant.
    """
    return {
        name_of(table): FitInputs(
            images=_digest(*labelled_rows(experiment, table, listing)),
            embeddings=sorted(keys),
            settings=table.model_dump(mode="json", exclude=_NO_MATTER),
            versions={name: version(name) for name in _LIBRARIES},
        )
        for table in experiment.fit
    }


def name_of(table: FitTable) -> str:
    """Return the name of a ``fit`` table among those of an experiment; a single one may have no name."""
    return table.name or "fit"


def labelled_rows(experiment: Experiment, table: FitTable, listing: CacheListing) -> tuple[pd.DataFrame, str]:
    """Return the readable images that have a label for a fit, and the label's column.

    Raises
    ------
    JobError
        There are no labels, or it is not clear which column is meant.
    """
    rows = listing.usable
    labels, target = table.options.labels, table.options.target
    if labels is not None:
        rows = merge_labels(Path(labels), rows, listing.root, notes=[])
    columns = choose_targets(rows, None if target is None else [target], experiment.cache)
    if len(columns) > 1:
        raise JobError(f"{experiment.cache}: one label column is fitted here; name it: {', '.join(columns)}")
    return rows[rows[columns[0]].notna()], columns[0]


def why_refit(experiment: Experiment, before: Inputs | None, now: Inputs) -> list[str]:
    """Say why the heads have to be fitted again; an empty list where they have not.

    Parameters
    ----------
    experiment : Experiment
    before, now : dict of str to FitInputs
        As `describe_inputs` gave them on the last night, or None on the first, and tonight.
    """
    if before is None:
        return ["it is the first night"]
    reasons = [] if sorted(before) == sorted(now) else ["there are other fits in the experiment"]
    for table in experiment.fit:
        name = name_of(table)
        model = experiment.folder_of(table) / "model"
        if not model.is_dir():
            reasons.append(f"there is no model in {model}")
        reasons += _differences(before.get(name, now[name]), now[name])
    return list(dict.fromkeys(reasons))


def _differences(before: FitInputs, now: FitInputs) -> list[str]:
    reasons = []
    if before.images != now.images:
        reasons.append("the labelled images, their labels, splits or groups changed")
    if before.embeddings != now.embeddings:
        reasons.append(f"the embeddings are others: {', '.join(now.embeddings)}")
    settings = [name for name, value in now.settings.items() if before.settings.get(name) != value]
    if settings:
        reasons.append(f"the experiment's fit changed: {', '.join(settings)}")
    for library, found in now.versions.items():
        earlier = before.versions.get(library)
        reasons += [f"{library} {found} is installed, it was {earlier}"] if earlier != found else []
    return reasons


def _digest(rows: pd.DataFrame, column: str) -> str:
    """Return one digest of images, labels, splits and groups, in whatever order they are listed."""
    values = rows[["digest", column, "split", "group"]].astype(object)
    hashes = pd.util.hash_pandas_object(values.where(values.notna(), "").astype(str), index=False)
    return hashlib.sha256(hashes.sort_values().to_numpy().tobytes()).hexdigest()[:16]
