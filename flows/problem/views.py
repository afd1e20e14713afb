"""The augmented views of a cache: which keys hold them for a key of plain images, and how to make those that lack."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from headstart.extractors.cache import DigestArray, EmbeddingCache, EmbeddingStore
from headstart.extractors.listing import listed_root
from headstart.extractors.spec import View, short_name
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
    views = {key: find_views(cache, store, digests, notes) for key, store in stores.items()}
    found = [one for one in embedded if views[one.store.key.id]]
    if not found:
        raise JobError(
            f"{cache.path}: holds no views of the images; run '{command_for(cache, embedded[0].store, _USUAL)}'"
        )
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
            more = command_for(cache, plain, max(by_number) + 1, by_number[len(stores) + 1].key.view)
            notes.append(
                f"view {len(stores) + 1} of {plain.key.id} lacks {n_missing} of {len(digests)} images, and is left out "
                f"with those behind it; run '{more}'"
            )
            break
        stores.append(store)
    return stores


def command_for(cache: EmbeddingCache, plain: EmbeddingStore, n_views: int, drawn: View | str = "whole") -> str:
    """Return the command that embeds so many views for a key of plain images."""
    key = plain.key
    weights = str(plain.about["weights_source"])
    words = ["headstart", "extract", str(listed_root(cache) or "IMAGES"), "--backbone", short_name(key.backbone)]
    words += [] if weights == "default" else ["--weights", weights]
    words += [] if key.taps == ("penultimate",) else ["--tap", *key.taps]
    words += ["--image-size", str(key.image_size)] if key.image_size else []
    words += ["--precision", key.precision, *(["--exact"] if key.exact else [])]
    words += ["--decode", key.decode] if key.decode != "nvjpeg" else []
    words += ["--dtype", key.dtype] if key.dtype != "float32" else []
    words += ["--cache", str(cache.path), "--views", str(n_views)]
    if isinstance(drawn, View):
        usual = View(number=drawn.number)
        changed = [name for name in ("seed", "crop", "flip", "jitter") if getattr(drawn, name) != getattr(usual, name)]
        words += [word for name in changed for word in (f"--view-{name}", f"{getattr(drawn, name):g}")]
    return shlex.join(words)


def describe_views(embedded: Embedded, *, average: bool) -> list[str]:
    """Say in one line how many views were fitted on, how they were drawn, and what was scored; nothing without any."""
    if not embedded.drawn:
        return []
    one, scored = embedded.drawn[0], "the mean over all of them" if average else "view 0, the plain image"
    drawn = f"seed {one.seed}, crop {one.crop:g}, flip {one.flip:g}, jitter {one.jitter:g}"
    return [f"fitted on {len(embedded.drawn) + 1} views of each training image ({drawn}); scored by {scored}"]
