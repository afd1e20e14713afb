"""Check a cache against its checksums; on demand embed again what is damaged, with the very key it was made with."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.errors import ExtractorError
from headstart.extractors.listing import CacheListing
from headstart.extractors.upkeep import (
    Damage,
    check_keys,
    check_listing,
    check_marker,
    check_shards,
    find_unembedded,
    restore_marker,
)
from headstart.flows.errors import FlowError
from headstart.flows.output import Advance, progress_bar
from headstart.flows.upkeep.repair import repair_key


@dataclass(frozen=True)
class VerificationSummary:
    """What a cache was found to be.

    Attributes
    ----------
    cache : str
        Folder of the cache.
    sound : bool
        Whether all is well now: nothing was damaged, or all of it is repaired.
    keys, shards, bytes : int
        What was checked.
    damage : list of dict
        For each damaged file its ``path, problem, advice`` and whether it is ``repaired``.
    incomplete : list of dict
        For each key that lacks usable images of the listing its id as ``key``, their number as ``images``, their
        ``paths``, and how many are ``embedded`` again.
    seconds : float
        Time of the whole run.
    notes : list of str
        What a person should know.
    """

    cache: str
    sound: bool
    keys: int
    shards: int
    bytes: int
    damage: list[dict[str, Any]]
    incomplete: list[dict[str, Any]]
    seconds: float
    notes: list[str]


def verify(
    cache: str | Path,
    *,
    repair: bool = False,
    backbone: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    progress: bool = False,
) -> VerificationSummary:
    """Check every file of a cache; with `repair`, embed again the images whose rows are damaged or missing.

    A damaged shard is put aside first and deleted when its images are embedded again, so that a repair that is killed
    is finished by the next. Where today's backbone would give other numbers, nothing is touched.

    Parameters
    ----------
    cache : path-like
        Folder of the cache.
    repair : bool
        Set right what can be.
    backbone : str, optional
        Needed only for a key on a ``MODULE:CALLABLE`` backbone, which is code: naming it here says that it may run.
    device, workers
        See `extractors.spec.settings.Settings`.
    progress : bool
        Show bars on standard error.

    Raises
    ------
    CacheError
        There is no cache, or it cannot be written although it is to be repaired.
    """
    started = time.monotonic()
    path = Path(cache)
    marker = check_marker(path)
    if marker and not repair:
        return _summarise(path, [(marker, False)], [], ["nothing else can be checked before that"], started)
    if marker:
        restore_marker(path)
    folder = EmbeddingCache(path)
    listing, bad_listing = check_listing(folder)
    stores, bad_keys = check_keys(folder)
    with progress_bar(
        "checking", sum(len(store.shards()) for store in stores), unit="shards", show=progress
    ) as advance:
        checks = [_check_key(store, listing, advance) for store in stores]
    notes = [note for check in checks if (note := _note_of_another_set(check, listing))]
    if repair:
        for check in checks:
            if check.damages or check.unembedded:
                listing = _try_to_repair(folder, check, listing, notes, backbone, device, workers, progress)
    files = [*([marker] if marker else []), *([bad_listing] if bad_listing else []), *bad_keys]
    return _summarise(path, [(damage, damage is marker) for damage in files], checks, notes, started)


@dataclass
class _KeyCheck:
    """What was found of one key, and what became of it."""

    store: EmbeddingStore
    damages: list[Damage]
    unembedded: list[str]
    embedded: int = 0
    repaired: bool = False


def _check_key(store: EmbeddingStore, listing: CacheListing | None, advance: Advance) -> _KeyCheck:
    damages = check_shards(store, advance)
    unsound = [damage.path for damage in damages]
    return _KeyCheck(store, damages, find_unembedded(store, listing, unsound) if listing else [])


def _note_of_another_set(check: _KeyCheck, listing: CacheListing | None) -> str:
    """Pass over, with a note, a key that was made for other images than those listed now."""
    if not listing or check.damages or len(check.unembedded) < len(listing.usable):
        return ""
    check.unembedded = []
    return f"{check.store.key.id} holds none of the images that are listed now; it was made for others"


def _try_to_repair(
    cache: EmbeddingCache,
    check: _KeyCheck,
    listing: CacheListing | None,
    notes: list[str],
    backbone: str | None,
    device: str,
    workers: int | None,
    progress: bool,
) -> CacheListing | None:
    """Repair a key, or note why it is left as it is; the others are still tried. Returns the listing as it is then."""
    try:
        check.embedded, listing = repair_key(
            cache,
            check.store,
            listing,
            notes,
            backbone=backbone,
            device=device,
            workers=workers,
            progress=progress,
        )
        check.repaired = True
    except (ExtractorError, FlowError) as error:
        notes.append(f"{check.store.key.id} is not repaired: {error}")
    return listing


def _summarise(
    path: Path,
    files: Sequence[tuple[Damage, bool]],
    checks: Sequence[_KeyCheck],
    notes: list[str],
    started: float,
) -> VerificationSummary:
    settled = [*files, *((damage, check.repaired) for check in checks for damage in check.damages)]
    damage = [asdict(damage) | {"path": str(damage.path), "repaired": repaired} for damage, repaired in settled]
    incomplete = [
        {
            "key": check.store.key.id,
            "images": len(check.unembedded),
            "embedded": check.embedded,
            "paths": check.unembedded,
        }
        for check in checks
        if check.unembedded
    ]
    return VerificationSummary(
        cache=str(path),
        sound=all(entry["repaired"] for entry in damage)
        and all(entry["embedded"] == entry["images"] for entry in incomplete),
        keys=len(checks),
        shards=sum(len(check.store.shards()) for check in checks),
        bytes=sum(check.store.n_bytes() for check in checks),
        damage=damage,
        incomplete=incomplete,
        seconds=round(time.monotonic() - started, 3),
        notes=notes,
    )
