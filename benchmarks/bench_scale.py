"""What it costs to embed on many workers: time lost besides embedding, and what large listings and caches take.

Workers are simulated: each takes shards from a real Dask scheduler, sleeps as long as a GPU would need at ``--rate``
images a second, and seals a real shard; sixteen share a process, and nothing is decoded, which this machine could not
do for 64 workers. All else is the code of `headstart extract --dask` and `headstart run`: cutting, sending, waiting,
sealing, and a task in Prefect for each shard. All of it shares this machine's cores, so what is found is an upper
bound: elsewhere workers have cores of their own. Listings are made up; each size has a process of its own.
Lost is what a worker idles between one shard and the next; its first wait and sealing are told apart.
"""

import argparse
import asyncio
import json
import logging
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

N_FEATURES = 512
BATCH = 256
WORKERS_A_PROCESS = 16


def made_up_listing(n_rows: int, root: Path) -> Any:
    """Return a listing of so many images that are nowhere, in a thousand classes."""
    import pandas as pd

    from headstart.extractors.images import ListedImage, listing_frame
    from headstart.extractors.listing import CacheListing

    digests = np.random.default_rng(0).integers(0, 256, (n_rows, 32), np.uint8)
    images = [
        ListedImage(f"class-{number % 1000:03d}/image-{number:09d}.jpg", bytes=100_000, mtime_ns=1)
        for number in range(n_rows)
    ]
    classes = np.array([f"class-{number:03d}" for number in range(1000)], object)
    labels = {"label": pd.Series(classes[np.arange(n_rows) % 1000], dtype=object)}
    rows = listing_frame(images, labels)
    rows["digest"] = pd.Series([row.tobytes().hex() for row in digests], dtype=object)
    return CacheListing(rows, root, "folder")


