"""A cache's embeddings as one file for elsewhere: which key, which taps, which kind of file."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.extractors.backbones import canonical_name
from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.listing import read_listing
from headstart.extractors.results import JobResult
from headstart.extractors.spec import StoredDtype, short_name
from headstart.extractors.upkeep import WRITERS, gather_export
from headstart.flows.errors import JobError


@dataclass(frozen=True, repr=False)
class ExportSummary(
    JobResult,
    says="{images:n image} of {key}, {dtype}\n{files}",
    tables=("files",),
):
    """Summary of an export.

    Attributes
    ----------
    cache : str
        Folder of the cache.
    files : list of str
        What was written, the features first.
    bytes : int
        Size of all files.
    images, quarantined : int
        Rows written, and listed images that have none because they cannot be read.
    key : str
        Id of the key.
    taps : dict of str to list of int
        Shape of one image's features, by tap.
    dtype : {"float16", "float32"}
        Of the features.
    seconds : float
        Time of the whole run.
    """

    cache: str
    files: list[str]
    bytes: int
    images: int
    quarantined: int
    key: str
    taps: dict[str, list[int]]
    dtype: StoredDtype
    seconds: float


def export(
    cache: str | Path,
    to: str | Path,
    *,
    key: str | None = None,
    backbone: str | None = None,
    tap: str | None = None,
    dtype: StoredDtype | None = None,
    overwrite: bool = False,
) -> ExportSummary:
    """Write the embeddings of one key, with paths and labels, as one file in the listing's order.

    Parameters
    ----------
    cache : path-like
        Folder of the cache.
    to : path-like
        A ``.h5``, ``.npy`` or ``.parquet`` file; a ``.npy`` has a ``.csv`` and a ``.json`` of the same name beside it.
    key, backbone : str, optional
        Id of the key, or name of its backbone; needed where the cache has several keys.
    tap : str, optional
        Only this one; by default all. A ``.npy`` holds one.
    dtype : {"float16", "float32"}, optional
        By default as the cache stores them.
    overwrite : bool
        Replace files that exist.

    Raises
    ------
    JobError
        What is asked for is not there or not clear, or a file exists.
    ExtractorError
        The cache is damaged or incomplete, features do not fit the dtype or the file, or it cannot be written.

    Examples
    --------
    >>> headstart.export("photos.headstart", "photos.parquet").images
    36
    """
    started = time.monotonic()
    to, folder = Path(to), EmbeddingCache(cache)
    _refuse_file(to, overwrite=overwrite)
    store = _choose_store(folder, key, backbone)
    taps = _choose_taps(store, tap, to)
    listing = read_listing(folder)
    gathered = gather_export(store, listing, taps, dtype)
    files = WRITERS[to.suffix.lower()](gathered, to)
    return ExportSummary(
        cache=str(folder.path),
        files=[str(file) for file in files],
        bytes=sum(file.stat().st_size for file in files),
        images=len(gathered.images),
        quarantined=len(listing.quarantined),
        key=store.key.id,
        taps={name: list(view.shape[1:]) for name, view in gathered.views.items()},
        dtype=gathered.dtype,
        seconds=round(time.monotonic() - started, 3),
    )


def _refuse_file(to: Path, *, overwrite: bool) -> None:
    suffix = to.suffix.lower()
    if suffix not in WRITERS:
        raise JobError(f"{to}: unknown kind of file; name a {', '.join(WRITERS)} file")
    if not to.absolute().parent.is_dir():
        raise JobError(f"{to}: its folder does not exist; make it, or name a file elsewhere")
    files = [to, to.with_suffix(".csv"), to.with_suffix(".json")] if suffix == ".npy" else [to]
    for file in files:
        if file.is_dir() or (file.exists() and not overwrite):
            raise JobError(f"{file}: exists already; name another file, or replace it with --overwrite")


def _choose_store(cache: EmbeddingCache, key: str | None, backbone: str | None) -> EmbeddingStore:
    stores = cache.stores() if key else cache.stores(plain=True)  # a view is exported by its key alone
    chosen = [
        store
        for store in stores
        if key in (None, store.key.id)
        and (backbone is None or canonical_name(backbone) in (store.key.backbone, short_name(store.key.backbone)))
    ]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise JobError(f"{cache.path}: which embeddings are meant? Say --key with one of: {_describe(chosen)}")
    if not stores:
        raise JobError(f"{cache.path}: holds no embeddings yet; run 'headstart extract' first")
    asked = " and ".join(name for name in (key, backbone) if name)
    raise JobError(f"{cache.path}: no embeddings of {asked}; the cache has {_describe(stores)}")


def _describe(stores: Sequence[EmbeddingStore]) -> str:
    return "; ".join(
        f"{store.key.id} ({store.about['weights_name']}, {' '.join(store.key.taps)}, {store.key.computed_in})"
        for store in stores
    )


def _choose_taps(store: EmbeddingStore, tap: str | None, to: Path) -> list[str]:
    taps: list[str] = list(store.key.taps)
    if tap is not None and tap not in taps:
        raise JobError(f"{store.key.id}: no tap {tap!r}; it has {', '.join(taps)}")
    if tap is None and len(taps) > 1 and to.suffix.lower() == ".npy":
        raise JobError(f"{to}: a .npy file holds one tap; say --tap {' or --tap '.join(taps)}, or export to .h5")
    return [tap] if tap else taps
