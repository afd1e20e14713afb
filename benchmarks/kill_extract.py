"""Kill an extraction with SIGKILL again and again, resume it each time, and show that nothing was lost.

Half of the kills come from outside, at a random time after the work began; the others the extraction deals itself, at
a named point. After each kill the cache must open, be undamaged, and hold every row that it held before; the next try
must embed none of them again. Whenever an extraction comes to its end, its features must be those of one that was never
disturbed, byte for byte, every row once and no part file left; then the next begins with an empty cache.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from extractors.cache import EmbeddingCache, EmbeddingStore
from extractors.cache_listing import has_listing, read_listing
from extractors.shards import read_digests

OUTSIDE = "from outside"
DECODE = "while decoding"
# What happens to a file with this beginning to its name, and when.
HALF, WRITTEN, RENAMED = "half written", "written, not renamed", "renamed, folder not synced"
AT_FILES = [("shard", HALF), ("shard", WRITTEN), ("shard", RENAMED), ("index", HALF), ("index", WRITTEN)]
AT_FILES += [("listing", HALF), ("listing", WRITTEN)]
POINTS = [DECODE, *(f"{name}: {moment}" for name, moment in AT_FILES)]
N_IMAGES, SHARD_ROWS, BATCH = 120, 10, 4
TIMEOUT_S = 120


class HarmError(Exception):
    """A kill did harm."""


@dataclass
class Trial:
    """The images, the features that they should get, and what was seen so far."""

    folder: Path
    images: Path
    random: np.random.Generator
    expected: dict[str, bytes] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    runs_to_the_end: int = 0


def make_images(folder: Path, count: int) -> Path:
    """Draw small images of noise, PNG and JPEG in turn, in three classes."""
    random = np.random.default_rng(0)
    for number in range(count):
        place = folder / "abc"[number % 3] / f"{number:03d}.{('png', 'jpg')[number % 2]}"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 48, 3), np.uint8)).save(place)
    return folder


def plan(kills: int, seed: int) -> list[str]:
    """Name the points of so many kills: every other one from outside, the rest at each point in turn, in any order."""
    inside = [point for point, _ in zip(cycle(POINTS), range(kills // 2), strict=False)]
    shuffled = iter(np.random.default_rng(seed).permutation(inside).tolist())
    return [next(shuffled) if number % 2 else OUTSIDE for number in range(kills)]


def kill_and_resume(folder: Path, points: list[str], *, seed: int = 0) -> Trial:
    """Kill at each of these points, one after another, and go on to the end.

    Raises
    ------
    HarmError
        A kill did harm; the message says what.
    """
    trial = Trial(folder, make_images(folder / "images", N_IMAGES), np.random.default_rng(seed))
    points = list(points)
    run(trial, folder / "undisturbed")
    trial.expected = features(folder / "undisturbed")
    cache = folder / "cache-0"
    while points:
        untouched = not cache.exists()
        if run(trial, cache, points[0]):
            trial.kills[points.pop(0)] += 1
            continue
        if untouched and points[0] != OUTSIDE:
            raise HarmError(f"{points[0]}: this point was not reached")
        check_end(trial, cache)
        trial.runs_to_the_end += 1
        cache = folder / f"cache-{trial.runs_to_the_end}"
    run(trial, cache)
    check_end(trial, cache)
    trial.runs_to_the_end += 1
    return trial


def run(trial: Trial, cache: Path, point: str = "") -> bool:
    """Start an extraction, and kill it at a point if one is named; returns whether it was killed before its end."""
    before = sealed(cache)
    if point.startswith("listing"):  # it is written only where something changed
        os.utime(next(trial.images.rglob("*.png")))
    log = trial.folder / "log"
    log.write_text("")
    count = int(trial.random.integers(1, 60 if point == DECODE else 7 if point.startswith("shard") else 2))
    command = [sys.executable, __file__, "--child", point, "--count", str(count)]
    command += ["--images", str(trial.images), "--cache", str(cache), "--log", str(log)]
    with (trial.folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stderr, stderr=stderr)  # noqa: S603 - this very script
    if point == OUTSIDE:
        kill_from_outside(process, log, float(trial.random.uniform(0, 1)))
    status = process.wait(TIMEOUT_S)
    if status not in (0, -signal.SIGKILL):
        raise HarmError(f"after {trial.kills}: it ended by itself: {(trial.folder / 'stderr').read_text()}")
    embedded = log.read_text().split()[1:]
    if again := before & set(embedded):
        raise HarmError(f"after {trial.kills}: {len(again)} rows that were sealed were embedded again")
    if lost := before - sealed(cache):
        raise HarmError(f"{point}: {len(lost)} rows that were sealed are gone")
    return status != 0


def kill_from_outside(process: "subprocess.Popen[bytes]", log: Path, seconds: float) -> None:
    """Send SIGKILL so many seconds after the work began."""
    while process.poll() is None and not log.stat().st_size:
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()


def sealed(cache: Path) -> set[str]:
    """Name the images that have a row; the cache must open and be undamaged, unless there is none yet."""
    if not (cache / "cache.json").exists():
        return set()
    opened = EmbeddingCache(cache)
    found: set[str] = set()
    for store in opened.stores():
        if damage := store.damaged():
            raise HarmError(f"damaged: {damage}")
        digests = [row.tobytes().hex() for row in all_digests(store)]
        found |= set(digests)
        if len(digests) != len(set(digests)):
            raise HarmError("a row is there twice")
        if has_listing(opened):  # the index must say the same as the shards
            listed = read_listing(opened).rows["digest"].tolist()
            if (store.missing(listed) != [digest not in found for digest in listed]).any():
                raise HarmError("the index tells of rows that are not there, or does not know those that are")
    return found


def all_digests(store: EmbeddingStore) -> list[Any]:
    """Read the digests from the shards themselves."""
    return [row for path in store.shards() for row in read_digests(path, store.key)]


def check_end(trial: Trial, cache: Path) -> None:
    """Compare with the extraction that was never disturbed."""
    if parts := list(cache.rglob("*.part")):
        raise HarmError(f"part files are left: {parts}")
    if features(cache) != trial.expected:
        raise HarmError(f"after {trial.kills}: the features are not those of an undisturbed extraction")


def features(cache: Path) -> dict[str, bytes]:
    """Return the bytes of each image's row."""
    opened = EmbeddingCache(cache)
    (store,) = opened.stores()
    digests = read_listing(opened).distinct["digest"].tolist()
    rows = np.asarray(store.view("penultimate", digests))
    return {digest: row.tobytes() for digest, row in zip(digests, rows, strict=True)}


