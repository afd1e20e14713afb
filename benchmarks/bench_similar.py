"""Exact search for the nearest of a million images, beside a plain product in NumPy and an index library.

Rows are those of a cache, float16 in shards that are memory-mapped, as `headstart similar` reads them. For one query
and for many, all sides take turns, each warm, and find the ten nearest:

- headstart: `heads.analysis.find_nearest` on the cache;
- numpy: rows held as float32 at unit length, one product and a partial sort, on all cores;
- faiss, where it is installed (`--faiss FOLDER` adds where): IndexFlatIP, which is exact, on the same float32 rows.

Seconds are medians over the rounds, by the clock and of all cores together, which a busy machine does not draw out;
`recall` is the share of a side's neighbours that NumPy's product finds, too.
`seconds_of_command` is `headstart similar CACHE 0`, from typing to answer, which also reads the listing, looks every
image up, and checks every shard; of these `seconds_of_job` is the function's share.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from bench_streaming import make_cache

from headstart.extractors.cache import EmbeddingCache, MappedRows
from headstart.extractors.listing import read_usable
from headstart.heads.analysis import find_nearest

K = 10
Side = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.intp]]


def rows_of(folder: Path) -> MappedRows:
    """Return the rows of a cache in the order of its listing, mapped."""
    cache = EmbeddingCache(folder)
    (store,) = cache.stores()
    return store.view("penultimate", read_usable(cache).images.digest).mapped()


def as_unit(rows: MappedRows) -> npt.NDArray[np.float32]:
    """Return all rows as float32 of unit length, which the other sides hold in memory."""
    held = np.empty(rows.shape, np.float32)
    for start in range(0, len(held), 16_384):
        held[start : start + 16_384] = rows[start : start + 16_384]
        held[start : start + 16_384] /= np.linalg.norm(held[start : start + 16_384], axis=1, keepdims=True)
    return held


def by_numpy(held: npt.NDArray[np.float32]) -> Side:
    """Return the plain side."""

    def search(queries: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        cosine = queries @ held.T
        first = np.argpartition(-cosine, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(cosine, first, axis=1), axis=1)
        return np.take_along_axis(first, order, axis=1)

    return search


def by_faiss(held: npt.NDArray[np.float32], place: str) -> Side | None:
    """Return the library's side; None where it is not installed."""
    if place:
        sys.path.append(place)
    try:
        import faiss
    except ImportError:
        return None
    index = faiss.IndexFlatIP(held.shape[1])
    index.add(held)
    return lambda queries: index.search(queries, K)[1]


def compare(rows: MappedRows, sides: dict[str, Side], n_queries: int, rounds: int) -> dict[str, Any]:
    """Time all sides in turn on the same queries, which are rows with some noise."""
    draw = np.random.default_rng(n_queries)
    queries = rows[draw.integers(len(rows), size=n_queries)].astype(np.float32)
    queries += 0.3 * queries.std() * draw.standard_normal(queries.shape, dtype=np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    computed: dict[str, list[float]] = {name: [] for name in sides}
    found = {name: side(queries) for name, side in sides.items()}  # which also warms it
    for _ in range(rounds):
        for name, side in sides.items():
            began, before = time.perf_counter(), time.process_time()
            side(queries)
            seconds[name].append(time.perf_counter() - began)
            computed[name].append(time.process_time() - before)
    report: dict[str, Any] = {}
    for name, times in seconds.items():
        same = [len(set(one) & set(other)) / K for one, other in zip(found[name], found["numpy"], strict=True)]
        report[name] = {
            "seconds": round(statistics.median(times), 3),
            "processor_seconds": round(statistics.median(computed[name]), 3),
            "recall": round(statistics.mean(same), 4),
        }
    return report


def time_command(folder: Path) -> dict[str, float]:
    """Time the command once."""
    command = [sys.executable, "-m", "headstart", "similar", str(folder), "0", "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - of this very package
    whole = time.perf_counter() - began
    return {"seconds_of_command": round(whole, 2), "seconds_of_job": json.loads(done.stdout)["seconds"]}


def main(arguments: list[str] | None = None) -> None:
    """Print what each side took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--faiss", default="", metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder = make_cache(Path(place), options.images, options.features, 100)
        rows = rows_of(folder)
        held = as_unit(rows)
        sides: dict[str, Side] = {"headstart": lambda queries: find_nearest(rows, queries, K).rows}
        sides["numpy"] = by_numpy(held)
        if library := by_faiss(held, options.faiss):
            sides["faiss"] = library
        report: dict[str, Any] = {"images": options.images, "features": options.features}
        report["cores"] = len(os.sched_getaffinity(0))
        report["load"] = round(os.getloadavg()[0], 1)
        for n_queries in options.queries:
            report[f"queries_{n_queries}"] = compare(rows, sides, n_queries, options.rounds)
        report |= time_command(folder)
    print(json.dumps(report) if options.json else json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
