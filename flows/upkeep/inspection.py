"""Contents of a cache: images, keys, bytes, and what is in quarantine."""

from dataclasses import dataclass, replace
from pathlib import Path

from headstart.extractors.cache import EmbeddingCache, row_bytes
from headstart.extractors.images import label_columns
from headstart.extractors.listing import read_listing
from headstart.extractors.results import JobResult
from headstart.extractors.spec import View, Whole


@dataclass(frozen=True)
class CachedKey:
    """One key of a cache; `shape` has that of one image's features, by tap, `bytes_an_image` their size together."""

    id: str
    backbone: str
    weights: str
    taps: list[str]
    shape: dict[str, list[int]]
    precision: str
    dtype: str
    rows: int
    missing: int
    shards: int
    bytes: int
    bytes_an_image: int
    view: View | Whole = "whole"
    in_float32: tuple[str, ...] = ()

    @property
    def trait(self) -> tuple[object, ...]:
        """Value that is equal in keys of the same network and rows, of which one may be a view of the other."""
        computed = self.precision, self.in_float32
        return self.backbone, self.weights, tuple(self.taps), str(self.shape), *computed, self.dtype


@dataclass(frozen=True)
class QuarantinedImage:
    """An image that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, repr=False)
class CacheSummary(
    JobResult,
    says="{cache}: {images:n image} of {root}, {distinct} distinct, {quarantined:n image} in quarantine",
    tables=("keys", "quarantined"),
    columns=("backbone", "weights", "taps", "precision", "rows", "missing"),
):
    """Contents of a cache.

    Attributes
    ----------
    cache, root : str
        The folder of the cache, and of the images.
    images, distinct : int
        Images listed, and how many of them differ in content.
    bytes : int
        Size of all shards.
    labels : dict of str to int
        For each label column the number of distinct values.
    splits : dict of str to int
        Images in each split.
    keys : list of CachedKey
        Augmented views are keys of their own, see `view`.
    quarantined : list of QuarantinedImage
    """

    cache: str
    root: str
    images: int
    distinct: int
    bytes: int
    labels: dict[str, int]
    splits: dict[str, int]
    keys: list[CachedKey]
    quarantined: list[QuarantinedImage]

    def views_of(self, plain: CachedKey) -> list[list[CachedKey]]:
        """Return the keys of the views of a key, together those that were drawn in one way."""
        ways: dict[View, list[CachedKey]] = {}
        for key in self.keys:
            if key.view != "whole" and key.trait == plain.trait:
                ways.setdefault(replace(key.view, number=1), []).append(key)
        return list(ways.values())


def inspect(cache: str | Path) -> CacheSummary:
    """Summarise a cache without loading torch.

    Raises
    ------
    CacheError
        There is no cache, or its listing or a shard cannot be read.

    Examples
    --------
    >>> found = headstart.inspect("photos.headstart")
    >>> found.images, found.quarantined, [key.rows for key in found.keys]
    (36, [], [36])
    """
    folder = EmbeddingCache(cache)
    listing = read_listing(folder)
    digests = listing.usable["digest"].unique().tolist()
    keys = [
        CachedKey(
            id=store.key.id,
            backbone=store.key.backbone,
            weights=store.about["weights_name"],
            taps=list(store.key.taps),
            shape=store.about["shape"],
            precision=store.key.precision,
            dtype=store.key.dtype,
            rows=store.n_rows(),
            missing=int(store.missing(digests).sum()),
            shards=len(store.shards()),
            bytes=store.n_bytes(),
            bytes_an_image=row_bytes(store.about["shape"], store.key.dtype),
            view=store.key.view,
            in_float32=store.key.in_float32,
        )
        for store in folder.stores()
    ]
    return CacheSummary(
        cache=str(folder.path),
        root=str(listing.root),
        images=len(listing.rows),
        distinct=len(digests),
        bytes=sum(key.bytes for key in keys),
        labels={column: int(listing.rows[column].nunique()) for column in label_columns(listing.rows)},
        splits={str(split): int(count) for split, count in listing.rows["split"].value_counts().items()},
        keys=keys,
        quarantined=[
            QuarantinedImage(path, reason)
            for path, reason in zip(listing.quarantined["path"], listing.quarantined["reason"], strict=True)
        ],
    )
