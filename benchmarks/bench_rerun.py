"""A rerun with nothing new, timed as the command that people type, with Python's start and every import.

The images are tiny PNG files, each with a content of its own. A few of them are embedded; the other rows are made up
and sealed by the writer of the cache, because a rerun looks at digests alone. For comparison all files are read and
hashed, and the rerun is timed once more without the memory of earlier requests, so that it loads torch.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import list_images
from headstart.extractors.listing import CacheListing, update_listing
from headstart.extractors.spec import Settings

ROOT = Path(__file__).parent.parent
LONG_AGO = 1_600_000_000  # a file that has just changed would be hashed again
N_CLASSES = 100


def make_images(folder: Path, count: int) -> Path:
    """Write `count` grey PNG files of 4 × 4 pixels in a folder per class; the first four pixels hold the number."""
    for number in range(count):
        rows = b"".join(b"\0" + row for row in (struct.pack(">I", number), b"\x10\x20\x30\x40", bytes(4), bytes(4)))
        parts = (
            b"IHDR" + struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0),
            b"IDAT" + zlib.compress(rows, 0),
            b"IEND",
        )
        chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts]
        place = folder / f"class{number % N_CLASSES:02d}"
        if number < N_CLASSES:
            place.mkdir(parents=True, exist_ok=True)
        path = place / f"{number:07d}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def command(images: Path, cache: Path, *more: str) -> list[str]:
    """Return the command as a person would type it."""
    options = ["--backbone", "small_cnn", "--weights", "none", "--precision", "fp32", "--cache", str(cache), "--json"]
    return [sys.executable, "-m", "headstart", "extract", str(images), *options, *more]


def extract(images: Path, cache: Path, *more: str) -> tuple[dict[str, Any], float]:
    """Run the command in a process of its own; returns its summary and the seconds from outside."""
    started = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own command
        command(images, cache, *more), cwd=ROOT, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout), time.perf_counter() - started


def fill(images: Path, cache: Path) -> CacheListing:
    """Embed a few images, list all, and seal made-up rows for the others."""
    extract(images, cache, "--limit", str(N_CLASSES))
    folder = EmbeddingCache(cache)
    listing = update_listing(folder, list_images(images), workers=Settings().n_workers)
    (store,) = folder.stores()
    distinct = listing.distinct["digest"]
    missing = distinct[store.missing(distinct.tolist())].tolist()
    (tap,) = store.key.taps
    width = store.about["shape"][tap]
    for first in range(0, len(missing), 512):  # as many rows as an extraction seals at a time
        part = missing[first : first + 512]
        digests = np.frombuffer(bytes.fromhex("".join(part)), np.uint8).reshape(-1, 32)
        store.seal(digests, {tap: np.zeros((len(part), *width), store.key.dtype)})
    return listing


def read_all(images: Path, listing: CacheListing) -> float:
    """Return the seconds that reading and hashing every file takes."""
    started = time.perf_counter()
    for path in listing.rows["path"]:
        hashlib.sha256((images / path).read_bytes()).digest()
    return time.perf_counter() - started


def measure(n_images: int, rounds: int) -> dict[str, Any]:
    """Return the seconds of the rerun, of the same without its memory, and of reading all files."""
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as scratch:
        images = make_images(Path(scratch) / "images", n_images)
        cache = Path(scratch) / "cache"
        listing = fill(images, cache)
        extract(images, cache)  # what a first run after others leaves behind is not what is timed
        runs = [extract(images, cache) for _ in range(rounds)]
        summaries = [summary for summary, _ in runs]
        if any((one["embedded"], one["reused"]) != (0, n_images) for one in summaries):
            raise SystemExit(f"expected a rerun with nothing new over {n_images} images, found {summaries}")
        reading = read_all(images, listing)
        shutil.copytree(cache, Path(scratch) / "forgetful")
        (Path(scratch) / "forgetful" / "requests.json").unlink()
        _, forgetful = extract(images, Path(scratch) / "forgetful")
        return {
            "images": n_images,
            "rerun_s": round(statistics.median(seconds for _, seconds in runs), 2),
            "rerun_inside_s": round(statistics.median(summary["seconds"] for summary in summaries), 2),
            "rerun_loading_torch_s": round(forgetful, 2),
            "reading_all_s": round(reading, 2),
        }


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print one line for people or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = measure(options.images, options.rounds)
    if options.json:
        print(json.dumps(found))
        return
    print(
        f"{found['images']} images: a rerun with nothing new takes {found['rerun_s']} s "
        f"({found['rerun_inside_s']} s without Python's start and imports), "
        f"{found['rerun_loading_torch_s']} s where torch is loaded; reading all files {found['reading_all_s']} s"
    )


if __name__ == "__main__":
    main()
