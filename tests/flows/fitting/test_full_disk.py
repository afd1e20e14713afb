"""A full or failing disk, wherever it fails: one line that says what to do, and the results of before are whole."""

import errno
import os
import re
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.array_cache import cache_of

from headstart.extractors.errors import CacheError
from headstart.flows.exploring.clustering import cluster
from headstart.flows.fitting.job import fit
from headstart.flows.fitting.several import fit_targets
from headstart.flows.upkeep.exporting import export

FAULTS = {errno.ENOSPC: "the disk is full; .*free some space", errno.EIO: "Input/output error; .*run the same command"}
ADVICE = "|".join(FAULTS.values())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    y = np.arange(60) % 2
    features = generator.normal(size=(60, 6)) + 4 * y[:, None]
    y[:3] = 1 - y[:3]  # labels that look wrong
    return cache_of(tmp_path_factory.mktemp("full"), features, np.array(["cat", "dog"])[y])


@contextmanager
def failing_at(number: int, fault: int) -> Iterator[Callable[[], int]]:
    """Fail when so many files have been flushed, the first moment when a disk must have room for them; 0 never does.

    Yields a function that says how many were.
    """
    done, sync = 0, os.fsync

    def fsync(descriptor: int) -> None:
        nonlocal done
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # names in folders are another test's
            done += 1
            if done == number:
                raise OSError(fault, os.strerror(fault))
        sync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        yield lambda: done


def files_of(folder: Path) -> dict[str, bytes]:
    """Return what a person finds: the files under their names, without what only fits among themselves need."""
    own = ("results.lock", "unfinished-sweep.jsonl")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in own
    }


def one_fit(cache: Path, out: Path) -> Any:
    return fit(cache, "centroid", folds=2, out=out, workers=1)


def several_fits(cache: Path, out: Path) -> Any:
    return fit_targets(cache, ["dummy"], folds=2, out=out, workers=1)


def clusters(cache: Path, out: Path) -> Any:
    return cluster(cache, k=(2,), out=out)


def attempted(job: Callable[[Path, Path], Any], cache: Path, out: Path) -> tuple[list[str], str | None]:
    """Return the notes of a job, or its error."""
    try:
        found = job(cache, out)
    except CacheError as error:
        return [], str(error)
    return [*found.notes, *(note for fitted in getattr(found, "fits", {}).values() for note in fitted.notes)], None


@pytest.mark.parametrize("job", [one_fit, several_fits, clusters])
def test_a_disk_that_fails_at_any_file_is_one_line_and_the_results_of_before_are_whole(
    cache: Path, tmp_path: Path, job: Callable[[Path, Path], Any]
) -> None:
    job(cache, tmp_path / "r")
    before = files_of(tmp_path / "r")
    with failing_at(0, 0) as flushed:
        job(cache, tmp_path / "whole")
    failed = 0
    for number in range(1, flushed() + 1):
        with failing_at(number, list(FAULTS)[number % 2]):
            found, error = attempted(job, cache, tmp_path / "r")
        if error is None:  # its files are all there; only the history of the cache could not be written
            assert any("run the same command again" in note for note in found)
            before = files_of(tmp_path / "r")
            continue
        assert re.search(ADVICE, error)
        assert "\n" not in error
        assert files_of(tmp_path / "r") == before
        failed += 1
    assert failed


@pytest.mark.parametrize("kind", [".h5", ".npy", ".parquet"])
def test_a_disk_that_fails_while_an_export_is_written_leaves_the_export_of_before(
    cache: Path, tmp_path: Path, kind: str
) -> None:
    to = tmp_path / f"x{kind}"
    export(cache, to)
    before = files_of(tmp_path)
    with failing_at(1, errno.ENOSPC), pytest.raises(CacheError, match=FAULTS[errno.ENOSPC]):
        export(cache, to, overwrite=True)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("n_bytes", [0, 2_000, 9_000])
@pytest.mark.parametrize("kind", [".h5", ".npy", ".parquet"])
def test_an_export_that_cannot_grow_is_one_line_and_leaves_nothing(
    cache: Path, tmp_path: Path, kind: str, n_bytes: int
) -> None:
    """The system's limit on the size of a file stands for a small disk: HDF5 and Arrow meet it where they write."""
    to = tmp_path / f"x{kind}"
    export(cache, to)
    size = to.stat().st_size
    to.unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(n_bytes, size - 1), hard))
    try:
        with pytest.raises(CacheError, match=rf"x\{kind}: .*run the same command again"):
            export(cache, to, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not to.exists()
    assert list(tmp_path.glob("*.part")) == []
