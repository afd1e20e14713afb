"""The latest run of a folder of results, which everybody finds under the same names: links, each made by one rename.

``photos.results/report.html`` leads over ``photos.results/latest`` to ``photos.results/RUN/report.html``. So one rename
of ``latest`` moves all of them at once, and a copy of the folder, with its links or without, holds the same.
"""

import filecmp
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from headstart.extractors.atomic import sync_folder

LATEST = "latest"

NAMES_OF_BEFORE = (
    *("leaderboard.csv", "model", "report.html", "results.parquet", "run.json", "suspects.csv", "targets.csv"),
    *("clusters.csv", "clusters.html"),
)
"""Files and folders that results consisted of when there was one run in them, which the next one replaced."""

_RUN_FILE = "run.json"
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


def make_latest(results: Path, part: Path, folder: Path) -> list[str]:
    """Move a run's files to their folder, and let `LATEST`, and with it every name beside it, lead there.

    To be called with the lock of the results held.

    Parameters
    ----------
    results : Path
    part, folder : Path
        Where the files are, and where they will be, in `results`.

    Returns
    -------
    list of str
        Notes: what the latest was before, and which names are a person's own.
    """
    link = results / LATEST
    before = str(link.readlink()) if link.is_symlink() else ""
    notes = [note for entry in sorted(part.iterdir()) for note in _lead(results / entry.name, entry, results, folder)]
    part.rename(folder)
    sync_folder(results)
    point(link, folder.name)
    _drop_dead_links(results, results)
    if before:
        kept = f"it stays in {results / before}" if (results / before).is_dir() else "its folder is gone"
        notes.insert(0, f"the latest in {results} was run {before}: {kept}")
    return notes


def as_latest(path: str | Path) -> Path:
    """Return the shorter path that leads to the same file for as long as its run is the latest; else the path."""
    path = Path(path)
    for folder in path.parents:
        link = folder.parent / LATEST
        short = folder.parent / path.relative_to(folder)
        if link.is_symlink() and link.readlink().name == folder.name and short.exists() and short.samefile(path):
            return short
    return path


def point(link: Path, target: str) -> None:
    """Let a link lead to a target, by one rename: at every moment it leads to the old one or the new one."""
    new = link.with_name(f".{link.name}.{secrets.token_hex(8)}.part")
    new.symlink_to(target)
    try:
        new.replace(link)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_folder(link.parent)


def _lead(place: Path, entry: Path, results: Path, folder: Path) -> list[str]:
    """Let the name of a run's file lead to it over `LATEST`; of a folder that is there already, the names in it."""
    inside = place.relative_to(results)
    if place.is_dir() and not place.is_symlink():
        children = sorted(entry.iterdir()) if entry.is_dir() else []
        return [note for child in children for note in _lead(place / child.name, child, results, folder)]
    if place.exists() and not place.is_symlink() and not _is_copy(place, results / LATEST / inside):
        return [f"{place} is a file of yours and stays; the run's is {folder / inside}"]
    target = os.path.relpath(results / LATEST / inside, place.parent)
    if not place.is_symlink() or str(place.readlink()) != target:
        point(place, target)
    return []


def _is_copy(place: Path, kept: Path) -> bool:
    return kept.is_file() and (place.samefile(kept) or filecmp.cmp(place, kept, shallow=False))


def _drop_dead_links(folder: Path, results: Path) -> None:
    """Remove names of files that the latest run has not, such as a list of suspects."""
    for place in folder.iterdir():
        if place.is_symlink():
            target = Path(os.path.normpath(folder / place.readlink()))
            if (results / LATEST) in target.parents and not place.exists():
                place.unlink()
        elif place.is_dir() and not _ID.fullmatch(place.name) and not place.name.startswith("."):
            _drop_dead_links(place, results)


def adopt_results_of_before(results: Path) -> None:
    """Give the one run in results of an earlier version, or in a copy that followed links, a folder of its own.

    Its files keep their names until the same names lead to the copies, so that a kill at any moment loses nothing.
    """
    link = results / LATEST
    if link.is_symlink():
        return
    if link.is_dir():
        folder, twice = results / _id_of(link), results / f".{LATEST}.{socket.gethostname()}.part"
        link.rename(twice if folder.exists() else folder)
        point(link, folder.name)
        shutil.rmtree(twice, ignore_errors=True)
        return
    found = [results / name for name in (*NAMES_OF_BEFORE, *_columns_of_before(results))]
    found = [place for place in found if _is_real(place)]
    if not found:
        return
    folder = results / _id_of(results, found)
    if not folder.exists():
        _copy(found, folder)
    point(link, folder.name)
    for place in found:
        _lead(place, folder / place.name, results, folder)


def _is_real(place: Path) -> bool:
    """Tell a file, or a folder that holds one, from links."""
    if place.is_symlink() or not place.is_dir():
        return place.is_file() and not place.is_symlink()
    return any(_is_real(child) for child in place.iterdir())


def _copy(found: Sequence[Path], folder: Path) -> None:
    part = folder.with_name(f".{folder.name}.{socket.gethostname()}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a kill in here: the lock of the results is held
    part.mkdir()
    try:
        for place in found:
            if place.is_dir():
                shutil.copytree(place, part / place.name, copy_function=_link_or_copy)
            else:
                _link_or_copy(place, part / place.name)
        part.rename(folder)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def _link_or_copy(source: str | Path, target: str | Path) -> None:
    """Take the same bytes under another name: nothing here is ever written to."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


def _columns_of_before(results: Path) -> list[str]:
    """Return the folders of label columns, each with a run of its own, that an earlier version left beside a table."""
    if not (results / "targets.csv").exists():
        return []
    return [
        place.name
        for place in results.iterdir()
        if place.is_dir() and not place.is_symlink() and (place / _RUN_FILE).exists() and _id_of(place) != place.name
    ]


def _id_of(folder: Path, found: Sequence[Path] = ()) -> str:
    """Return the id of the run in a folder; where none is written down, one of the time when it was made."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        name = json.loads((folder / _RUN_FILE).read_bytes())["id"]
        if _ID.fullmatch(name):
            return str(name)
    made = max((place.stat().st_mtime for place in found), default=folder.stat().st_mtime)
    return f"{datetime.fromtimestamp(made, UTC):%Y%m%d-%H%M%S}-0000"
