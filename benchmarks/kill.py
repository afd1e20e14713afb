"""Kill commands with SIGKILL at random times, again and again, go on each time, and show that nothing was lost.

Each scenario of the table starts one command or two in a folder, kills one or all of them, and starts them again until
they end; then another folder begins. After each kill every row that was sealed is there and whole, and no process is
left. At each end the rows are those of commands that were never disturbed, byte for byte, and the results to six
digits; every row stands once, ``verify`` finds the cache sound, and no file is left over. `kill_extract.py` kills at
named points of writing.
"""

import argparse
import atexit
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from PIL import Image

from headstart.extractors.cache import EmbeddingCache, read_digests
from headstart.extractors.listing import read_listing
from headstart.flows.upkeep import verify

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["torch", "h5py", "pyarrow.parquet", "pandas", "sklearn.linear_model"])
N_IMAGES, SHARD_ROWS, TIMEOUT_S = 120, 10, 240
CACHE, RESULTS = "photos.headstart", "photos.results"
Words = tuple[str, ...]

EXTRACT: Words = ("extract", "photos", "--backbone", "small_cnn", "--weights", "none", "--precision", "fp32")
FIT: Words = ("fit", CACHE, "--head", "ridge", "logreg", "dummy", "--folds", "2")
EXPERIMENT = f"""
images = "photos"
cache = "{CACHE}"
out = "{RESULTS}"
precision = "fp32"
[[extract]]
backbone = "small_cnn"
weights = "none"
[fit]
head = ["ridge", "logreg", "dummy"]
folds = 2
"""


class HarmError(Exception):
    """A kill did harm."""


@dataclass(frozen=True)
class Scenario:
    """Commands that are killed, all at once, what goes before them, and what would have had the same end.

    Those that would have had it may take less time, by `factor`: the kills are spread over all of the commands' time.
    """

    commands: tuple[Words, ...]
    before: tuple[Words, ...] = ()
    like: tuple[Words, ...] = ()  # by default the commands themselves, undisturbed
    factor: float = 1.0


SCENARIOS = {
    "extract": Scenario((EXTRACT,)),
    "compact": Scenario((("compact", CACHE),), before=(EXTRACT,)),
    "fit": Scenario((FIT,), before=(EXTRACT,)),
    "run": Scenario((("run", "photos.toml"),), like=(EXTRACT, FIT), factor=3.0),
    "two extracts": Scenario((EXTRACT, EXTRACT), like=(EXTRACT,)),
    "extract and compact": Scenario((EXTRACT, ("compact", CACHE)), before=((*EXTRACT, "--limit", "60"),)),
}


def kill_and_go_on(scenario: Scenario, folder: Path, kills: int, *, seed: int = 0) -> Counter[str]:
    """Kill so often; returns how many kills and ends there were.

    Raises
    ------
    HarmError
        A kill did harm; the message says what.
    """
    random, seen, begun = np.random.default_rng(seed), Counter[str](), folder / "begun"
    make_images(begun / "photos")
    (begun / "photos.toml").write_text(EXPERIMENT)
    work(scenario.before, begun)
    alone = shutil.copytree(begun, folder / "alone")
    started = time.monotonic()
    work(scenario.like or scenario.commands, alone)
    seconds, expected = scenario.factor * (time.monotonic() - started), state(alone)
    while seen["kills"] < kills:
        place = shutil.copytree(begun, folder / str(seen["ends"]))
        while seen["kills"] < kills and start(scenario, place, random, float(random.uniform(0, seconds))):
            seen["kills"] += 1
        while start(scenario, place, random):
            pass
        check_end(place, expected)
        seen["ends"] += 1
    return seen


def make_images(folder: Path) -> None:
    """Draw small images in three classes that a head can tell apart, some of the time."""
    random = np.random.default_rng(0)
    for number in range(N_IMAGES):
        place = folder / "abc"[number % 3] / f"{number:03d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (40, 48, 3), np.uint8) // 2
        pixels[..., number % 3] += 20
        Image.fromarray(pixels).save(place)


def work(commands: tuple[Words, ...], folder: Path) -> None:
    """Let commands come to their end, one after another."""
    for words in commands:
        finish(begin(words, folder), folder)


