"""Finding runs again: in caches, in results folders, and in the folders that hold such."""

import difflib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.extractors.atomic import errors_explained
from headstart.extractors.cache import UNREADABLE
from headstart.flows.errors import JobError
from headstart.flows.history.record import RUN_FILE
from headstart.flows.history.run import Run
from headstart.flows.history.runs import FOLDER, read_runs
from headstart.flows.output import LATEST, LOCK


@dataclass(frozen=True)
class KeptRun:
    """A run, the folder ``runs`` in which its predictions are, and its own folder; None where that is gone."""

    run: Run
    history: Path
    folder: Path | None = None


def gather_runs(places: Sequence[Path]) -> tuple[list[KeptRun], list[str]]:
    """Return the runs of caches, results folders, or folders of these, oldest first, each once; and notes.

    A folder that is neither is searched one level down. A cache remembers runs whose folders are gone, and folders of
    runs are found without their cache.

    Raises
    ------
    JobError
        A place does not exist, or there is no run in it.
    """
    found: dict[str, KeptRun] = {}
    notes: list[str] = []
    for place in places:
        if not place.is_dir():
            raise JobError(f"{place}: no such folder; name a cache or a folder of results")
        n_before = len(notes)
        here = _runs_in(place, notes)
        if not here:
            below = sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())
            here = [kept for path in below for kept in _runs_in(path, notes)]
        if not here:
            damaged = notes[n_before:] or [f"{place}: no runs here; 'headstart fit CACHE' adds one to its cache"]
            raise JobError(damaged[0])
        for kept in here:
            known = found.setdefault(kept.run.id, kept)
            found[kept.run.id] = replace(known, folder=known.folder or kept.folder)
    return [found[name] for name in sorted(found)], list(dict.fromkeys(notes))


def as_places(places: str | Path | Sequence[str | Path]) -> list[Path]:
    """Accept one place or several."""
    return [Path(places)] if isinstance(places, str | Path) else [Path(place) for place in places]


def find_run(word: str, places: Sequence[Path]) -> KeptRun:
    """Return the run with this id, or beginning or end of one, or with this name, or of this folder.

    Of a folder of results it is the latest.

    Raises
    ------
    JobError
        There is none, or more than one.
    """
    folder = Path(word)
    if (folder / RUN_FILE).is_file():
        return _run_of_folder(folder)
    if folder.is_dir():
        raise JobError(f"{folder}: no {RUN_FILE} here; name a folder of results, or a run as 'headstart results' does")
    runs, _ = gather_runs(places)
    names = [kept.run.id for kept in runs]
    matches = [kept for kept in runs if kept.run.id.startswith(word) or kept.run.id.endswith(word)]
    matches = matches or [kept for kept in runs if kept.run.settings.name == word]
    if len(matches) > 1:
        raise JobError(f"{word!r} means {len(matches)} runs: {', '.join(kept.run.id for kept in matches[:5])}")
    if not matches:
        near = ", ".join(difflib.get_close_matches(word, names, n=3, cutoff=0.0))
        raise JobError(f"no run {word!r} in {', '.join(map(str, places))}; nearest: {near}; elsewhere: --cache CACHE")
    return matches[0]


def _runs_in(place: Path, notes: list[str]) -> list[KeptRun]:
    """Return the runs of a history, then those of which the folders are here."""
    runs, damaged = read_runs(place / FOLDER)
    notes += damaged
    found = [KeptRun(run, place / FOLDER, _folder_of(run)) for run in runs]
    for folder in _run_folders(place):
        try:
            found.append(_run_of_folder(folder))
        except (JobError, OSError) as error:
            notes.append(f"{error}; it is left out")
    return found


def _run_folders(place: Path) -> Iterator[Path]:
    """Yield the folders of runs in a folder of results, those of label columns too, and itself where it is one."""
    if any((place / mark).exists() for mark in (LOCK, LATEST, "targets.csv")):
        inside = [Path(entry.path) for entry in os.scandir(place) if entry.is_dir(follow_symlinks=False)]
        for folder in sorted(path for path in inside if not path.name.startswith(".")):
            yield from _run_folders(folder)
    if (place / RUN_FILE).is_file() and not (place / RUN_FILE).is_symlink():
        yield place


def _folder_of(run: Run) -> Path | None:
    """Return where a run's files are, if they are still there: no later run has replaced them, and nobody removed them.

    Those that an earlier version wrote get a folder of their own beside the next run's.
    """
    return next((place for place in (Path(run.results), Path(run.results, run.id)) if _is_of(place, run)), None)


def _is_of(place: Path, run: Run) -> bool:
    try:
        return bool(json.loads((place / RUN_FILE).read_bytes())["id"] == run.id)
    except UNREADABLE:
        return False


def _run_of_folder(folder: Path) -> KeptRun:
    path = folder / RUN_FILE
    with errors_explained(path):
        content = path.read_bytes()
    try:
        run = Run.from_line(content)
    except ValueError as error:
        raise JobError(f"{path}: damaged ({error}); fit again") from error
    home = path.resolve().parent if path.is_symlink() else folder
    # The cache's history is the usual place; the folder's own is for a cache that could not be written.
    kept = home / FOLDER
    return KeptRun(run, kept if (kept / f"{run.id}.parquet").is_file() else Path(run.data.cache) / FOLDER, home)
