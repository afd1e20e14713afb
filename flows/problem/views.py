"""The augmented views of a cache: which keys hold them for a key of plain images, and how to make those that lack."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace

from headstart.extractors.cache import DigestArray, EmbeddingCache, EmbeddingStore
from headstart.extractors.listing import read_listing
from headstart.extractors.spec import PENULTIMATE, View
from headstart.flows.errors import JobError
from headstart.flows.problem.embedded import Embedded, refuse_damaged

_USUAL = 4  # views that a command makes where there are none


def add_views(
    cache: EmbeddingCache, embedded: Sequence[Embedded], digests: Sequence[str] | DigestArray, notes: list[str]
) -> list[Embedded]:
    """Return embeddings with their views, as many of each; those without any are left out, with a note.

    Parameters
    ----------
    cache : EmbeddingCache
    embedded : sequence of Embedded
        Of the plain images.
    digests : sequence of str, or uint8 array (n_images, 32)
        Of the images, in their order.
    notes : list of str

    Raises
    ------
    JobError
        None has views, views were drawn in several ways, or a shard is damaged.
    """
    stores = {one.store.key.id: one.store for one in embedded}
    lacks: list[str] = []
    views = {key: find_views(cache, store, digests, lacks) for key, store in stores.items()}
    found = [one for one in embedded if views[one.store.key.id]]
    if not found:
        none = f"holds no views of the images; run '{command_for(cache, embedded[0].store, _USUAL)}'"
        raise JobError(f"{cache.path}: {lacks[0] if lacks else none}")
    notes += lacks
    lacking = dict.fromkeys(one.label for one in embedded if one not in found)
    notes += [f"{label} has no views and is left out" for label in lacking]
    n_least = min(len(views[one.store.key.id]) for one in found)
    if any(len(views[one.store.key.id]) > n_least for one in found):
        notes.append(f"of each embedding {n_least + 1} views are used, as many as all have")
    return [
        replace(
            one,
            views=tuple(store.view(one.tap, digests) for store in views[one.store.key.id][:n_least]),
            drawn=tuple(store.key.view for store in views[one.store.key.id][:n_least] if store.key.view != "whole"),
        )
        for one in found
    ]


def find_views(
    cache: EmbeddingCache, plain: EmbeddingStore, digests: Sequence[str] | DigestArray, notes: list[str]
) -> list[EmbeddingStore]:
    """Return the keys of view 1, 2, … of the images that a key embeds as they are, as far as they cover these images.

    Raises
    ------
    JobError
        Views were drawn in several ways, as many in each; or a shard is damaged.
    """
    ways: dict[View, dict[int, EmbeddingStore]] = {}
    for store in cache.stores():
        view = store.key.view
        if view != "whole" and replace(store.key, view="whole", decode=plain.key.decode) == plain.key:
            ways.setdefault(replace(view, number=1), {})[view.number] = store
    found = [_complete(cache, plain, by_number, digests, notes) for by_number in ways.values()]
    most = max(map(len, found), default=0)
    longest = [stores for stores in found if len(stores) == most > 0]
    if len(longest) > 1:
        folders = ", ".join(str(stores[0].path.name) for stores in longest)
        raise JobError(
            f"{cache.path}: holds {most} views of {plain.key.id} in {len(longest)} ways ({folders}, …); draw more of "
            "those that are meant, or delete the folders of the others"
        )
    for store in longest[0] if longest else ():
        refuse_damaged(cache, store)
    return longest[0] if longest else []


def _complete(
    cache: EmbeddingCache,
    plain: EmbeddingStore,
    by_number: dict[int, EmbeddingStore],
    digests: Sequence[str] | DigestArray,
    notes: list[str],
) -> list[EmbeddingStore]:
    """Return the stores from view 1 up to the first that is not there or lacks an image, of which a note tells."""
    stores: list[EmbeddingStore] = []
    while store := by_number.get(len(stores) + 1):
        if n_missing := int(store.missing(digests).sum()):
            drawn = store.key.view
            more = command_for(cache, plain, max(by_number) + 1, None if drawn == "whole" else drawn)
            notes.append(
                f"view {len(stores) + 1} of {plain.key.id} lacks {n_missing} of {len(digests)} images, and is left out "
                f"with those behind it; run '{more}'"
            )
            break
        stores.append(store)
    return stores


def command_for(cache: EmbeddingCache, plain: EmbeddingStore, n_views: int, drawn: View | None = None) -> str:
    """Return the command that embeds so many views for a key of plain images, into that very key and its views."""
    key, listing = plain.key, read_listing(cache)
    given: dict[str, list[str]] = {
        "weights": [] if (source := str(plain.about["weights_source"])) == "default" else [source],
        "tap": [] if key.taps == (PENULTIMATE,) else list(key.taps),
        "image-size": [str(key.image_size)] if key.image_size else [],
        "precision": [key.precision],
        "in-float32": list(key.in_float32),
        "decode": [key.decode] if key.decode != "nvjpeg" else [],
        "dtype": [key.dtype] if key.dtype != "float32" else [],
        "colour": [key.colour],
        "range": [] if key.range == "whole" else list(map(str, key.range)),
        "limit": [str(len(listing.rows))] if listing.left_out else [],
        "cache": [str(cache.path)],
        "views": [str(n_views)],
    }
    for name, value in asdict(drawn).items() if drawn else ():
        given[f"view-{name}"] = [] if name == "number" or value == getattr(View, name) else [str(value)]
    words = ["headstart", "extract", str(listing.root), "--backbone", key.backbone, *(["--exact"] if key.exact else [])]
    return shlex.join([*words, *(word for name, values in given.items() if values for word in (f"--{name}", *values))])


def describe_views(embedded: Embedded, *, average: bool) -> list[str]:
    """Say in one line how many views were fitted on, how they were drawn, and what was scored; nothing without any."""
    if not embedded.drawn:
        return []
    one, scored = embedded.drawn[0], "the mean over all of them" if average else "view 0, the plain image"
    drawn = f"seed {one.seed}, crop {one.crop:g}, flip {one.flip:g}, jitter {one.jitter:g}"
    return [f"fitted on {len(embedded.drawn) + 1} views of each training image ({drawn}); scored by {scored}"]