def simulate(address: str, n_workers: int, rate: float, told: Path) -> None:
    """Be so many workers until standard input ends; keeps when each was given a shard, and when it had sealed it."""
    import headstart.extractors.extraction.shard_work

    embed_shard = headstart.extractors.extraction.shard_work.embed_shard
    turns: dict[int, list[tuple[float, float]]] = {}

    def embed_rows(_forward: Any, images: Any, done: Any, _recipe: Any) -> None:
        digests = np.array([digest for _, digest in images], object)
        time.sleep(len(images) / rate if rate else 0.0)
        done.digests.append(digests)
        done.features.append({"penultimate": np.zeros((len(images), N_FEATURES), np.float16)})

    def timed(work: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        result = embed_shard(work, **options)
        turns.setdefault(threading.get_ident(), []).append((begun, time.perf_counter()))
        return result

    headstart.extractors.extraction.shard_work.embed_rows, headstart.extractors.extraction.shard_work.embed_shard = (
        embed_rows,
        timed,
    )
    asyncio.run(_work_until_told(address, n_workers))
    told.write_text(json.dumps(list(turns.values())))


async def _work_until_told(address: str, n_workers: int) -> None:
    from distributed import Worker

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    workers = [
        await Worker(address, nthreads=1, memory_limit=0, dashboard=False, host="127.0.0.1") for _ in range(n_workers)
    ]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for worker in workers:
        await worker.close()


@contextmanager
def simulated_workers(address: str, n_workers: int, rate: float, folder: Path) -> Iterator[list[Any]]:
    """Start the processes; the list is filled with the turns of each worker when the block ends."""
    turns: list[Any] = []
    files = [folder / f"turns-{number}.json" for number in range(-(-n_workers // WORKERS_A_PROCESS))]
    shares = [len(range(number, n_workers, len(files))) for number in range(len(files))]
    command = [sys.executable, __file__, "--simulate", address, "--rate", str(rate)]
    processes = [
        subprocess.Popen([*command, "--workers", str(share), "--told", str(file)], stdin=subprocess.PIPE)  # noqa: S603 - this very script
        for share, file in zip(shares, files, strict=True)
    ]
    try:
        yield turns
    finally:
        for process in processes:
            process.communicate()
    turns += [given for file in files for given in json.loads(file.read_text())]


def run_workers(
    n_workers: int, shards_a_worker: int, shard_images: int, rate: float, *, prefect: bool, folder: Path
) -> dict[str, Any]:
    """Embed so many shards on so many workers; returns the seconds, and what share of the workers' time was lost."""
    from distributed import LocalCluster

    from headstart.extractors.cache import EmbeddingCache
    from headstart.extractors.spec import Settings, Tap
    from headstart.flows.extraction import on_workers

    n_shards = n_workers * shards_a_worker
    cache = EmbeddingCache(folder / "cache", create=True)
    listing = made_up_listing(n_shards * shard_images, folder)
    settings = Settings(device="cpu", precision="fp32", decode="full", dtype="float16", batch_size=BATCH, workers=1)
    quiet: dict[str, Any] = {"dashboard_address": "127.0.0.1:0", "silence_logs": 60, "protocol": "tcp://"}
    with (
        LocalCluster(processes=False, n_workers=0, host="127.0.0.1", **quiet) as cluster,
        simulated_workers(cluster.scheduler_address, n_workers, rate, folder) as turns,
        on_workers(cluster.scheduler_address, shard_images=shard_images) as scale,
    ):
        scale.cluster().client.wait_for_workers(n_workers)
        extraction = scale.open(cache, listing, "pixels", "default", [Tap()], settings)
        begun, seconds = (as_flow if prefect else as_job)(extraction)
    if (sealed := len(cache.store(extraction.store.key).shards())) != n_shards:
        raise SystemExit(f"{sealed} shards were sealed, expected {n_shards}")
    slept = shard_images / rate if rate else 0.0
    idle = [later[0] - earlier[1] for given in turns for earlier, later in pairwise(given)]
    worked = [sealed - begun - slept for given in turns for begun, sealed in given]
    waited, first = float(np.mean(idle or [0.0])), float(np.mean([given[0][0] for given in turns])) - begun
    return {
        "workers": n_workers,
        "shards": n_shards,
        "rows": n_shards * shard_images,
        "prefect": prefect,
        "rate": rate,
        "seconds": round(seconds, 2),
        "before_first_s": round(first, 3),
        "idle_ms": round(1000 * waited, 1),
        "idle_share": round(waited / (waited + slept), 4) if rate else 1.0,
        "sealing_ms": round(1000 * float(np.mean(worked)), 1),
        "shards_per_s": round(n_shards / seconds, 1),
    }


def as_job(extraction: Any) -> tuple[float, float]:
    """Run the shards as `headstart extract` does; returns when this began, and how long it took."""
    from concurrent.futures import ThreadPoolExecutor

    from headstart.flows.extraction import embed_in_flight

    with extraction.writing(), ThreadPoolExecutor(max_workers=len(extraction.shards)) as pool:
        begun = time.perf_counter()
        embed_in_flight(extraction, [], lambda number: pool.submit(extraction.run_shard, number))
        return begun, time.perf_counter() - begun


def as_flow(extraction: Any) -> tuple[float, float]:
    """Run the shards as `headstart run` does, a task each; Prefect's own server runs beside it."""
    from prefect import flow

    import headstart.flows.orchestration.extraction_tasks

    took: list[tuple[float, float]] = []

    @flow(name="simulated", persist_result=False)
    def simulated() -> None:
        in_flight = headstart.flows.orchestration.extraction_tasks.embed_in_flight

        def timed(*arguments: Any) -> None:
            begun = time.perf_counter()
            in_flight(*arguments)
            took.append((begun, time.perf_counter() - begun))

        headstart.flows.orchestration.extraction_tasks.embed_in_flight = timed
        try:
            headstart.flows.orchestration.extraction_tasks._embed_elsewhere(extraction, [], progress=False)  # noqa: SLF001 - what a flow calls
        finally:
            headstart.flows.orchestration.extraction_tasks.embed_in_flight = in_flight

    simulated()
    return took[0]


def take_stock(n_rows: int, shard_images: int) -> dict[str, Any]:
    """List so many images and find out which rows an empty cache lacks, in this process."""
    from headstart.extractors.cache import EmbeddingCache
    from headstart.extractors.extraction import cut_shards

    made_up_listing(1, Path())  # loads pandas
    bare = peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        listing = made_up_listing(n_rows, Path(folder))
        cache = EmbeddingCache(Path(folder) / "cache", create=True)
        listing.write(cache)
        n_bytes = (cache.path / "listing.parquet").stat().st_size
        begun = time.perf_counter()
        distinct = listing.distinct
        shards = cut_shards(
            len(distinct), {"penultimate": (N_FEATURES,)}, "float16", n_rows=shard_images, n_bytes=2**26
        )
        stock = time.perf_counter() - begun
    return {
        "rows": n_rows,
        "shards": len(shards),
        "listing_mb": round(n_bytes / 1e6, 1),
        "memory_mb": round(peak_mb() - bare),
        "cut_s": round(stock, 2),
    }


def peak_mb() -> float:
    """Return the most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def alone(*arguments: str) -> dict[str, Any]:
    """Run a benchmark in a process of its own."""
    done = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - this very script
    return dict(json.loads(done.stdout))


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Measure workers, then sizes."""
    found: dict[str, Any] = {"shard_images": options.shard_images, "rate": options.rate, "workers": [], "rows": []}
    cases = [(count, options.shards, options.rate) for count in options.workers]
    cases += [
        (count, options.shards, 0.0) for count in options.workers[-1:]
    ]  # without sleep: what one coordinator can do
    for count, shards, rate in cases:
        for prefect in (False, True) if options.prefect else (False,):
            with tempfile.TemporaryDirectory() as folder:
                case = run_workers(
                    count, shards, options.shard_images, rate, prefect=prefect, folder=Path(folder).resolve()
                )
            found["workers"].append(case)
    here = Path(__file__)
    for n_rows in options.rows:
        case = alone(str(here), "--stock", str(n_rows), "--shard-images", str(options.shard_images))
        shards = str(max(1, n_rows // options.shard_images))
        index = alone(str(here.with_name("bench_cache.py")), "--rows", str(n_rows), "--shards", shards, "--json")
        found["rows"].append(case | {"index_mb": index["index_mb"], "build_s": index["build"]["seconds"]})
        found["rows"][-1] |= {"open_s": index["open"]["seconds"], "build_grew_mb": index["build"]["grew_mb"]}
    return found


def table(found: dict[str, Any]) -> str:
    """Write the figures for people."""
    lines = [
        f"shards of {found['shard_images']} images",
        "workers  images/s each  as    shards/s  before the first     idle between two  sealing",
    ]
    lines += [
        f"{case['workers']:>7}  {case['rate']:>13.0f}  {'flow' if case['prefect'] else 'job':<4}  "
        f"{case['shards_per_s']:>8.1f}  {case['before_first_s']:>14.2f} s  {case['idle_ms']:>9.0f} ms = "
        f"{100 * case['idle_share']:>4.1f} %  {case['sealing_ms']:>4.0f} ms"
        for case in found["workers"]
    ]
    lines += [
        f"{case['rows']} rows in {case['shards']} shards: listing {case['listing_mb']} MB on disk and "
        f"{case['memory_mb']} MB in memory at the peak, index {case['index_mb']} MB, built in {case['build_s']} s and "
        f"opened in {case['open_s']} s"
        for case in found["rows"]
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 4, 16, 64], help="simulated workers (1 4 16 64)")
    parser.add_argument("--shards", type=int, default=3, help="shards a worker (3)")
    parser.add_argument("--shard-images", type=int, default=4096, help="images a shard (4096)")
    parser.add_argument("--rate", type=float, default=500.0, help="images a second of each worker (500)")
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000], help="sizes of the cache")
    parser.add_argument("--no-prefect", dest="prefect", action="store_false", help="without Prefect's tasks")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--stock", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--simulate", help=argparse.SUPPRESS)
    parser.add_argument("--told", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.simulate:
        simulate(options.simulate, options.workers[0], options.rate, options.told)
        return {}
    found = take_stock(options.stock, options.shard_images) if options.stock else compare(options)
    print(json.dumps(found, indent=1) if options.json or options.stock else table(found))
    return found


if __name__ == "__main__":
    main()
