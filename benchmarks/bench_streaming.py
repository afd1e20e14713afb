"""Fits on more embeddings than may be held in memory: peak, seconds, and scores.

The cache is synthetic (float16): classes around centres, in features that hang together. Each measurement is of a
process of its own:

- heads: the sweep, the winner's fit on all of train and its score on the test images, from a view of the cache;
- fit: the same as `flows.fitting.job.fit` does it, which also reads the listing, keeps the run and writes the report;
- command: `headstart fit`, on a machine of which four times `--memory` is free;
- in_memory, with `--compare`: fit with all features in memory, and the largest difference of a score.

The peak is that of all resident memory; of its two kinds, own and mapped from files, the peaks may be at other times.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import LISTING_COLUMNS, OK
from headstart.extractors.listing import CacheListing
from headstart.extractors.spec import EmbeddingKey, Preprocessing

ROOT = Path(__file__).parent.parent
ROWS_A_SHARD = 32_768
KEY = EmbeddingKey(
    backbone="torchvision/resnet18",
    weights="sha256:00",
    taps=("penultimate",),
    preprocessing=Preprocessing(),
    dtype="float16",
)
TOLD = """
import json, sys, threading, time
from pathlib import Path

peaks = {}

def look():
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    for name, found in ((words[0], int(words[1])) for words in lines if words[0] in ("VmHWM:", "RssAnon:", "RssFile:")):
        peaks[name] = max(peaks.get(name, 0), found * 1024 // 10**6)

def watch():
    while True:
        look()
        time.sleep(0.05)

threading.Thread(target=watch, daemon=True).start()

def tell(began, results, winner, test, notes):
    look()
    told = {"seconds": round(time.time() - began, 1), "peak_mb": peaks["VmHWM:"]}
    told |= {"peak_own_mb": peaks["RssAnon:"], "peak_mapped_mb": peaks["RssFile:"]}
    print(json.dumps(told | {"scores": results, "winner": winner, "test": test, "notes": notes}))

cache, out, heads, memory = sys.argv[1:]
heads, memory = heads.split(","), float(memory)
"""
FIT = (
    TOLD
    + """
from headstart.flows.fitting.job import fit

began = time.time()
found = fit(cache, heads, out=out, memory=memory)
scores = {f"{row.head} {row.params}": row.score for row in found.leaderboard}
tell(began, scores, found.winner.head, found.test.scores["accuracy"].value, found.notes)
"""
)
COMMAND = (
    TOLD
    + """
import contextlib, io
from types import SimpleNamespace
import headstart.flows.fitting.streamed
from headstart.flows.cli.app import app

began = time.time()
headstart.flows.fitting.streamed.psutil = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=4 * memory))
asked = ["fit", cache, *(part for head in heads for part in ("--head", head)), "--out", out, "--json"]
with contextlib.redirect_stdout(io.StringIO()) as printed:
    app(asked, standalone_mode=False)
found = json.loads(printed.getvalue())
scores = {f"{row['head']} {row['params']}": row["score"] for row in found["leaderboard"]}
tell(began, scores, found["winner"]["head"], found["test"]["scores"]["accuracy"]["value"], found["notes"])
"""
)
HEADS = (
    TOLD
    + """
import numpy as np
from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingView
from headstart.heads.registry.candidates import FeatureSet, expand
from headstart.heads.splits import plan_splits
from headstart.heads.solvers.sums import Stream
from headstart.heads.sweep import fit_final, score_test, sweep

began = time.time()
(store,) = EmbeddingCache(cache).stores()
places = np.load(Path(cache).parent / "places.npz")
view = EmbeddingView(tuple(map(str, store.shards())), "penultimate", places["shard"], places["row"])
y = places["y"]
plan = plan_splits(y)
stream = Stream(features=view, sample_bytes=int(min(192e6, memory / 2)))
some = expand([FeatureSet(features=stream, backbone="made", tap="up", key="0")], heads)
found = sweep(some, y, plan)
model = fit_final(found[0].candidate, stream, y, plan)
test = score_test(model, stream, y, plan)
scores = {f"{one.candidate.head} {one.candidate.params}": one.scores["accuracy"].value for one in found}
seconds = {f"{one.candidate.head} {one.candidate.params}": round(one.fit_seconds, 1) for one in found}
tell(began, scores, found[0].candidate.head, test.scores["accuracy"].value, [seconds])
"""
)


def draw(n_images: int, n_features: int, n_classes: int) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Yield float16 features (n_rows, n_features) and classes (n_rows,), a shard at a time."""
    generator = np.random.default_rng(0)
    n_directions = min(64, n_features)
    centres = generator.normal(size=(n_classes, n_directions)).astype(np.float32)
    mixing = generator.normal(size=(n_directions, n_features)).astype(np.float32) / 2
    for first in range(0, n_images, ROWS_A_SHARD):
        n_rows = min(ROWS_A_SHARD, n_images - first)
        y = generator.integers(n_classes, size=n_rows)
        hidden = centres[y] + 2.2 * generator.standard_normal((n_rows, n_directions), dtype=np.float32)
        X = hidden @ mixing + 0.5 * generator.standard_normal((n_rows, n_features), dtype=np.float32) + 0.3
        yield np.maximum(X, 0).astype(np.float16), y


