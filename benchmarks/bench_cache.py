"""What it costs to open a large cache: with its index and without, to look rows up, and to rebuild the index.

The cache is synthetic — random digests, four float16 numbers a row — but its shards are sealed by the real writer. Each
figure is of a process of its own that has imported the cache before its clock starts; the files are in the page cache.
To open is to find out which of a hundred listed images have no row.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.cache import FILE, EmbeddingCache, EmbeddingStore, ShardIndex
from headstart.extractors.spec import EmbeddingKey, Preprocessing

KEY = EmbeddingKey(
    backbone="synthetic", weights="none", taps=("penultimate",), preprocessing=Preprocessing(), dtype="float16"
)
N_FEATURES = 4
SMALL, LARGE = 100, 100_000  # images looked up, half of which have a row


def fill(cache: Path, n_rows: int, n_shards: int) -> EmbeddingStore:
    """Make a cache of random digests, without an index."""
    store = EmbeddingCache(cache, create=True).store(KEY)
    store.create({"weights_name": "none", "shape": {"penultimate": [N_FEATURES]}})
    for number in range(n_shards):
        seal(store, number, len(range(number, n_rows, n_shards)))
    return store


def seal(store: EmbeddingStore, number: int, n_rows: int) -> None:
    """Seal a shard of random digests, the same each time for its number."""
    store.seal(random_digests(number, n_rows), {"penultimate": np.zeros((n_rows, N_FEATURES), np.float16)})


def random_digests(seed: int, n_rows: int) -> npt.NDArray[np.uint8]:
    """Make up digests, the same each time."""
    return np.random.default_rng(seed).integers(0, 256, (n_rows, 32), np.uint8)


def measure(cache: Path, what: str, wanted: list[str]) -> dict[str, Any]:
    """Do one thing in this process; returns its seconds and by how much peak memory grew."""
    before = peak_mb()
    begun = time.perf_counter()
    store = EmbeddingCache(cache).store(KEY)
    if what == "open":
        missing = int(store.missing(wanted).sum())
        if missing != len(wanted) // 2:
            raise SystemExit(f"{missing} of {len(wanted)} images are missing, expected half of them")
    elif what == "merge":
        store.refresh_index()
    else:
        ShardIndex(store.path, store.key, trusting=False).write()
    return {"seconds": round(time.perf_counter() - begun, 3), "grew_mb": round(peak_mb() - before)}


def peak_mb() -> float:
    """Return the most memory that this process ever had, mapped files included, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure_alone(cache: Path, what: str, n_wanted: int, n_rows: int, n_shards: int) -> dict[str, Any]:
    """Call `measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", what, "--cache", str(cache), "--wanted", str(n_wanted)]
    command += ["--rows", str(n_rows), "--shards", str(n_shards)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - this very script
    return dict(json.loads(done.stdout))


def compare(cache: Path, n_rows: int, n_shards: int) -> dict[str, Any]:
    """Fill a cache and measure it."""
    store = fill(cache, n_rows, n_shards)
    size = n_rows, n_shards
    found: dict[str, Any] = {"rows": n_rows, "shards": n_shards}
    found["open_without_index"] = measure_alone(cache, "open", SMALL, *size)
    found["build"] = measure_alone(cache, "build", 0, *size)
    found["index_mb"] = round((store.path / FILE).stat().st_size / 1e6, 1)
    found["open"] = measure_alone(cache, "open", SMALL, *size)
    found["look_up"] = measure_alone(cache, "open", LARGE, *size)
    seal(store, n_shards, max(1, n_rows // n_shards))
    found["merge_one_shard"] = measure_alone(cache, "merge", 0, *size)
    return found


def pick(n_wanted: int, n_rows: int, n_shards: int) -> list[str]:
    """Name images, the first half from all over the cache and the second half from nowhere; fewer of a small cache."""
    a_shard = -(-n_wanted // 2 // n_shards)
    held = [random_digests(number, len(range(number, n_rows, n_shards)))[:a_shard] for number in range(n_shards)]
    inside = np.concatenate(held)[: n_wanted // 2]
    outside = random_digests(n_shards + 1, len(inside))
    return [row.tobytes().hex() for row in np.concatenate([inside, outside])]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the cache (10 000 000)")
    parser.add_argument("--shards", type=int, default=1000, help="shards they lie in (1000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for internal in ("--measure", "--cache", "--wanted"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        wanted = pick(int(options.wanted), options.rows, options.shards) if int(options.wanted) else []
        result = measure(Path(options.cache), options.measure, wanted)
        print(json.dumps(result))
        return result
    with tempfile.TemporaryDirectory() as folder:
        results = compare(Path(folder) / "cache", options.rows, options.shards)
    print(json.dumps(results, indent=1) if options.json else table(results))
    return results


def table(results: dict[str, Any]) -> str:
    """Write the figures for people."""
    titles = {
        "open": f"open, look up {SMALL}",
        "look_up": f"open, look up {LARGE}",
        "open_without_index": f"open without an index, look up {SMALL}",
        "build": "build the index from the shards",
        "merge_one_shard": "bring the index up to one new shard",
    }
    lines = [f"{results['rows']} rows in {results['shards']} shards, index {results['index_mb']} MB"]
    lines += [
        f"{title:<40} {results[name]['seconds']:>7.3f} s  {results[name]['grew_mb']:>6} MB more memory at the peak"
        for name, title in titles.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
