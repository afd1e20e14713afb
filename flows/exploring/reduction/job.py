"""Cache or images → fewer dimensions: principal components, saved, so that later images go through the same ones."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache, number_digests
from headstart.extractors.images import label_columns
from headstart.extractors.listing import UsableListing, read_usable
from headstart.flows.errors import JobError
from headstart.flows.exploring import Search, SimilarOptions
from headstart.flows.exploring.reduction.options import ReduceKeywords, ReduceOptions
from headstart.flows.exploring.reduction.summary import ReduceSummary
from headstart.flows.options import taken
from headstart.flows.output import phases, run_folder
from headstart.flows.problem import Embedded, find_covering, find_usual_target, only_embedding, unite_groups
from headstart.heads.report.transfer import render_reduction
from headstart.heads.transfer.reduction import (
    Kept,
    Reduction,
    fit_reduction,
    measure_kept,
    read_reduction,
    saved_reduction,
)

TABLE, PAGE = "reduced.csv", "reduction.html"
_AT_ONCE, _MOST_MEASURED = 8192, 10_000  # images


def reduce(
    cache: str | Path,
    images: Any = (),
    *,
    options: ReduceOptions | None = None,
    **named: Unpack[ReduceKeywords],
) -> ReduceSummary:
    """Put features into fewer dimensions by principal components, and save the transform for later images.

    Parameters
    ----------
    cache : path-like
        What `extract` filled; labels are not needed.
    images : path-like, int, bytes, PIL image, array, or several of these
        With ``by``: images that go through the earlier transform, as `similar` takes them; by default all of the cache.
    options : ReduceOptions, optional
        All else that is asked for, see `flows.exploring.reduction.options.ReduceOptions`.
    **named
        Options by their names, such as ``size=20``; they go before those of `options`.

    Raises
    ------
    JobError
        It is not clear which embeddings are meant, or the earlier transform is of others.
    HeadError
        The features cannot be reduced, or the earlier transform is damaged.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> found = headstart.reduce("photos.headstart", size=5)
    >>> later = headstart.reduce("photos.headstart", "new-photos", by="photos.reduced", out="later.reduced")
    >>> later.to_numpy().shape
    (3, 5)
    """
    started = time.monotonic()
    options = taken("reduce", options or ReduceOptions(), named)
    given = _are_given(images, options)
    folder = EmbeddingCache(cache)
    listing, notes = read_usable(folder), list[str]()
    earlier = read_reduction(Path(options.by)) if options.by else None
    embedded = _choose(folder, listing, options, earlier[1] if earlier else {}, notes)
    place_of = Path(options.out or f"{folder.path.resolve().name.removesuffix('.headstart')}.reduced")
    if options.by and place_of.resolve() == Path(options.by).resolve():
        raise JobError(f"{place_of}: holds the transform that is asked for; name another folder with --out")
    with phases("fitting", show=options.progress) as begin, run_folder(place_of) as place:
        fitted = _Fitted(earlier[0], 0, []) if earlier else _fit(listing, embedded, options, notes)
        begin("reducing")
        search = Search(folder, listing, embedded, _searching(options))
        paths, reduced, unreadable = _reduce(search, fitted.reduction, images if given else None)
        summary = ReduceSummary(
            cache=str(folder.path),
            backbone=embedded.backbone,
            key=embedded.store.key.id,
            tap=embedded.tap,
            images=len(paths),
            fitted_on=fitted.fitted_on,
            features=embedded.features.shape[1],
            size=fitted.reduction.size,
            whiten=fitted.reduction.whiten,
            variance=fitted.reduction.variance,
            kept=fitted.kept,
            unreadable=unreadable,
            transform=str(place.folder),
            table=str(place.folder / TABLE),
            page=str(place.folder / PAGE),
            notes=notes,
            seconds=round(time.monotonic() - started, 3),
        )
        _write(place.part, summary, fitted.reduction, paths, reduced)
        return replace(summary, notes=[*notes, *place.finish()])


class _Fitted(NamedTuple):
    reduction: Reduction
    fitted_on: int
    kept: list[Kept]


def _are_given(images: Any, options: ReduceOptions) -> bool:
    """Tell whether images are named, an empty list being none; they need a transform to go through."""
    given = isinstance(images, int) or not isinstance(images, Sequence) or len(images) > 0
    if given and not options.by:
        raise JobError(
            "images go through a transform that is there; name its folder with --by, or fit one without images"
        )
    return given


def _choose(
    folder: EmbeddingCache, listing: UsableListing, options: ReduceOptions, about: dict[str, str], notes: list[str]
) -> Embedded:
    """Return the embedding that is meant: of an earlier transform, the one that it is for."""
    key, tap = about.get("key", options.key), about.get("tap", options.tap)
    if about and not any(store.key.id == key and tap in store.key.taps for store in folder.stores(plain=True)):
        raise JobError(
            f"{folder.path}: no embeddings {key} · {tap}, which {options.by} reduces; run 'headstart extract' as for "
            "its cache, or reduce these anew without --by"
        )
    backbone = [options.backbone] if options.backbone and not about else None
    covering = find_covering(folder, listing.images.digest, backbone, [key] if key else None, notes)
    return only_embedding(covering, tap, folder.path, lambda one: f"--key {one.store.key.id} --tap {one.tap}")


def _fit(listing: UsableListing, embedded: Embedded, options: ReduceOptions, notes: list[str]) -> _Fitted:
    """Fit on images that are no test images, and measure on some of them that are held back."""
    rows = np.flatnonzero((listing.labels["split"] != "test").to_numpy())
    if len(rows) < len(listing.labels):
        notes.append(f"fitted without the {len(listing.labels) - len(rows)} test images, which go through it, too")
    if len(rows) > options.most:
        notes.append(f"fitted on {options.most} of {len(rows)} images (--most)")
        rows = np.sort(np.random.default_rng(options.seed).choice(rows, options.most, replace=False))
    X = np.asarray(embedded.features.take(rows), np.float32)
    reduction = fit_reduction(X, size=options.size, whiten=options.whiten)
    groups = unite_groups(number_digests(listing.images.digest), listing.labels["group"])[rows]
    labels, some = _labels(listing.labels, options.target), slice(None, _MOST_MEASURED)
    own = None if labels is None else labels[rows][some]
    kept = measure_kept(X[some], groups[some], own, size=options.size, seed=options.seed)
    notes += _say(kept)
    return _Fitted(reduction, len(rows), kept)


def _labels(rows: pd.DataFrame, target: str | None) -> npt.NDArray[np.intp] | None:
    """Return the number of each image's label, -1 for none; None where there is no such column."""
    columns = [name for name in label_columns(rows) if rows[name].notna().any()]
    if target is not None and target not in columns:
        raise JobError(f"no label column {target!r}; there are {', '.join(columns) or 'none'}; leave --target out")
    column = target or (find_usual_target(columns) if columns else None)
    return None if column is None else np.asarray(pd.factorize(rows[column])[0])