def make_cache(folder: Path, n_images: int, n_features: int, n_classes: int) -> Path:
    """Write a cache of these embeddings, and a listing of images that are nowhere."""
    cache = EmbeddingCache(folder / "cache", create=True)
    store = cache.store(KEY)
    store.create({"weights_name": "none", "weights_source": "none", "versions": {}})
    digests = np.random.default_rng(1).integers(0, 256, (n_images, 32), np.uint8)
    classes, shards = [], []
    for X, y in draw(n_images, n_features, n_classes):
        first = sum(map(len, classes))
        shards.append(store.seal(digests[first : first + len(y)], {"penultimate": X}))
        classes.append(y)
    y = np.concatenate(classes)
    names = [path.name for path in store.shards()]
    at = np.repeat([names.index(sealed.name) for sealed in shards], list(map(len, classes)))
    row = np.concatenate([np.arange(len(part)) for part in classes])
    np.savez(folder / "places.npz", shard=at, row=row, y=y)
    columns = dict.fromkeys(LISTING_COLUMNS) | {"bytes": 1, "mtime_ns": 0, "status": OK, "reason": ""}
    store.refresh_index()
    rows = pd.DataFrame(
        columns
        | {
            "path": [f"{number:08d}.jpg" for number in range(n_images)],
            "label": np.array([f"class {code}" for code in range(n_classes)], dtype=object)[y],
            "digest": [digest.tobytes().hex() for digest in digests],
        }
    )
    CacheListing(rows.astype({"offset": "Int64"}), folder / "images", "manifest").write(cache)
    return cache.path


def run(code: str, cache: Path, out: Path, heads: list[str], memory: float) -> dict[str, Any]:
    """Run one side in a process of its own."""
    command = [sys.executable, "-c", code, str(cache), str(out), ",".join(heads), str(memory)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)  # noqa: S603 - our own code
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Make the cache where it is missing, and fit on it."""
    begun = time.perf_counter()
    cache = folder / "cache"
    if not (cache / "listing.parquet").exists():
        make_cache(folder, options.images, options.features, options.classes)
    size = {name: getattr(options, name) for name in ("images", "features", "classes")}
    found = size | {"make_seconds": round(time.perf_counter() - begun, 1)}
    found["float32_mb"] = options.images * options.features * 4 // 10**6
    memory = options.memory * 10**6
    sides = {"heads": (HEADS, memory), "fit": (FIT, memory), "command": (COMMAND, memory), "in_memory": (FIT, 1e15)}
    for side in [*options.side, *(["in_memory"] if options.compare else [])]:
        code, memory = sides[side]
        found[side] = run(code, cache, folder / side, options.head, memory)
    if options.compare:
        ours, theirs = (found[side]["scores"] for side in (options.side[-1], "in_memory"))
        found["difference"] = round(max(abs(ours[name] - theirs[name]) for name in ours), 5)
    return found


def table(found: dict[str, Any]) -> str:
    """Write the figures for people."""
    size = f"{found['images']} images × {found['features']} features"
    lines = [f"{size}: {found['float32_mb']} MB in float32; made in {found['make_seconds']} s"]
    for side in ("heads", "fit", "command", "in_memory"):
        if side in found:
            one = found[side]
            lines.append(
                f"{side:<10} peak {one['peak_mb']:>6} MB ({one['peak_own_mb']} own, {one['peak_mapped_mb']} mapped)  "
                f"{one['seconds']:>7.1f} s  {one['winner']} {one['test']:.4f}"
            )
    if "difference" in found:
        lines.append(f"largest difference of accuracy in cross-validation: {found['difference']}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4_000_000, help="embeddings (4 000 000)")
    parser.add_argument("--features", type=int, default=512, help="of each (512)")
    parser.add_argument("--classes", type=int, default=10, help="(10)")
    parser.add_argument("--head", nargs="+", default=["ridge", "centroid", "logreg", "dummy"])
    parser.add_argument("--memory", type=float, default=1000.0, help="MB that features may take (1000)")
    parser.add_argument("--side", nargs="+", choices=["heads", "fit", "command"], default=["heads", "fit"])
    parser.add_argument("--compare", action="store_true", help="fit once more, all in memory")
    parser.add_argument("--keep", type=Path, help="keep the cache in this folder, or take it from there")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.keep or Path(folder), options)
    print(json.dumps(found, indent=1) if options.json else table(found))
    return found


if __name__ == "__main__":
    main()
