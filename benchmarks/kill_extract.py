"""Kill an extraction with SIGKILL again and again, resume it each time, and show that nothing was lost.

Half of the kills come from outside, at a random time after the work began; the others the extraction deals itself, at
a named point. After each kill the cache must open, be undamaged, and hold every row that it held before; the next try
must embed none of them again, and compute as was decided for them. Whenever an extraction comes to its end, its
features must be those of one that was never disturbed, byte for byte, every row once and no part file left; then the
next begins with an empty cache.

Batch size, precision and decoding are left to the extraction. Two caches may be calibrated to different batches, so an
end is compared with an undisturbed extraction that was handed the same decision, ``execution.json``, and nothing else.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore, read_digests
from headstart.extractors.listing import has_listing, read_listing

# Every extraction is forked from a server that has imported what it needs, and has done nothing else: importing alone
# would take longer than embedding. It looks for this script's neighbour on sys.path.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["killed_extract"])
OUTSIDE = "from outside"
DECODING = "decoding"
# What happens to a file with this beginning to its name, and when.
HALF, WRITTEN, RENAMED = "half written", "written, not renamed", "renamed, folder not synced"
AT_FILES = [(name, moment) for name in ("shard", "execution") for moment in (HALF, WRITTEN, RENAMED)]
AT_FILES += [
    (name, moment) for name in ("fidelity", "key", "index", "listing", "requests") for moment in (HALF, WRITTEN)
]
POINTS = [DECODING, *(f"{name}: {moment}" for name, moment in AT_FILES)]
MOST_TIMES = {DECODING: 60, "shard": 7, "fidelity": 2}  # a point is reached at least so often; others once
N_IMAGES = 240
TIMEOUT_S = 180


class HarmError(Exception):
    """A kill did harm."""


@dataclass
class Trial:
    """The images, how they are embedded, the features that they should get, and what was seen so far.

    Attributes
    ----------
    seconds : float
        What the latest undisturbed extraction took after its libraries were loaded.
    expected : dict
        For each decision how to compute, the bytes of each image's row.
    """

    folder: Path
    images: Path
    compile: str
    random: np.random.Generator
    seconds: float = 0.0
    expected: dict[str, dict[str, bytes]] = field(default_factory=dict)
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


def kill_and_resume(folder: Path, points: list[str], *, seed: int = 0, compile: str = "off") -> Trial:  # noqa: A002 - as the option
    """Kill at each of these points, one after another, and go on to the end.

    Raises
    ------
    HarmError
        A kill did harm; the message says what.
    """
    trial = Trial(folder, make_images(folder / "images", N_IMAGES), compile, np.random.default_rng(seed))
    points = list(points)
    alone = folder / "undisturbed"
    run(trial, alone)
    trial.expected[decision(alone)] = features(alone)
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
    before, decided = sealed(cache), decision(cache)
    if point.startswith("listing"):  # it is written only where something changed
        os.utime(next(trial.images.rglob("*.png")))
    log = trial.folder / "log"
    log.write_text("")
    command = ["--images", str(trial.images), "--cache", str(cache), "--log", str(log), "--compile", trial.compile]
    if point and point != OUTSIDE:
        at, _, moment = point.partition(": ")
        command += ["--at", at, "--count", str(trial.random.integers(1, MOST_TIMES.get(at, 1), endpoint=True))]
        command += ["--moment", moment] if moment else []
    process = CHILDREN.Process(target=extract_into, args=(command, trial.folder / "stderr"))
    process.start()
    begun = wait_for_work(process, log)
    if point == OUTSIDE:
        time.sleep(float(trial.random.uniform(0, trial.seconds)))
        process.kill()
    process.join(TIMEOUT_S)
    status = process.exitcode
    if not before and not point:
        trial.seconds = time.monotonic() - begun
    if status not in (0, -signal.SIGKILL):
        raise HarmError(f"after {trial.kills}: it ended by itself: {(trial.folder / 'stderr').read_text()}")
    embedded = log.read_text().split()[1:]
    if again := before & set(embedded):
        raise HarmError(f"after {trial.kills}: {len(again)} rows that were sealed were embedded again")
    if lost := before - sealed(cache):
        raise HarmError(f"{point}: {len(lost)} rows that were sealed are gone")
    if before and decided != decision(cache):
        raise HarmError(f"after {trial.kills}: rows were sealed as {decided}, and it went on as {decision(cache)}")
    return status != 0


def extract_into(arguments: list[str], stderr: Path) -> None:
    """Be the extraction, in a process of its own, with its output in a file."""
    from killed_extract import main as extract

    with stderr.open("wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    extract(arguments)


def wait_for_work(process: Any, log: Path) -> float:
    """Wait until the libraries are loaded; returns when that was."""
    while process.is_alive() and not log.stat().st_size:
        time.sleep(0.002)
    return time.monotonic()


def decision(cache: Path) -> str:
    """Say how the rows of a cache are computed: all of ``execution.json`` that decides their bits."""
    for path in cache.glob("embeddings/*/execution.json"):
        found = json.loads(path.read_text())
        return ", ".join(f"{name} {found[name]}" for name in ("batch_size", "compiled", "plain", "threads"))
    return "undecided"


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
    """Compare with an extraction that was never disturbed."""
    if parts := list(cache.rglob("*.part")):
        raise HarmError(f"part files are left: {parts}")
    if (decided := decision(cache)) not in trial.expected:
        trial.expected[decided] = embed_undisturbed(trial, cache)
    if features(cache) != trial.expected[decided]:
        raise HarmError(f"after {trial.kills}: the features are not those of an undisturbed extraction ({decided})")


def embed_undisturbed(trial: Trial, as_in: Path) -> dict[str, bytes]:
    """Return the features of an extraction that computes as that cache says, and is left alone."""
    cache = trial.folder / f"undisturbed-{len(trial.expected)}"
    (store,) = EmbeddingCache(as_in).stores()
    place = EmbeddingCache(cache, create=True).store(store.key).path
    place.mkdir(parents=True)
    shutil.copy(store.path / "execution.json", place)
    run(trial, cache)
    if decision(cache) != decision(as_in):
        raise HarmError(f"it was told to compute with {decision(as_in)}, and chose {decision(cache)}")
    return features(cache)


def features(cache: Path) -> dict[str, bytes]:
    """Return the bytes of each image's row."""
    opened = EmbeddingCache(cache)
    (store,) = opened.stores()
    digests = read_listing(opened).distinct["digest"].tolist()
    rows = np.asarray(store.view("penultimate", digests))
    return {digest: row.tobytes() for digest, row in zip(digests, rows, strict=True)}


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line; exit status 1 if a kill did harm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="how many (50)")
    parser.add_argument("--seed", type=int, default=0, help="of moments and points (0)")
    parser.add_argument("--compile", choices=["on", "off"], default="off", help="compile the network: slower (off)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            points = plan(options.kills, options.seed)
            trial = kill_and_resume(Path(folder), points, seed=options.seed, compile=options.compile)
        except HarmError as error:
            print(json.dumps({"harm": str(error)}) if options.json else f"HARM: {error}")
            raise SystemExit(1) from error
    at, decided = dict(sorted(trial.kills.items())), sorted(trial.expected)
    if options.json:
        found = {"kills": trial.kills.total(), "extractions": trial.runs_to_the_end, "computed_with": decided, "at": at}
        print(json.dumps(found, indent=1))
        return
    print(
        f"{trial.kills.total()} kills over {trial.runs_to_the_end} extractions of {N_IMAGES} images: "
        "every row as if undisturbed, none embedded again once sealed, no part file left"
    )
    print("computed with " + "; ".join(decided))
    for point, count in at.items():
        print(f"{count:>4}  {point}")


if __name__ == "__main__":
    main()