def start(scenario: Scenario, folder: Path, random: np.random.Generator, after: float | None = None) -> bool:
    """Start the commands, and kill one or all of them after so many seconds; returns whether any was killed."""
    before = sealed(folder)
    processes = [begin(words, folder) for words in scenario.commands]
    doomed = random.permutation(len(processes))[: random.integers(1, len(processes), endpoint=True)]
    killed = False
    if after is not None:
        time.sleep(after)
        for process in (processes[number] for number in doomed):
            below = psutil.Process(process.pid).children(recursive=True) if process.is_alive() else []
            process.kill()
            process.join()
            killed |= process.exitcode != 0
            if left := psutil.wait_procs(below, timeout=60)[1]:
                raise HarmError(f"{left} outlived the command that started them")
    for process in processes:
        finish(process, folder, killed=killed)
    if lost := before - sealed(folder):
        raise HarmError(f"{len(lost)} rows that were sealed are gone")
    return killed


def begin(words: Words, folder: Path) -> Any:
    """Start a command."""
    process = CHILDREN.Process(target=command, args=(words, folder))
    process.start()
    return process


def finish(process: Any, folder: Path, *, killed: bool = False) -> None:
    """Wait for the end of a command; one that was not killed has to end well."""
    process.join(TIMEOUT_S)
    if process.exitcode and not (killed and process.exitcode < 0):
        raise HarmError(f"a command ended with {process.exitcode}: {(folder / 'log').read_text()[-2000:]}")


def command(words: Words, folder: Path) -> None:
    """Be a command, in a process of its own, with shards of few images."""
    os.chdir(folder)
    os.environ |= {"OMP_NUM_THREADS": "1", "PREFECT_HOME": str(folder.parent / "prefect")}
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(log, number)
    import headstart.extractors.extraction.extraction
    from headstart.flows.cli import main

    headstart.extractors.extraction.extraction._SHARD_ROWS = SHARD_ROWS  # noqa: SLF001 - that of a real run is not for so few images
    try:
        main(list(words))
    except SystemExit as end:
        if end.code:
            raise
    finally:  # a forked process ends without either
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what Python itself calls
        atexit._run_exitfuncs()  # noqa: SLF001 - a forked process ends without them


def sealed(folder: Path) -> set[bytes]:
    """Return which images have a row; every shard must be whole."""
    if not (folder / CACHE / "cache.json").exists():
        return set()
    stores = EmbeddingCache(folder / CACHE).stores()
    if damage := [store.damaged() for store in stores if store.damaged()]:
        raise HarmError(f"damaged: {damage}")
    return {row.tobytes() for store in stores for path in store.shards() for row in read_digests(path, store.key)}


def state(folder: Path) -> dict[str, Any]:
    """Bytes of each row of a folder, and the scores that a fit found."""
    cache = EmbeddingCache(folder / CACHE)
    (store,) = cache.stores()
    digests = sorted(read_listing(cache).distinct["digest"])
    rows = np.asarray(store.view("penultimate", digests))
    found: dict[str, Any] = {"digests": digests, "rows": rows.tobytes()}
    results = folder / RESULTS
    if results.exists():
        table = pd.read_parquet(results / "results.parquet").drop(columns=["fit_seconds", "key"])
        latest = (results / "model").resolve().parent
        found["results"] = table.to_json(double_precision=6)
        found["files"] = sorted(path.name for path in latest.rglob("*"))
    return found


def check_end(folder: Path, expected: dict[str, Any]) -> None:
    """Compare with commands that were never disturbed, and look for rows that stand twice and files left over."""
    if differing := [name for name, value in state(folder).items() if value != expected.get(name)]:
        raise HarmError(f"{folder.name}: {', '.join(differing)} are not those of undisturbed commands")
    found = verify(folder / CACHE)
    if not found.sound:
        raise HarmError(f"not sound: {found.damage} {found.incomplete}")
    (store,) = EmbeddingCache(folder / CACHE).stores()
    n_rows = sum(len(read_digests(path, store.key)) for path in store.shards())
    if n_rows != len(expected["digests"]):
        raise HarmError(f"{n_rows} rows of {len(expected['digests'])} images")
    endings = (".part", ".damaged", ".strayed", "unfinished-sweep.jsonl")
    if left := [path for path in folder.rglob("*") if path.name.endswith(endings)]:
        raise HarmError(f"left over: {left}")


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line; exit status 1 if a kill did harm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="of each scenario (10)")
    parser.add_argument("--only", choices=SCENARIOS, nargs="+", default=list(SCENARIOS), help="scenarios (all)")
    parser.add_argument("--seed", type=int, default=0, help="of the times (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {}
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            try:
                found[name] = dict(kill_and_go_on(SCENARIOS[name], Path(folder), options.kills, seed=options.seed))
            except HarmError as error:
                found[name] = {"harm": str(error)}
        if not options.json:
            print(f"{name:>20}  {found[name]}", flush=True)
    if options.json:
        print(json.dumps(found, indent=1))
    if any("harm" in one for one in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
