"""Check a cache against its checksums; on demand embed again what is damaged, with the very key it was made with."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.errors import ExtractorError
from headstart.extractors.listing import CacheListing, read_listing
from headstart.extractors.results import JobResult
from headstart.extractors.upkeep import (
    Damage,
    check_index,
    check_keys,
    check_listing,
    check_marker,
    check_records,
    check_shards,
    find_unembedded,
    restore_marker,
)
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.errors import FlowError
from headstart.flows.output import Advance, progress_bar
from headstart.flows.upkeep.repair import repair_key, restore_key, restore_listing


@dataclass(frozen=True)
class SettledDamage:
    """One file that is not as it was written, as `extractors.upkeep.Damage` has it, and whether it is repaired.

    `unread` are those that could not be read this time, against which nothing is known.
    """

    path: str
    problem: str
    advice: str
    repairable: bool
    unread: bool
    repaired: bool


@dataclass(frozen=True)
class IncompleteKey:
    """The id of a key, how many usable images of the listing it lacks, how many are embedded again, and which."""

    key: str
    images: int
    embedded: int
    paths: list[str]


@dataclass(frozen=True, repr=False)
class VerificationSummary(
    JobResult,
    says="{cache}: {keys:n key} and {shards:n shard} checked, {damage:n file} damaged, sound: {sound}",
    tables=("damage", "incomplete"),
):
    """Findings of a check of a cache.

    Attributes
    ----------
    cache : str
        Folder of the cache.
    sound : bool
        Whether all is well now: nothing was damaged, or all of it is repaired.
    keys, shards, bytes : int
        What was checked.
    damage : list of SettledDamage
    incomplete : list of IncompleteKey
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
    damage: list[SettledDamage]
    incomplete: list[IncompleteKey]
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
    is finished by the next. Where today's backbone would give other numbers, or a file cannot be read for a fault of
    disk or rights, nothing is touched.

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

    Examples
    --------
    >>> headstart.verify("photos.headstart")
    VerificationSummary: photos.headstart: 1 key and 1 shard checked, 0 files damaged, sound: True
    """
    started = time.monotonic()
    path = Path(cache)
    marker = check_marker(path)
    if marker and not repair:
        return _summarise(path, [(marker, False)], [], ["nothing else can be checked before that"], started)
    if marker:
        restore_marker(path)
    folder = EmbeddingCache(path)
    notes: list[str] = []
    listing, files = _check_files(folder, notes, repair=repair, workers=workers)
    stores, bad_keys = check_keys(folder)
    if repair and bad_keys:
        files += [(damage, _restored(folder, damage, notes)) for damage in bad_keys]
        stores, _ = check_keys(folder)
    else:
        files += [(damage, False) for damage in bad_keys]
    with progress_bar(
        "checking", sum(len(store.shards()) for store in stores), unit="shards", show=progress
    ) as advance:
        checks = [_check_key(store, listing, advance) for store in stores]
    notes += [note for check in checks if (note := _note_of_another_set(check, listing))]
    if repair:
        for check in checks:
            if check.damages or check.unembedded:
                listing = _try_to_repair(folder, check, listing, notes, backbone, device, workers, progress)
            _try_to_index(check, notes)
    return _summarise(path, [*([(marker, True)] if marker else []), *files], checks, notes, started)


def _check_files(
    cache: EmbeddingCache, notes: list[str], *, repair: bool, workers: int | None
) -> tuple[CacheListing | None, list[tuple[Damage, bool]]]:
    """Check what lies beside the keys; each damage comes with whether it is repaired."""
    listing, damage = check_listing(cache)
    files = [(one, False) for one in check_records(cache)]
    if damage and repair and not damage.unread:
        try:
            listing = restore_listing(cache, workers)
            if listing:
                notes.append(
                    f"the images of {listing.root} are listed anew, as 'headstart extract' does without --layout"
                )
        except ExtractorError as error:
            notes.append(f"the images are not listed again: {error}")
    return listing, [*([(damage, listing is not None)] if damage else []), *files]


def _restored(cache: EmbeddingCache, damage: Damage, notes: list[str]) -> bool:
    try:
        return not damage.unread and restore_key(cache, damage.path.parent)
    except ExtractorError as error:
        notes.append(f"{damage.path.parent.name} is not repaired: {error}")
        return False


@dataclass
class _KeyCheck:
    """Findings about one key, and what became of it."""

    store: EmbeddingStore
    damages: list[Damage]
    unembedded: list[str]
    index: Damage | None
    embedded: int = 0
    repaired: bool = False
    indexed: bool = False

    @property
    def unread(self) -> bool:
        return any(damage.unread for damage in self.damages)


def _check_key(store: EmbeddingStore, listing: CacheListing | None, advance: Advance | None = None) -> _KeyCheck:
    damages = check_shards(store, advance)
    unsound = [damage.path for damage in damages]
    listed = listing and not any(damage.unread for damage in damages)  # or rows may be where nobody can look now
    if not store.shards() and (listing is None or len(listing.usable)):
        advice = f"run 'headstart verify {store.path.parent.parent} --repair', or delete the folder"
        damages.append(Damage(store.path / "key.json", "has not one shard beside it", advice, repairable=True))
    return _KeyCheck(
        store, damages, find_unembedded(store, listing, unsound) if listing and listed else [], check_index(store)
    )


def _note_of_another_set(check: _KeyCheck, listing: CacheListing | None) -> str:
    """Pass over, with a note, a key that was made for other images than those listed now."""
    if not listing or check.damages or not check.unembedded or len(check.unembedded) < len(listing.usable):
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
    if check.unread:
        notes.append(f"{check.store.key.id} is not repaired: a shard could not be read, which may pass")
        return listing
    try:
        listing = repair_key(
            cache,
            check.store,
            listing,
            notes,
            backbone=backbone,
            device=device,
            workers=workers,
            progress=progress,
        )
    except (ExtractorError, FlowError) as error:
        notes.append(f"{check.store.key.id} is not repaired: {error}")
    _ask_again(cache, check, listing)
    return listing


def _ask_again(cache: EmbeddingCache, check: _KeyCheck, listing: CacheListing | None) -> None:
    """Find out what a key is like now: another repair may have ended well where this one did not."""
    now = _check_key(check.store, read_listing(cache) if listing else None)
    check.repaired = not now.damages
    usable, left = set(listing.usable["path"]) if listing else set(), set(now.unembedded)
    check.embedded = sum(path in usable and path not in left for path in check.unembedded) if check.repaired else 0


def _try_to_index(check: _KeyCheck, notes: list[str]) -> None:
    if not check.index or check.index.unread:
        return
    try:
        with writer_lock(check.store.path):
            check.store.rebuild_index()
    except ExtractorError as error:
        notes.append(f"the index of {check.store.key.id} is not written anew: {error}")
    check.indexed = check_index(check.store) is None


def _summarise(
    path: Path,
    files: Sequence[tuple[Damage, bool]],
    checks: Sequence[_KeyCheck],
    notes: list[str],
    started: float,
) -> VerificationSummary:
    settled = [*files, *((damage, check.repaired) for check in checks for damage in check.damages)]
    settled += [(check.index, check.indexed) for check in checks if check.index]
    damage = [
        SettledDamage(str(one.path), one.problem, one.advice, one.repairable, one.unread, repaired)
        for one, repaired in settled
    ]
    incomplete = [
        IncompleteKey(check.store.key.id, len(check.unembedded), check.embedded, check.unembedded)
        for check in checks
        if check.unembedded
    ]
    return VerificationSummary(
        cache=str(path),
        sound=all(entry.repaired for entry in damage) and all(entry.embedded == entry.images for entry in incomplete),
        keys=len(checks),
        shards=sum(len(check.store.shards()) for check in checks),
        bytes=sum(check.store.n_bytes() for check in checks),
        damage=damage,
        incomplete=incomplete,
        seconds=round(time.monotonic() - started, 3),
        notes=notes,
    )
