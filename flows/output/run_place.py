"""Folder of a run: filled beside its place under a hidden name, and then the latest of its results by one rename."""

import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headstart.extractors.atomic import ABANDONED_S, errors_explained, remove_stale_parts, sync_folder, try_lock
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.errors import JobError
from headstart.flows.output.latest import LATEST, NAMES_OF_BEFORE, adopt_results_of_before, make_latest, point

LOCK = "results.lock"
"""Held while runs are begun, finished and cleared away."""

_PART = ".part"
_NAME = re.compile(r"\w[\w .-]*")


def new_id(now: datetime | None = None) -> str:
    """Return a run's id: date and time in UTC, then four hex digits that tell runs of one second apart."""
    return f"{(now or datetime.now(UTC)):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class RunPlace:
    """Place of one run's files.

    Attributes
    ----------
    id : str
        Of the run: in its files, in the history, and the folder's name.
    part : Path
        Where its files are written, until all are there.
    folder : Path
        Where they will be.
    """

    id: str
    part: Path
    folder: Path

    def below(self, name: str) -> "RunPlace":
        """Make the place of a run that belongs to this one and ends with it."""
        inner = RunPlace(new_id(), self.part / name, self.folder / name)
        with errors_explained(inner.part):
            inner.part.mkdir()
        return inner

    def finish(self, *, name: str | None = None, leftover: str = "") -> list[str]:
        """Give the folder its name, and make it the latest of its results.

        A kill at any moment leaves the run before or this one as the latest, whole.

        Parameters
        ----------
        name : str, optional
            A link of this name beside the folder leads to it, too.
        leftover : str
            A file of the results that no run needs any more, unless another one is at work.

        Returns
        -------
        list of str
            Notes: what takes whose place.
        """
        results = self.folder.parent
        with errors_explained(results), writer_lock(results, name=LOCK):
            adopt_results_of_before(results)
            sync_folder(self.part)
            notes = make_latest(results, self.part, self.folder)
            if name:
                notes += _give_name(results / name, self.folder)
            if leftover and not any(_is_folder(part) for part in results.glob(f".*{_PART}")):
                (results / leftover).unlink(missing_ok=True)
        return notes


@contextmanager
def run_folder(results: Path, own: Sequence[str] = ()) -> Iterator[RunPlace]:
    """Yield the place of a new run; what was not finished when the block ends is removed, as are leftovers of before.

    Several processes may have runs at work in one folder of results.

    Parameters
    ----------
    results : Path
        Made where it is missing.
    own : sequence of str
        As for `refuse_foreign`.

    Raises
    ------
    JobError
        The folder holds something else than results.
    CacheError
        It cannot be made or written.
    """
    refuse_foreign(results, own)
    with writer_lock(results, name=LOCK), errors_explained(results):
        _clear_leftovers(results)
        place = _begin(results)
        sign_of_life = os.open(place.part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try_lock(sign_of_life)
    try:
        try:
            yield place
        finally:
            shutil.rmtree(place.part, ignore_errors=True)
    finally:
        os.close(sign_of_life)


def refuse_foreign(results: Path, own: Sequence[str] = ()) -> None:
    """Refuse a folder that holds something else than results, such as the images or the cache.

    Parameters
    ----------
    results : Path
    own : sequence of str
        Files that mark it as results, beside those that every run leaves.

    Raises
    ------
    JobError
        It does.
    """
    filled = results.is_dir() and any(results.iterdir())  # first: a run that begins meanwhile leaves its mark at once
    ours = (results / LATEST).is_symlink() or any((results / one).exists() for one in (LOCK, *NAMES_OF_BEFORE, *own))
    if filled and not ours:
        raise JobError(f"{results}: holds other files than results; name an empty or a new folder (--out DIR)")


def refuse_name(results: Path, name: str, reserved: Sequence[str]) -> None:
    """Refuse a name for a run that could be no link beside its folder.

    Raises
    ------
    JobError
        It has other characters, or stands for something else already.
    """
    if not _NAME.fullmatch(name):
        raise JobError(f"--name {name!r}: letters, digits, blanks, and . _ - are expected, such as --name baseline")
    if name in reserved or not _is_free(results / name):
        raise JobError(f"--name {name!r}: {results / name} is something else already; choose another name")


def _is_free(link: Path) -> bool:
    """Tell whether a name may lead to a run: it does already, or is nobody's."""
    return len(link.readlink().parts) == 1 if link.is_symlink() else not link.exists()


def _give_name(link: Path, folder: Path) -> list[str]:
    if not _is_free(link):
        return [f"{link} is something else by now and leads to no run; the run is in {folder}"]
    before = link.readlink() if link.is_symlink() else None
    point(link, folder.name)
    return [f"{link} was run {before} and is now run {folder.name}"] if before else []


def _begin(results: Path) -> RunPlace:
    while True:
        name = new_id()
        place = RunPlace(name, results / f".{name}.{socket.gethostname()}{_PART}", results / name)
        if not place.folder.exists():
            with suppress(FileExistsError):
                place.part.mkdir()
                return place


def _clear_leftovers(results: Path) -> None:
    """Remove what killed runs left; the lock of the results is held, so that none is just being made or finished."""
    remove_stale_parts(results)
    for part in results.glob(f".*{_PART}"):
        if part.is_symlink():  # made only while the lock is held
            part.unlink()
        elif _is_folder(part) and _is_dead(part):
            shutil.rmtree(part, ignore_errors=True)


def _is_folder(part: Path) -> bool:
    return part.is_dir() and not part.is_symlink()


def _is_dead(part: Path) -> bool:
    """Tell whether nobody holds a folder locked; of another host, whose locks may not be seen, by its age."""
    try:
        descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, PermissionError):  # its run ended meanwhile, or it is another user's
        return False
    try:
        free = try_lock(descriptor)
        here = part.name.removesuffix(_PART).split(".", 2)[-1] == socket.gethostname()
        abandoned = time.time() - os.fstat(descriptor).st_mtime > ABANDONED_S
        return bool(free and here) or (free is not False and abandoned)
    finally:
        os.close(descriptor)
