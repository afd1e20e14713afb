"""Finding runs again: in caches, in results folders, and in the folders that hold such."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.extractors.atomic import errors_explained
from headstart.flows.errors import JobError
from headstart.flows.history.record import RUN_FILE
from headstart.flows.history.run import Run
from headstart.flows.history.runs import FOLDER, read_runs


@dataclass(frozen=True)
class KeptRun:
    """A run, and the folder ``runs`` in which its predictions are."""

    run: Run
    history: Path


def gather_runs(places: Sequence[Path]) -> tuple[list[KeptRun], list[str]]:
    """Return the runs of caches, results folders, or folders of these, oldest first, each once; and notes.

    A results folder gives the run that wrote it last. A folder that is neither is searched one level down.

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
        here = _runs_in(place, notes)
        if not here:
            below = sorted(path for path in place.iterdir() if path.is_dir())
            here = [kept for path in below for kept in _runs_in(path, notes)]
        if not here:
            raise JobError(f"{place}: no runs here; 'headstart fit CACHE' adds one to its cache")
        found |= {kept.run.id: kept for kept in here if kept.run.id not in found}
    return [found[name] for name in sorted(found)], list(dict.fromkeys(notes))


def find_run(word: str, places: Sequence[Path]) -> KeptRun:
    """Return the run with this id (or with an id of which this is the beginning or end), or of this results folder.

    Raises
    ------
    JobError
        There is none, or more than one.
    """
    folder = Path(word)
    if (folder / RUN_FILE).is_file():
        return _run_of_results(folder)
    if folder.is_dir():
        raise JobError(f"{folder}: no {RUN_FILE} here; name a folder of results, or a run as 'headstart results' does")
    runs, _ = gather_runs(places)
    names = [kept.run.id for kept in runs]
    matches = [kept for kept in runs if kept.run.id.startswith(word) or kept.run.id.endswith(word)]
    if len(matches) > 1:
        raise JobError(f"{word!r} means {len(matches)} runs: {', '.join(kept.run.id for kept in matches[:5])}")
    if not matches:
        near = ", ".join(difflib.get_close_matches(word, names, n=3, cutoff=0.0))
        raise JobError(f"no run {word!r} in {', '.join(map(str, places))}; nearest: {near}; elsewhere: --cache CACHE")
    return matches[0]


def _runs_in(place: Path, notes: list[str]) -> list[KeptRun]:
    runs, damaged = read_runs(place / FOLDER)
    notes += damaged
    kept = [KeptRun(run, place / FOLDER) for run in runs]
    if not kept and (place / RUN_FILE).is_file():
        kept = [_run_of_results(place)]
    return kept


def _run_of_results(folder: Path) -> KeptRun:
    path = folder / RUN_FILE
    with errors_explained(path):
        content = path.read_bytes()
    try:
        run = Run.from_line(content)
    except ValueError as error:
        raise JobError(f"{path}: damaged ({error}); fit again") from error
    # The cache's history is the usual place; the results folder's own is for a cache that could not be written.
    beside = folder / FOLDER
    return KeptRun(run, beside if (beside / f"{run.id}.parquet").is_file() else Path(run.data.cache) / FOLDER)
