"""Small shards merged into full ones, and rows that no listed image has dropped; never a moment without a sealed row.

For each key the new shards are sealed first and the old ones removed after. A kill between the two leaves some rows
twice: that is no harm to a reader, and the next compaction removes what is there already before it writes anything.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from headstart.extractors.arrays import Array
from headstart.extractors.atomic import errors_explained, remove_stale_parts
from headstart.extractors.cache import EmbeddingStore, map_dataset, read_digests, take_turn
from headstart.extractors.errors import CacheError

# An extraction seals often, to lose little when it is killed: a few hundred rows. What is finished has other needs.
# 64 MiB is opened, checked and held in memory in a moment, and makes 10 million rows of 512 float16 some 160 files
# instead of 20 000; 65 536 images at most are embedded again when one such file is damaged.
FULL_BYTES = 64 * 2**20
FULL_ROWS = 65_536

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Compaction:
    """Plan for the shards of one key.

    Attributes
    ----------
    merged : list of (Path, bool array (n_rows,))
        Shards whose rows, where the mask holds, go into new shards; in this order.
    redundant : list of Path
        Shards without one row that must be kept.
    n_rows_full : int
        Rows of a full shard.
    dropped : int
        Rows that no listed image has.
    seen : dict of Path to tuple of int
        What tells each shard from one that replaces it.
    """

    merged: list[tuple[Path, _Mask]]
    redundant: list[Path]
    n_rows_full: int
    dropped: int
    seen: dict[Path, tuple[int, ...]] = field(default_factory=dict)

    @property
    def is_needed(self) -> bool:
        """Whether anything would change."""
        return bool(self.merged or self.redundant)


def plan_compaction(store: EmbeddingStore, digests: Sequence[str] | None) -> Compaction:
    """Decide which shards of a key are merged; reads digests and checksums, and writes nothing.

    Parameters
    ----------
    store : EmbeddingStore
        One key.
    digests : sequence of str, optional
        Content (SHA-256 as hex) of every image that is to keep its row; None keeps every row.

    Raises
    ------
    CacheError
        A shard is damaged.
    """
    for path, reason in store.damaged().items():
        raise CacheError(f"{path}: {reason}; run 'headstart verify {store.path.parent.parent} --repair' first")
    seen = {path: _state_of(path) for path in store.shards()}
    held = [(path, read_digests(path, store.key)) for path in seen]
    if not held:
        return Compaction([], [], FULL_ROWS, 0)
    # Full shards come first: of what a killed compaction left twice, the merged copy is the one that stays.
    held.sort(key=lambda pair: -len(pair[1]))
    listed, first = _find_wanted([rows for _, rows in held], digests)
    n_rows_full = _rows_of_a_full_shard(store, held[0][0])
    merged, redundant = [], []
    for (path, rows), mask in zip(held, np.split(listed & first, _ends(held)), strict=True):
        if not mask.any():
            redundant.append(path)
        elif not mask.all() or len(rows) < n_rows_full:  # any other is as it should be
            merged.append((path, mask))
    n_merged = -(-sum(int(mask.sum()) for _, mask in merged) // n_rows_full)
    if n_merged == len(merged) and all(mask.all() for _, mask in merged):  # the same number of files: nothing is won
        merged = []
    merged.sort(key=lambda pair: pair[0])
    return Compaction(merged, redundant, n_rows_full, int((first & ~listed).sum()), seen)


def carry_out(store: EmbeddingStore, plan: Compaction) -> None:
    """Seal the merged rows, then remove the shards that they came from; hold the key's writer lock meanwhile.

    At most one new shard is in memory.

    Raises
    ------
    CacheError
        The disk is full or the folder cannot be written, or a shard is no longer what it was when this was planned.
        Nothing is lost; the same call goes on.
    """
    take_turn(store.path)  # or a worker that outlived its run could seal again what is merged here
    for path in (*plan.redundant, *(path for path, _ in plan.merged)):
        if _state_of(path) != plan.seen[path]:
            raise CacheError(f"{path}: a worker of an earlier run has just written it; run the same command again")
    remove_stale_parts(store.path)
    _remove(plan.redundant)  # every row of them that is wanted lies in another shard
    sealed = {store.seal(digests, features) for digests, features in _merge(store, plan)}
    _remove(path for path, _ in plan.merged if path not in sealed)
    store.refresh_index()


def _merge(store: EmbeddingStore, plan: Compaction) -> Iterator[tuple[Array, dict[str, Array]]]:
    """Yield the digests and features of one new shard after another."""
    waiting: list[tuple[Array, dict[str, Array]]] = []
    n_waiting = 0
    for path, mask in plan.merged:
        rows = np.flatnonzero(mask)
        while len(rows):
            taken, rows = np.split(rows, [plan.n_rows_full - n_waiting])
            waiting.append(_read_rows(store, path, taken))
            n_waiting += len(taken)
            if n_waiting == plan.n_rows_full:
                joined, waiting, n_waiting = _join(waiting), [], 0
                yield joined
    if waiting:
        yield _join(waiting)


def _read_rows(store: EmbeddingStore, path: Path, rows: npt.NDArray[np.intp]) -> tuple[Array, dict[str, Array]]:
    features = {tap: map_dataset(path, f"features/{tap}")[rows] for tap in store.key.taps}
    return map_dataset(path, "digest")[rows], features


def _join(parts: Sequence[tuple[Array, dict[str, Array]]]) -> tuple[Array, dict[str, Array]]:
    taps = parts[0][1]
    joined = {tap: np.concatenate([features[tap] for _, features in parts]) for tap in taps}
    return np.concatenate([digests for digests, _ in parts]), joined


def _find_wanted(held: Sequence[Array], digests: Sequence[str] | None) -> tuple[_Mask, _Mask]:
    """Tell of each row of all shards whether its image is listed, and whether no row before it has the same image."""
    rows = np.concatenate([np.empty((0, 32), np.uint8), *held]).view("S32").ravel()
    first = np.zeros(len(rows), bool)
    first[np.unique(rows, return_index=True)[1]] = True
    if digests is None:
        return np.ones(len(rows), bool), first
    return np.isin(rows, np.frombuffer(bytes.fromhex("".join(digests)), "S32")), first


def _ends(held: Sequence[tuple[Path, Array]]) -> npt.NDArray[np.int64]:
    """Say where each shard but the last ends in their rows put together."""
    return np.cumsum([len(rows) for _, rows in held], dtype=np.int64)[:-1]


def _rows_of_a_full_shard(store: EmbeddingStore, example: Path) -> int:
    row_bytes = sum(map_dataset(example, f"features/{tap}")[:1].nbytes for tap in store.key.taps)
    return max(1, min(FULL_ROWS, FULL_BYTES // row_bytes))


def _state_of(path: Path) -> tuple[int, ...]:
    with errors_explained(path):
        found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with errors_explained(path):
            path.unlink(missing_ok=True)