def child(point: str, count: int, images: Path, cache: Path, log: Path) -> None:
    """Extract, with small shards and slowly, and die at the `count`-th time that `point` is reached."""
    import extractors.extraction
    from flows.extraction import extract

    extractors.extraction._SHARD_ROWS = SHARD_ROWS  # noqa: SLF001 - many shards of few images
    extractors.extraction._MANY_UNINDEXED = 3  # noqa: SLF001 - an index is written at the start too, not only at the end
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b"begun\n")
    log_what_is_embedded(descriptor)
    if point == DECODE:
        die_while_decoding(count)
    elif point and point != OUTSIDE:
        die_at_a_file(*point.split(": "), count=count)
    extract(images, "small_cnn", weights="none", cache=cache, precision="fp32", batch_size=BATCH, workers=2)


def log_what_is_embedded(descriptor: int) -> None:
    """Write the digests of every batch to the log once they are embedded."""
    import extractors.extraction

    original = extractors.extraction.embed

    def embed(forward: Any, root: Path, listed: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        given = list(listed)
        for batch in original(forward, root, given, *arguments, **options):
            os.write(descriptor, "".join(f"{given[row][1]}\n" for row in batch.rows).encode())
            time.sleep(0.02)  # so that a kill from outside finds it at work
            yield batch

    extractors.extraction.embed = embed


def die_while_decoding(count: int) -> None:
    """Die when the `count`-th image is to be decoded."""
    import extractors.engine

    original, calls = extractors.engine.decode_image, iter(range(1, count))

    def decode_image(*arguments: Any, **options: Any) -> Any:
        return die() if next(calls, None) is None else original(*arguments, **options)

    extractors.engine.decode_image = decode_image


def die_at_a_file(name: str, moment: str, *, count: int) -> None:
    """Die at a moment of writing the `count`-th file whose name begins so."""
    import extractors.atomic

    sync, sync_folder, calls = extractors.atomic._sync, extractors.atomic._sync_folder, iter(range(1, count))  # noqa: SLF001 - the two steps around the rename
    reached = False

    def write_and_die(file: Any) -> None:
        nonlocal reached
        if Path(file.name).name.startswith(name) and next(calls, None) is None:
            reached = True
            file.flush()
            if moment == HALF:
                os.ftruncate(file.fileno(), os.fstat(file.fileno()).st_size // 2)
            if moment != RENAMED:
                die()
        sync(file)

    def die_before_sync(folder: Path) -> None:
        if reached:
            die()
        sync_folder(folder)

    extractors.atomic._sync, extractors.atomic._sync_folder = write_and_die, die_before_sync  # noqa: SLF001 - likewise


def die() -> None:
    """Go as a kill goes: at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line; exit status 1 if a kill did harm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="how many (50)")
    parser.add_argument("--seed", type=int, default=0, help="of moments and points (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for internal in ("--child", "--count", "--images", "--cache", "--log"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child is not None:
        child(options.child, int(options.count), Path(options.images), Path(options.cache), Path(options.log))
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            trial = kill_and_resume(Path(folder), plan(options.kills, options.seed), seed=options.seed)
        except HarmError as error:
            print(json.dumps({"harm": str(error)}) if options.json else f"HARM: {error}")
            raise SystemExit(1) from error
    at = dict(sorted(trial.kills.items()))
    if options.json:
        print(json.dumps({"kills": trial.kills.total(), "extractions": trial.runs_to_the_end, "at": at}, indent=1))
        return
    print(
        f"{trial.kills.total()} kills over {trial.runs_to_the_end} extractions of {N_IMAGES} images: "
        "every row as if undisturbed, none embedded again once sealed, no part file left"
    )
    for point, count in at.items():
        print(f"{count:>4}  {point}")


if __name__ == "__main__":
    main()
