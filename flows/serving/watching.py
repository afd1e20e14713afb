"""Noticing that an image folder changed, by looking at it now and then: no daemon, and any file system."""

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from headstart.extractors.images import is_pattern, is_url
from headstart.flows.errors import JobError

Look = tuple[int, int]


def watched_place(images: str) -> Path:
    """Say where to look for changes of an image set: the folder, the file, or the folder before a pattern begins.

    Raises
    ------
    JobError
        The images lie elsewhere: to list a bucket again and again costs money.
    """
    if is_url(images):
        raise JobError(f"--watch looks at folders of this machine, and {images} is none: give --cron or --interval")
    if not is_pattern(images) or Path(images).exists():
        return Path(images)
    return Path(re.split(r"[*?{\[]", images)[0] + "x").parent


def look_at(place: Path, without: Collection[Path] = ()) -> Look:
    """Take a fingerprint of a folder or file without opening any: how many there are, and all names, sizes and times.

    Parameters
    ----------
    place : Path
        Folders below it are looked at, too.
    without : collection of Path
        Folders to pass over: what a run writes must not start the next.

    Returns
    -------
    (int, int)
        Equal ones, taken by one process, mean that nothing has changed.

    Raises
    ------
    OSError
        A folder cannot be listed.
    """
    count, mixed = 0, 0
    for path, state in _files(place, {os.path.realpath(folder) for folder in without}):
        count += 1
        # A sum, for file systems list in any order.
        mixed = (mixed + hash((path, state.st_size, state.st_mtime_ns))) % 2**64
    return count, mixed


def _files(place: Path, without: set[str]) -> Iterator[tuple[str, os.stat_result]]:
    if not place.is_dir():
        yield str(place), place.stat()
        return
    pending = [os.path.realpath(place)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        pending += [entry.path] if entry.path not in without else []
                    else:
                        yield entry.path, entry.stat()
                except FileNotFoundError:
                    continue  # it went after it was listed; the next look differs, so this one is not the last


@dataclass
class Watch:
    """Tells when a run is due: the images differ from those of the last run, and have been still for one look.

    The first still look is due, too: what came while nobody watched is embedded, and without news a run costs seconds.
    """

    seen: Look | None = None
    done: Look | None = None

    def due(self, now: Look) -> bool:
        """Take the next look, and say whether a run is to start."""
        still, self.seen = now == self.seen, now
        if not still or now == self.done:
            return False
        self.done = now
        return True
