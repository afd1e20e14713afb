"""Caches → two domains: which images are of the source, which of the target, and which embeddings both have."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.cache import EmbeddingCache, number_digests
from headstart.extractors.images import label_columns
from headstart.extractors.listing import UsableImages, read_usable
from headstart.flows.errors import JobError
from headstart.flows.problem import (
    Embedded,
    choose_targets,
    encode_target,
    find_covering,
    merge_labels,
    only_embedding,
    unite_groups,
)
from headstart.flows.transfer.adaptation.options import AdaptOptions

UNKNOWN, NO_LABEL = -2, -1
"""Of the target's images: a class that the source has not, and no label at all."""


@dataclass(frozen=True)
class Side:
    """Images of one domain.

    Attributes
    ----------
    name : str
        Of the domain, for people.
    cache : EmbeddingCache
    rows : DataFrame
        Split, group and label columns.
    images : UsableImages
    """

    name: str
    cache: EmbeddingCache
    rows: pd.DataFrame
    images: UsableImages

    def keep(self, mask: npt.NDArray[np.bool_]) -> "Side":
        """Return the images where the mask (n_images,) is True."""
        return Side(self.name, self.cache, self.rows[mask], self.images.keep(mask))


@dataclass(frozen=True)
class Sides:
    """Source and target, with the embedding that both have.

    Attributes
    ----------
    source, target : Side
    embedded, of_target : Embedded
        The same key and tap, of the images of either.
    column : str
        Of the labels.
    class_names : list of str
        Of the source.
    y : int array (n_source,)
    truth : int array (n_target,)
        Number of the class, or `UNKNOWN` or `NO_LABEL`.
    groups : int array (n_source + n_target,)
        Images that stay together: of one group, or copies.
    notes : list of str
    """

    source: Side
    target: Side
    embedded: Embedded
    of_target: Embedded
    column: str
    class_names: list[str]
    y: npt.NDArray[np.intp]
    truth: npt.NDArray[np.intp]
    groups: npt.NDArray[np.intp]
    notes: list[str]


def find_sides(source: Path, target: Path | None, options: AdaptOptions) -> Sides:
    """Find both domains, in two caches or by a column of one.

    Raises
    ------
    JobError
        A domain is not said or empty, labels are absent or numbers, or both have no embeddings in common.
    """
    notes: list[str] = []
    own, other = _sides(source, target, options, notes)
    column = choose_targets(own.rows, None if options.target is None else [options.target], own.cache.path)[0]
    own = _trained_on(own, other, column, notes)
    labels = encode_target(own.rows[column], column)
    if labels.task != "classify":
        raise JobError(f"target {column!r} holds numbers, and adapt takes classes: name another column with --target")
    embedded, of_target = _common_embedding(own, other, options, notes)
    return Sides(
        source=own,
        target=other,
        embedded=embedded,
        of_target=of_target,
        column=column,
        class_names=labels.class_names,
        y=labels.y.astype(np.intp),
        truth=_truth(other, column, labels.class_names, notes),
        groups=_groups(own, other),
        notes=[*labels.notes, *notes],
    )


def _sides(source: Path, target: Path | None, options: AdaptOptions, notes: list[str]) -> tuple[Side, Side]:
    own = _read(source, options, notes)
    if options.domain is None:
        if target is None:
            raise JobError("no target is given; name its cache behind the source's, or say --domain COLUMN --to VALUE")
        if options.to is not None:
            raise JobError("--to names a value of the column that --domain names; say --domain COLUMN, too")
        return own, _read(target, AdaptOptions(), notes)
    if target is not None:
        raise JobError(f"--domain tells the domains of one cache apart; leave out {target}, or --domain")
    return _by_column(own, options.domain, options.to, notes)


def _by_column(both: Side, column: str, to: str | None, notes: list[str]) -> tuple[Side, Side]:
    """Return the images of all other domains, and those of the one that is the target."""
    place, found = both.cache.path, label_columns(both.rows)
    if column not in found:
        raise JobError(
            f"{place}: no column {column!r} tells domains apart; there are {', '.join(found) or 'none'}: give one by a "
            "manifest, or with --labels FILE"
        )
    names = [None if pd.isna(value) else str(value) for value in both.rows[column]]
    known = sorted({name for name in names if name is not None})
    if to not in known or len(known) < 2:
        some = f"{', '.join(known[:5])}{', …' if len(known) > 5 else ''}"
        raise JobError(f"{place}: which of at least two domains is the target? Say --to VALUE; {column} is {some}")
    others = [name for name in known if name != to]
    if len(others) > 1:
        notes.append(f"the source is {len(others)} domains together: {', '.join(others[:5])}")
    rows = both.rows.drop(columns=column)
    is_target, is_source = np.array([name == to for name in names]), np.array([name in others for name in names])
    sides = ((" + ".join(others[:3]), is_source), (str(to), is_target))
    own, other = (Side(name, both.cache, rows, both.images).keep(mask) for name, mask in sides)
    return own, other