def _say(kept: Sequence[Kept]) -> list[str]:
    """Return where fewer dimensions do not beat a random projection, or whitening costs neighbours."""
    by = {one.way: one for one in kept}
    if not by:
        return ["too few images to hold some back: how well neighbours are kept was not measured"]
    pca, drawn, white = by["pca"], by["random projection"], by["pca, whitened"]
    found = []
    if pca.neighbours - pca.half_width <= drawn.neighbours + drawn.half_width:
        found.append("principal components keep no more neighbours here than a random projection does")
    if white.right is not None and pca.right is not None and white.right < pca.right:
        found.append("whitened, neighbours tell fewer labels than as they are (--whiten costs here)")
    return found


def _searching(options: ReduceOptions) -> SimilarOptions:
    """Return how images that the cache does not know are embedded."""
    return SimilarOptions(
        backbone=options.backbone,
        weights=options.weights,
        device=options.device,
        workers=options.workers,
        progress=options.progress,
    )


def _reduce(search: Search, reduction: Reduction, images: Any) -> tuple[list[str], npt.NDArray[np.float32], list[str]]:
    """Return names, features and what could not be read: of images given, or of the whole cache."""
    if images is not None:
        asked = search.find(images)
        return asked.names, reduction.apply(np.stack(asked.features)), asked.unreadable
    rows = search.embedded.features
    parts = [np.arange(first, min(first + _AT_ONCE, len(rows))) for first in range(0, len(rows), _AT_ONCE)]
    found = [reduction.apply(np.asarray(rows.take(part), np.float32)) for part in parts]
    return search.listing.images.paths(np.arange(len(rows))), np.concatenate(found), []


def _write(
    folder: Path, summary: ReduceSummary, reduction: Reduction, paths: list[str], reduced: npt.NDArray[np.float32]
) -> None:
    columns = pd.DataFrame(reduced, columns=[f"d{number}" for number in range(1, reduced.shape[1] + 1)])
    columns.insert(0, "path", paths)
    write_atomically(folder / TABLE, columns.to_csv(index=False, float_format="%.9g").encode())
    about = {"key": summary.key, "tap": summary.tap, "backbone": summary.backbone}
    for file, content in saved_reduction(reduction, about).items():
        write_atomically(folder / file, content)
    page = render_reduction(_title(summary), _intro(summary), summary.kept, summary.notes)
    write_atomically(folder / PAGE, page.encode())


def _title(summary: ReduceSummary) -> str:
    return f"{summary.features} features in {summary.size} dimensions"


def _intro(summary: ReduceSummary) -> str:
    fitted = f"fitted on {summary.fitted_on} of them" if summary.fitted_on else "through an earlier transform"
    white = ", whitened" if summary.whiten else ""
    return (
        f"{summary.images} images, {fitted}: {summary.backbone} · {summary.tap}{white}. The dimensions hold "
        f"{100 * summary.variance:.1f} % of the variance of what was fitted on."
    )
