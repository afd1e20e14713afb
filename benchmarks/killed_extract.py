"""The extraction that ``kill_extract.py`` starts: with small shards and slowly, it may kill itself at a named moment.

It finds out how to compute however few the images are: what a resumed run takes up must be what was written down.
"""

import argparse
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import headstart.extractors.atomic
import headstart.extractors.decoding.prefetch
import headstart.extractors.extraction.embedding
import headstart.extractors.extraction.extraction
import headstart.extractors.extraction.missing_rows
import headstart.extractors.tuning.preparation
from headstart.flows.extraction import extract

HALF, WRITTEN, RENAMED = "half written", "written, not renamed", "renamed, folder not synced"
PAUSE_S = 0.03  # a batch, so that a kill from outside finds it at work


def hurry_nothing() -> None:
    """Cut many shards of few images, index them at once, and find out how to compute although it does not pay."""
    headstart.extractors.extraction.extraction._SHARD_ROWS = 20  # noqa: SLF001 - the settings of a real run are not for so few images
    headstart.extractors.extraction.missing_rows._MANY_UNINDEXED = 3  # noqa: SLF001 - likewise
    headstart.extractors.tuning.preparation._FEW = 0  # noqa: SLF001 - likewise


def log_what_is_embedded(log: int) -> None:
    """Write the digests of every batch to the log once they are embedded."""
    original = headstart.extractors.extraction.embedding.embed

    def embed(forward: Any, root: Path, listed: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        given = list(listed)
        for batch in original(forward, root, given, *arguments, **options):
            os.write(log, "".join(f"{given[row][1]}\n" for row in batch.rows).encode())
            time.sleep(PAUSE_S)
            yield batch

    headstart.extractors.extraction.embedding.embed = embed


def die_while_decoding(count: int) -> None:
    """Die when the `count`-th image is to be decoded."""
    original, calls = headstart.extractors.decoding.prefetch.decode_image, iter(range(1, count))

    def decode_image(*arguments: Any, **options: Any) -> Any:
        return die() if next(calls, None) is None else original(*arguments, **options)

    headstart.extractors.decoding.prefetch.decode_image = decode_image


def die_at_a_file(name: str, moment: str, *, count: int) -> None:
    """Die at a moment of writing the `count`-th file whose name begins so."""
    atomic = headstart.extractors.atomic
    sync, sync_folder, calls = atomic._sync, atomic._sync_folder, iter(range(1, count))  # noqa: SLF001 - the two steps around the rename
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

    headstart.extractors.atomic._sync, headstart.extractors.atomic._sync_folder = write_and_die, die_before_sync  # noqa: SLF001 - likewise


def die() -> None:
    """Go as a kill goes: at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True, help="where the digests go, after one line at the start")
    parser.add_argument("--compile", choices=["on", "off"], default="off")
    parser.add_argument("--at", help="die while 'decoding', or while a file is written whose name begins so")
    parser.add_argument("--moment", choices=[HALF, WRITTEN, RENAMED], help="in the life of that file")
    parser.add_argument("--count", type=int, default=1, help="die the so-many-th time (1)")
    options = parser.parse_args(arguments)
    log = os.open(options.log, os.O_WRONLY | os.O_APPEND)
    os.write(log, b"begun\n")
    hurry_nothing()
    log_what_is_embedded(log)
    if options.moment:
        die_at_a_file(options.at, options.moment, count=options.count)
    elif options.at:
        die_while_decoding(options.count)
    extract(options.images, "small_cnn", weights="none", cache=options.cache, compile=options.compile, workers=2)


if __name__ == "__main__":
    main()