def _read(place: Path, options: AdaptOptions, notes: list[str]) -> Side:
    cache = EmbeddingCache(place)
    listing = read_usable(cache)
    rows = listing.labels
    if options.labels is not None:
        merged = merge_labels(Path(options.labels), rows.assign(path=listing.paths), listing.root, notes)
        rows = merged.drop(columns="path")
    name = cache.path.resolve().name.removesuffix(".headstart")
    return Side(name, cache, rows.reset_index(drop=True), listing.images)


def _trained_on(own: Side, other: Side, column: str, notes: list[str]) -> Side:
    """Leave out images of the source that have no label, are for test, or are in the target, too."""
    labelled = own.rows[column].notna().to_numpy()
    for_test = (own.rows["split"] == "test").to_numpy()
    theirs = set(map(bytes, other.images.digest))
    shared = np.array([bytes(one) in theirs for one in own.images.digest], dtype=bool)
    for mask, why in ((~labelled, "have no label"), (for_test & labelled, "are for test")):
        if mask.any():
            notes.append(f"{int(mask.sum())} images of the source {why} and are left out")
    if (shared & labelled).any():
        notes.append(f"{int((shared & labelled).sum())} images of the source are in the target, too, and are left out")
    kept = labelled & ~for_test & ~shared
    if not kept.any():
        raise JobError(f"{own.cache.path}: no image of the source is left to learn from; give another source")
    return own.keep(kept)


def _common_embedding(own: Side, other: Side, options: AdaptOptions, notes: list[str]) -> tuple[Embedded, Embedded]:
    backbone, keys = ([name] if name else None for name in (options.backbone, options.key))
    found, theirs = (find_covering(one.cache, one.images.digest, backbone, keys, notes) for one in (own, other))
    known = {(one.store.key.id, one.tap): one for one in theirs}
    common = [one for one in found if (one.store.key.id, one.tap) in known]
    if not common:
        raise JobError(
            f"{own.cache.path} ({_named(found)}) and {other.cache.path} ({_named(theirs)}) have no embeddings in "
            "common; extract both with the same backbone, weights and options"
        )
    one = only_embedding(common, options.tap, own.cache.path, lambda one: f"--key {one.store.key.id} --tap {one.tap}")
    return one, known[one.store.key.id, one.tap]


def _named(found: Sequence[Embedded]) -> str:
    return ", ".join(f"{one.store.key.id} {one.tap}" for one in found)


def _truth(other: Side, column: str, class_names: Sequence[str], notes: list[str]) -> npt.NDArray[np.intp]:
    """Return the class of each image of the target, as far as it has one."""
    truth = np.full(len(other.images), NO_LABEL)
    if column not in other.rows or other.rows[column].isna().all():
        return truth
    labelled = other.rows[column].notna().to_numpy()
    labels = encode_target(other.rows[column][labelled], column, "classify")
    numbers = {name: number for number, name in enumerate(class_names)}
    of_name = np.array([numbers.get(name, UNKNOWN) for name in labels.class_names])
    truth[labelled] = of_name[labels.y]
    unknown = [name for name in labels.class_names if name not in numbers]
    if unknown:
        notes.append(
            f"{int((truth == UNKNOWN).sum())} images of the target are of classes that the source has not "
            f"({', '.join(map(repr, unknown[:3]))}): all of them count as wrong"
        )
    return truth


def _groups(own: Side, other: Side) -> npt.NDArray[np.intp]:
    contents = number_digests(np.concatenate([own.images.digest, other.images.digest]))
    # Groups are named within a listing: of two caches, equal names are of different images.
    named: list[Any] = [
        None if pd.isna(group) else (side.cache.path, group) for side in (own, other) for group in side.rows["group"]
    ]
    return unite_groups(contents, pd.Series(named, dtype=object)).astype(np.intp)
