"""Whether tonight's new images look like those before, as each fit's winner sees them."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.listing import CacheListing
from headstart.flows.experiment import Experiment, FitTable
from headstart.flows.history import Run
from headstart.flows.nightly.changes import seen_digests, unseen_digests
from headstart.flows.nightly.inputs import labelled_rows, name_of
from headstart.heads.analysis import Drift, draw_rows, farthest_rows, measure_drift
from headstart.heads.scoring import holm

ALPHA = 0.01
"""New images drift where chance alone would leave them so far away in fewer nights than one in a hundred."""

MOST_SHOWN = 24
"""Images of each drift that are named and shown."""

_CLASSES_SHOWN = 3


@dataclass(frozen=True)
class NightDrift:
    """How far tonight's new images are from the old ones in the embedding of one fit's winner.

    Attributes
    ----------
    name : str
        Of the fit.
    embedding : str
        Key and tap.
    test : Drift
        With the p-value of this test alone.
    p_adjusted : float or None
        Its p-value, corrected by Holm's method for the number of fits.
    within_classes : bool
        Images were compared within their class, so that another mix of classes alone is no drift.
    mix : list of str
        The classes whose share changed most, with their shares before and tonight, and classes that are new.
    farthest : list of str
        Paths of the new images that are farthest from any old one, the farthest first.
    """

    name: str
    embedding: str
    test: Drift
    p_adjusted: float | None
    within_classes: bool
    mix: list[str]
    farthest: list[str] = field(default_factory=list)

    @property
    def drifts(self) -> bool:
        """Whether the distance is more than chance leaves."""
        return self.p_adjusted is not None and self.p_adjusted < ALPHA


def measure_drifts(
    experiment: Experiment, listing: CacheListing, before: pd.DataFrame, runs: dict[str, Run]
) -> list[NightDrift]:
    """Compare tonight's new images with the old ones, for each fit; an empty list where no image is new.

    Old images are all that the last night saw, so a drift so slow that no single night shows it is not found. Where
    every new image has a class, images are compared within their classes; images without a class, and numbers to
    predict, are compared as a whole. Of images of one group one is compared, since they are not independent; a night
    that is one burst without a group looks like drift.

    Parameters
    ----------
    experiment : Experiment
    listing : CacheListing
        As it is tonight.
    before : DataFrame
        What the last night saw, with `flows.nightly.changes.SEEN_COLUMNS`.
    runs : dict of str to Run
        The last run of each fit: its winner's embedding is the one that matters.
    """
    new = unseen_digests(before, listing.rows)
    if not new:
        return []
    found = [_measure_one(experiment, table, listing, before, new, runs[name_of(table)]) for table in experiment.fit]
    tested = [one for one in found if one.test.p_value is not None]
    adjusted = holm([float(one.test.p_value or 0.0) for one in tested], len(tested))
    corrected = {one.name: p for one, p in zip(tested, adjusted, strict=True)}
    return [replace(one, p_adjusted=corrected.get(one.name)) for one in found]


def _measure_one(
    experiment: Experiment, table: FitTable, listing: CacheListing, before: pd.DataFrame, new: list[str], run: Run
) -> NightDrift:
    key, tap = run.winner.key, run.winner.tap
    store = EmbeddingStore.read(EmbeddingCache(experiment.cache).path / "embeddings" / key)
    sides = [_describe(digests, listing) for digests in (seen_digests(before), new)]
    labels = _labels(experiment, table, listing) if run.data.task == "classify" else None
    mix: list[str] = []
    if labels is not None:
        sides = [side.assign(label=side["digest"].map(labels)) for side in sides]
        mix = _describe_mix(*(side["label"].dropna() for side in sides))
    # An image without a label has no class to be compared in: then all are compared, whatever their class.
    within = labels is not None and bool(sides[1]["label"].notna().all())
    if within:
        shared = set(sides[0]["label"].dropna()) & set(sides[1]["label"])
        sides = [side[side["label"].isin(shared)] for side in sides]
    generator = np.random.default_rng(table.options.seed)
    # Drawn before anything is read: the cost does not grow with the cache.
    sides = [_embedded(side.iloc[draw_rows(len(side), generator)], store) for side in sides]
    old, fresh = (_features(store, tap, side["digest"].tolist()) for side in sides)
    classes = (sides[0]["label"].tolist(), sides[1]["label"].tolist()) if within else None
    test = measure_drift(old, fresh, classes=classes, seed=table.options.seed)
    farthest: list[str] = []
    if len(old) and len(fresh):
        far = farthest_rows(old, fresh, MOST_SHOWN, classes=classes)
        farthest = listing.distinct.set_index("digest")["path"][sides[1]["digest"].iloc[far]].tolist()
    return NightDrift(name_of(table), f"{key} · {tap}", test, None, within, mix, farthest)


def _describe(digests: list[str], listing: CacheListing) -> pd.DataFrame:
    """Return ``digest`` and ``group`` of images, one of each group: images of one group are not independent."""
    groups = listing.distinct.set_index("digest")["group"]
    side = pd.DataFrame({"digest": digests})
    side["group"] = side["digest"].map(groups)
    return side[side["group"].isna() | ~side["group"].duplicated()].reset_index(drop=True)


def _labels(experiment: Experiment, table: FitTable, listing: CacheListing) -> "pd.Series[Any]":
    rows, column = labelled_rows(experiment, table, listing)
    return rows.drop_duplicates("digest").set_index("digest")[column].astype(str)


def _embedded(side: pd.DataFrame, store: EmbeddingStore) -> pd.DataFrame:
    """Leave out what has no row any more, such as images that are gone from a cache that was compacted."""
    return side[~store.missing(side["digest"].tolist())] if len(side) else side


def _features(store: EmbeddingStore, tap: str, digests: list[str]) -> npt.NDArray[Any]:
    """Return (n_images, n_features), whatever shape the tap has."""
    rows = np.asarray(store.view(tap, digests))
    return rows.reshape(len(rows), math.prod(rows.shape[1:]))


def _describe_mix(old: "pd.Series[Any]", new: "pd.Series[Any]") -> list[str]:
    if not len(old) or not len(new):
        return []
    shares = pd.DataFrame({"old": old.value_counts(normalize=True), "new": new.value_counts(normalize=True)}).fillna(
        0.0
    )
    largest = (shares["new"] - shares["old"]).abs().sort_values(ascending=False, kind="stable").index
    shifts = [
        f"{name} {shares.loc[name, 'old']:.0%} → {shares.loc[name, 'new']:.0%}" for name in largest[:_CLASSES_SHOWN]
    ]
    unseen = sorted(set(new) - set(old))
    return [*shifts, *([f"new classes: {', '.join(unseen[:_CLASSES_SHOWN])}"] if unseen else [])]
