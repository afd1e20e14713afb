"""Whether a cache is what was written: its marker, its listing, every key and every shard; and shards put aside.

What is found says what to do about it. Nothing here computes embeddings: `flows.upkeep.verification` does, to repair.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from headstart.extractors.atomic import errors_explained, write_atomically
from headstart.extractors.cache import FILE, EmbeddingCache, EmbeddingStore, find_damage, find_flaw, read_key
from headstart.extractors.errors import CacheError, UnavailableError
from headstart.extractors.images import DIGEST_COLUMN
from headstart.extractors.listing import CacheListing, check_left_out, has_listing, read_listing, read_other_sets
from headstart.extractors.spec import FORMAT_VERSION, EmbeddingKey

_ASIDE, _STRAYED = ".damaged", ".strayed"


@dataclass(frozen=True)
class Damage:
    """One file that is not as it was written.

    Attributes
    ----------
    path : Path
        The file.
    problem : str
        What is wrong with it.
    advice : str
        What to do.
    repairable : bool
        Whether ``headstart verify --repair`` sets it right.
    unread : bool
        Whether nothing is known against it: it could not be read this time, and is left as it is.
    """

    path: Path
    problem: str
    advice: str
    repairable: bool = False
    unread: bool = False

    @classmethod
    def unknown(cls, path: Path, error: UnavailableError) -> Self:
        """Return the report on a file that could not be read this time."""
        problem, _, advice = _without_path(str(error), path).partition("; ")
        return cls(path, problem, advice, unread=True)


def check_marker(path: Path) -> Damage | None:
    """Check ``cache.json``; None if it is sound.

    Raises
    ------
    CacheError
        There is no cache at `path`, or nothing in it tells its format.
    """
    try:
        EmbeddingCache(path)
    except UnavailableError:
        raise  # it may be as it was written
    except CacheError as error:
        if not _all_keys_have_this_format(path):
            raise
        problem = f"is missing, damaged, or names another format than the keys beside it ({error})"
        return Damage(path / "cache.json", problem, f"run 'headstart verify {path} --repair'", repairable=True)
    return None


def restore_marker(path: Path) -> None:
    """Write ``cache.json`` again where the keys beside it say which format the cache has."""
    write_atomically(path / "cache.json", json.dumps({"format_version": FORMAT_VERSION}).encode())


def check_listing(cache: EmbeddingCache) -> tuple[CacheListing | None, Damage | None]:
    """Read the listing; what is wrong with it comes beside it. A cache without a listing is sound."""
    if not has_listing(cache):
        return None, None
    try:
        return read_listing(cache), None
    except UnavailableError as error:
        return None, Damage.unknown(cache.path / "listing.parquet", error)
    except CacheError as error:
        advice = (
            f"delete it and run 'headstart extract IMAGES --cache {cache.path}' with the backbone you used: images are "
            "read again, embeddings are kept"
        )
        return None, Damage(
            cache.path / "listing.parquet", _without_path(str(error), cache.path).partition("; ")[0], advice
        )


def check_keys(cache: EmbeddingCache) -> tuple[list[EmbeddingStore], list[Damage]]:
    """Read every ``key.json``; returns the keys that can be read, and what is wrong with the others."""
    stores, damages = [], []
    for folder in cache.folders():
        file = folder / "key.json"
        shards = [*folder.glob("shard-*.h5")]
        if not file.exists() and not shards:
            continue  # an extraction that was cut short before its first row
        try:
            store = EmbeddingStore.read(folder)
            if store.key.id == folder.name:
                stores.append(store)
                continue
            problem = f"does not give the name of its folder, but {store.key.id}"
        except UnavailableError as error:
            damages.append(Damage.unknown(file, error))
            continue
        except CacheError as error:
            problem = "is missing" if not file.exists() else _without_path(str(error), folder).partition("; ")[0]
        damages.append(Damage(file, problem, _advice_for_key(file, shards)))
    return stores, damages


def check_shards(store: EmbeddingStore, on_shard: Callable[[int], None] | None = None) -> list[Damage]:
    """Recompute every checksum of a key's shards, and name the files that an unfinished repair left.

    Parameters
    ----------
    store : EmbeddingStore
        One key.
    on_shard : callable, optional
        Called with 1 for each shard that has been read.
    """
    repair = f"run 'headstart verify {store.path.parent.parent} --repair'"
    damages = []
    for path in store.shards():
        try:
            if problem := store.damage_of(path):
                strayed = f"{repair}; it keeps the file as {path.name}{_STRAYED}"
                advice = strayed if is_strayed(path, store.key) else repair
                damages.append(Damage(path, problem, advice, repairable=True))
        except UnavailableError as error:
            damages.append(Damage.unknown(path, error))
        if on_shard:
            on_shard(1)
    for path in find_no_files(store):
        advice = f"{repair}; it is moved aside as {path.name}{_STRAYED}"
        damages.append(Damage(path, "is no file, though it has the name of a shard", advice, repairable=True))
    aside = [Damage(path, "a repair of this shard was cut short", repair, repairable=True) for path in put_aside(store)]
    return damages + aside


def check_index(store: EmbeddingStore) -> Damage | None:
    """Check the index of a key against its checksum; None if it is sound, or there is none."""
    path = store.path / FILE
    try:
        problem = find_flaw(store.path, store.key)
    except UnavailableError as error:
        return Damage.unknown(path, error)
    advice = f"run 'headstart verify {store.path.parent.parent} --repair', or delete it: the shards know what it says"
    return Damage(path, problem, advice, repairable=True) if problem else None


def check_records(cache: EmbeddingCache) -> list[Damage]:
    """Check what is kept beside the listing: the images that a limit left out, and those of other sets."""
    damages = []
    for check, name in ((check_left_out, "digests.parquet"), (read_other_sets, "other-sets.parquet")):
        try:
            check(cache)
        except UnavailableError as error:
            damages.append(Damage.unknown(cache.path / name, error))
        except CacheError as error:
            problem, _, advice = _without_path(str(error), cache.path).partition("; ")
            damages.append(Damage(cache.path / name, problem, advice))
    return damages


def find_no_files(store: EmbeddingStore) -> list[Path]:
    """Name what is called like a shard and is no file, such as a folder."""
    with errors_explained(store.path):
        return sorted(path for path in store.path.glob("shard-*.h5") if not path.is_file())


def find_unembedded(store: EmbeddingStore, listing: CacheListing, unsound: Sequence[Path]) -> list[str]:
    """Return the paths of usable images of the listing whose rows are in no sound shard.

    Parameters
    ----------
    unsound : sequence of Path
        Damaged shards, of which no row counts.
    """
    usable = listing.usable
    bad = set(unsound)
    sound = [path for path in store.shards() if path not in bad]
    return usable["path"][store.missing(usable[DIGEST_COLUMN].tolist(), among=sound)].tolist()


def put_shards_aside(store: EmbeddingStore, shards: Sequence[Path]) -> list[Path]:
    """Rename shards so that none of their rows counts; returns the new names.

    A shard of another key is whole and may be wanted elsewhere, and what is no file is nobody knows what: they get a
    name under which they are never deleted.
    """
    aside = []
    for path in shards:
        suffix = _STRAYED if not path.is_file() or is_strayed(path, store.key) else _ASIDE
        with errors_explained(path):
            aside.append(path.rename(path.with_name(path.name + suffix)))
    return aside


def put_shards_back(aside: Sequence[Path]) -> None:
    """Undo `put_shards_aside`, but where another process has sealed the same rows meanwhile."""
    for path in aside:
        back = path.with_suffix("")
        with errors_explained(path), suppress(FileNotFoundError):  # another repair has ended well, and deleted it
            path.unlink() if back.exists() else path.rename(back)


def put_aside(store: EmbeddingStore) -> list[Path]:
    """Name the damaged shards that a repair put aside and has not deleted yet."""
    return sorted(store.path.glob(f"shard-*.h5{_ASIDE}"))


def delete_aside(store: EmbeddingStore) -> None:
    """Delete the damaged shards that were put aside; do this when their rows are there again."""
    for path in put_aside(store):
        with errors_explained(path):
            path.unlink(missing_ok=True)


def is_strayed(path: Path, key: EmbeddingKey) -> bool:
    """Tell whether a shard is sound but was made under another key."""
    try:
        own = read_key(path)
    except UnavailableError:
        raise
    except CacheError:
        return False
    return own != key and not find_damage(path, own)


def _all_keys_have_this_format(path: Path) -> bool:
    try:
        found = [EmbeddingStore.read(file.parent).key for file in (path / "embeddings").glob("*/key.json")]
    except CacheError:
        return False
    return bool(found) and all(key.format_version == FORMAT_VERSION for key in found)


def _advice_for_key(file: Path, shards: Sequence[Path]) -> str:
    """Say how a key comes back: its shards name it, and an extraction with the same arguments finds them."""
    for shard in shards:
        try:
            key = read_key(shard)
        except CacheError:
            continue
        taps = " ".join(key.taps)
        layers = f" --in-float32 {' '.join(key.in_float32)}" if key.in_float32 else ""
        return (
            f"delete it and run 'headstart extract' with --backbone {key.backbone} --tap {taps} "
            f"--precision {key.precision}{layers} --dtype {key.dtype} and the weights {key.weights[:19]}…: its rows "
            "are found"
        )
    return f"delete the folder {file.parent} and run 'headstart extract' again"


def _without_path(text: str, place: Path) -> str:
    """Cut the file's name from a message: it stands elsewhere."""
    return text.partition(": ")[2] if text.startswith(str(place)) else text
