"""Pixels of an image set as its files hold them: the range that deep ones use, and profiles other than sRGB's.

Both are found once for a set, in images spread over it, and stand in the key; what was found is kept in the cache, so
that images that come later are seen in the same way.
"""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import UNREADABLE, EmbeddingCache
from headstart.extractors.decoding import look_at, range_of, used_range
from headstart.extractors.errors import NotReadError, UnreadableImage
from headstart.extractors.images import ImageSource, image_sources, read_bytes
from headstart.extractors.listing import CacheListing, listing_lock
from headstart.extractors.spec import Colour, EmbeddingKey, Range, Settings, Whole, claimed

_FILE = "pixels.json"
_LOOKED_AT = 256
_READ_BYTES = 256 << 20  # large files are fewer
_DECODED = 32  # of those with more than 8 bits
_Found = TypeVar("_Found")


class SettledPixels(NamedTuple):
    """A key with range and colour, and what a person should know of them."""

    key: EmbeddingKey
    reasons: list[str]


@dataclass(frozen=True)
class _Seen:
    """Findings in images of the set: a range, where there are deep ones, and how many of how many have a profile."""

    ends: Range | Whole | None
    n_deep: int
    n_profiles: int
    n_images: int


@dataclass(frozen=True)
class _Kept:
    """Findings of a set as the file keeps them."""

    range: Range | Whole | None = None
    colour: Colour | None = None


def settle_pixels(plain: EmbeddingKey, settings: Settings, listing: CacheListing, cache: Path) -> SettledPixels:
    """Give a key the range and the colour that the settings ask for, or that the images need.

    Parameters
    ----------
    plain : EmbeddingKey
    settings : Settings
        What is said there goes before what is found.
    listing : CacheListing
        The set.
    cache : Path
        Keeps what was found, by the set's place.
    """
    place, reasons = str(listing.root), list[str]()
    kept = _read(cache)
    known = dict(kept.get(place, {}))
    no_range = settings.range is None and "range" not in known
    no_colour = settings.colour == "auto" and "colour" not in known
    if (no_range or no_colour) and len(listing.distinct):
        seen = _look(listing, settings.n_workers, deep=no_range)
        if seen.ends is not None:
            known["range"] = seen.ends if seen.ends == "whole" else list(seen.ends)
        if no_colour and seen.n_profiles:
            known["colour"] = "srgb"
        if known != kept.get(place, {}) and os.access(cache, os.W_OK):
            with listing_lock(EmbeddingCache(cache)):
                kept = _read(cache)
                known |= kept.get(place, {})  # who looked first decides for both, or one set would have two keys
                write_atomically(cache / _FILE, json.dumps(kept | {place: known}, indent=1).encode())
        reasons = _reasons(seen, known.get("range", "whole"), known.get("colour") if no_colour else None)
    ends = known.get("range", "whole") if settings.range is None else settings.range
    colour = known.get("colour", "as-stored") if settings.colour == "auto" else settings.colour
    return SettledPixels(replace(plain, range=ends if ends == "whole" else tuple(ends), colour=colour), reasons)


def _reasons(seen: _Seen, ends: Range | Whole, colour: Colour | None) -> list[str]:
    """Say what was looked at, and what is taken because of it."""
    reasons = []
    if seen.ends is not None and ends != "whole":
        low, high = ends
        reasons.append(
            f"{seen.n_deep} images of more than 8 bits looked at: {low:g} is taken for black and {high:g} for white; "
            "--range LOW HIGH sets others"
        )
    if seen.n_profiles and colour == "srgb":
        reasons.append(
            f"{seen.n_profiles} of {seen.n_images} images looked at have another colour profile than sRGB; such are "
            "converted, and --colour as-stored leaves them"
        )
    return reasons


def _look(listing: CacheListing, workers: int, *, deep: bool) -> _Seen:
    distinct = listing.distinct
    sources = list(image_sources(distinct.iloc[_spread(len(distinct), _LOOKED_AT)]))
    sizes = np.cumsum([source.bytes for source in sources])
    sources = sources[: max(1, int((sizes <= _READ_BYTES).sum()))]
    with ThreadPoolExecutor(workers, thread_name_prefix="look") as pool:

        def each(function: Callable[[bytes], _Found], some: list[ImageSource]) -> list[_Found | None]:
            def one(source: ImageSource) -> _Found | None:
                try:
                    return function(read_bytes(listing.root, source))
                except (UnreadableImage, NotReadError, MemoryError):
                    return None  # its reason is given when it is embedded

            return list(pool.map(one, some))

        found = each(look_at, sources)
        those = [source for source, one in zip(sources, found, strict=True) if deep and one and one.deep]
        used = [
            one for one in each(used_range, [those[at] for at in _spread(len(those), _DECODED)]) if one and one.whole
        ]
    seen = [one for one in found if one]
    n_profiles = sum(one.other_profile for one in seen)
    if not used:
        return _Seen(None, 0, n_profiles, len(seen))
    common = range_of([one.ends for one in used])
    settled: Range | Whole = "whole" if all(one.whole == common for one in used) else common
    return _Seen(settled, len(used), n_profiles, len(seen))


def _spread(n_images: int, n_taken: int) -> list[int]:
    """Return the positions of so many images at most, evenly over all."""
    return sorted({int(at) for at in np.linspace(0, n_images - 1, min(n_images, n_taken))}) if n_images else []


def _read(cache: Path) -> dict[str, dict[str, Any]]:
    """Read what was found before; a missing or damaged file is found anew."""
    try:
        kept = json.loads((cache / _FILE).read_bytes())
        return {str(place): dict(found) for place, found in kept.items() if _is_fit(found)}
    except UNREADABLE:
        return {}


def _is_fit(found: Any) -> bool:
    try:
        ends = claimed(_Kept, found).range
    except TypeError:
        return False
    return ends is None or ends == "whole" or ends[0] < ends[1]
