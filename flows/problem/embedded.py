"""The embeddings of a cache that cover a set of images, each under a name that tells it from the others."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.extractors.backbones import canonical_name
from headstart.extractors.cache import DigestArray, EmbeddingCache, EmbeddingStore, EmbeddingView
from headstart.extractors.spec import Tap, View, short_name
from headstart.flows.errors import JobError


@dataclass(frozen=True)
class Embedded:
    """One tap of one key: the rows of the problem's images, where they come from, and those of augmented views."""

    store: EmbeddingStore
    tap: str
    features: EmbeddingView
    label: str
    views: tuple[EmbeddingView, ...] = ()
    drawn: tuple[View, ...] = ()

    @property
    def rows(self) -> EmbeddingView:
        """Rows of all views, image by image: the plain one first, then the others."""
        return EmbeddingView.woven((self.features, *self.views)) if self.views else self.features

    def take(self, rows: Any) -> "Embedded":
        """Return the same of some of the images: an index array or a mask."""
        views = tuple(view.take(rows) for view in self.views)
        return replace(self, features=self.features.take(rows), views=views)

    @property
    def backbone(self) -> str:
        """Canonical name of the backbone."""
        return self.store.key.backbone


def find_covering(
    cache: EmbeddingCache,
    digests: Sequence[str] | DigestArray,
    backbone: Sequence[str] | None,
    keys: Sequence[str] | None,
    notes: list[str],
    *,
    maps: bool = False,
) -> list[Embedded]:
    """Return every tap of every key that has a row for each of these images.

    Parameters
    ----------
    cache : EmbeddingCache
    digests : sequence of str, or uint8 array (n_images, 32)
        Of the images, in their order; as hex, or as bytes.
    backbone, keys : sequence of str, optional
        Take only these.
    notes : list of str
        Told which keys lack images.
    maps : bool
        Return maps, on which a tail is trained, and not the features that heads take.

    Raises
    ------
    JobError
        No key covers the images, one that does is damaged, or the cache holds maps alone.
    """
    known_stores = cache.stores(plain=True)
    stores = [
        store
        for store in known_stores
        if (backbone is None or _named(store, backbone)) and (keys is None or store.key.id in keys)
    ]
    if not stores:
        known = _backbones(known_stores)
        raise JobError(
            f"{cache.path}: no embeddings of {', '.join(keys or backbone or ['any backbone'])}; the cache has {known}"
        )
    for name in backbone or []:
        if not any(_named(store, [name]) for store in stores):
            raise JobError(f"{cache.path}: no embeddings of {name}; the cache has {_backbones(stores)}")
    complete = _complete_of(cache, stores, digests, notes)
    labels = _labels(complete)
    found = [
        Embedded(store, tap, store.view(tap, digests), label)
        for store, label in zip(complete, labels, strict=True)
        for tap in store.key.taps
        if Tap.parse(tap).is_map == maps
    ]
    if not found:
        raise _no_such_tap(cache, complete, maps=maps)
    passed_over = [tap for store in complete for tap in store.key.taps if Tap.parse(tap).is_map]
    if passed_over and not maps:
        notes.append(f"heads take no maps and leave {', '.join(passed_over)} out; 'headstart finetune' trains on them")
    return found


def _complete_of(
    cache: EmbeddingCache, stores: Sequence[EmbeddingStore], digests: Sequence[str] | DigestArray, notes: list[str]
) -> list[EmbeddingStore]:
    """Return the embeddings that have a row for each image, undamaged."""
    complete = []
    for store in stores:
        missing = int(store.missing(digests).sum())
        if missing:
            notes.append(
                f"{store.key.id} lacks {missing} of {len(digests)} images and is left out; "
                "run 'headstart extract' again"
            )
        else:
            complete.append(store)
    for store in complete:
        refuse_damaged(cache, store)
    if not complete:
        raise JobError(
            f"{cache.path}: no key covers all {len(digests)} images; run 'headstart extract' again ({notes[-1]})"
        )
    return complete


def only_embedding(found: Sequence[Embedded], tap: str | None, cache: Path, say: Callable[[Embedded], str]) -> Embedded:
    """Return the one embedding that is meant, of this tap where it is given.

    Parameters
    ----------
    found : sequence of Embedded
    tap : str or None
    cache : Path
        Named in errors.
    say : callable
        How a person asks for one of several.

    Raises
    ------
    JobError
        There is no such tap, or several are left.
    """
    left = [one for one in found if tap in (None, one.tap)]
    if not left:
        raise JobError(f"{cache}: no tap {tap!r}; there are {', '.join(sorted({one.tap for one in found}))}")
    if len(left) > 1:
        known = "; ".join(f"{say(one)} ({one.label})" for one in left)
        raise JobError(f"{cache}: which embeddings are meant? Say one of: {known}")
    return left[0]


def refuse_damaged(cache: EmbeddingCache, store: EmbeddingStore) -> None:
    """Refuse to fit on damaged rows, which would only look like a bad backbone.

    Raises
    ------
    JobError
        A shard is damaged.
    """
    for path, reason in store.damaged().items():
        raise JobError(f"{path}: {reason}; run 'headstart verify {cache.path} --repair'")


def _no_such_tap(cache: EmbeddingCache, stores: Sequence[EmbeddingStore], *, maps: bool) -> JobError:
    """Say that there are no maps, or nothing else, and then which pooling to use instead."""
    store = stores[0]
    if maps:
        return JobError(
            f"{cache.path}: holds no maps; 'headstart extract … --tap LAYER:map' keeps what a layer puts out"
        )
    layer, shape = Tap.parse(store.key.taps[0]).layer, "×".join(map(str, store.about["shape"][store.key.taps[0]]))
    return JobError(
        f"{cache.path}: holds maps alone ({', '.join(store.key.taps)} of {shape}), "
        f"and a head takes one row an image; 'headstart extract … --backbone {short_name(store.key.backbone)} --tap "
        f"{layer}:avg' pools them, and 'headstart finetune {cache.path}' trains on maps"
    )


def _backbones(stores: Sequence[EmbeddingStore]) -> str:
    return ", ".join(sorted({store.key.backbone for store in stores})) or "none"


def _named(store: EmbeddingStore, names: Sequence[str]) -> bool:
    return {store.key.backbone, short_name(store.key.backbone)} & set(map(canonical_name, names)) != set()


def _labels(stores: Sequence[EmbeddingStore]) -> list[str]:
    """Name each key as shortly as sets it apart: by backbone, then by weights, size, precision and dtype, or by id."""
    labels = [short_name(store.key.backbone) for store in stores]
    traits = [
        (_short_weights(store), f"{store.key.preprocessing.crop[0]} px", store.key.computed_in, store.key.dtype)
        for store in stores
    ]
    for column in zip(*traits, strict=True):
        alike = [{trait for other, trait in zip(labels, column, strict=True) if other == label} for label in labels]
        labels = [
            f"{label}, {own}" if len(all_) > 1 else label
            for label, own, all_ in zip(labels, column, alike, strict=True)
        ]
    labels = [re.sub(r", (.*)", r" (\1)", label, count=1) for label in labels]
    return [store.key.id if labels.count(label) > 1 else label for store, label in zip(stores, labels, strict=True)]


def _short_weights(store: EmbeddingStore) -> str:
    return re.sub(r"^none \((.*)\)$|\.(safetensors|pth|pt)$", r"\1", store.about["weights_name"])
