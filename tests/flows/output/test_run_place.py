"""Folders of runs: the one before or the new one is whole, whatever happens and whoever else writes."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from support.kills import killed_at

from headstart.extractors.errors import CacheError
from headstart.flows.errors import JobError
from headstart.flows.output.latest import as_latest
from headstart.flows.output.run_place import LOCK, RunPlace, refuse_foreign, refuse_name, run_folder

OLD = "20250101-000000-00aa"
FILES = ("run.json", "report.html", "leaderboard.csv", "model/model.json", "model/head.skops")


def fill(folder: Path, run: str, files: tuple[str, ...] = FILES) -> None:
    for name in files:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"id": run}))


def write(results: Path, files: tuple[str, ...] = FILES, name: str | None = None) -> RunPlace:
    with run_folder(results) as place:
        fill(place.part, place.id, files)
        place.finish(name=name)
    return place


def found(folder: Path, files: tuple[str, ...] = FILES) -> set[str]:
    """Return the runs that the files of a folder are of."""
    return {json.loads((folder / name).read_text())["id"] for name in files}


def test_a_run_has_a_folder_of_its_own_and_the_latest_is_found_under_the_same_names(tmp_path: Path) -> None:
    first, second = write(tmp_path / "r"), write(tmp_path / "r")
    assert found(first.folder) == {first.id}
    assert found(second.folder) == {second.id} == found(tmp_path / "r" / "latest") == found(tmp_path / "r")


def of_now(results: Path) -> str:
    return write(results).id


def of_before(results: Path) -> str:
    """Results as an earlier version wrote them."""
    results.mkdir()
    fill(results, OLD)
    return OLD


def copied_without_links(results: Path) -> str:
    run = write(results.with_name("copied")).id
    shutil.copytree(results.with_name("copied"), results)
    assert not (results / "latest").is_symlink()
    return run


def copied_with_links(results: Path) -> str:
    run = write(results.with_name("copied")).id
    shutil.copytree(results.with_name("copied"), results, symlinks=True)
    shutil.rmtree(results.with_name("copied"))
    return run


STATES = (of_now, of_before, copied_without_links, copied_with_links)


@pytest.mark.parametrize("earlier", STATES)
def test_a_kill_between_any_two_steps_leaves_the_run_before_or_this_one_whole(
    tmp_path: Path, earlier: Callable[[Path], str]
) -> None:
    last, seen, came = 0, set(), True
    while came:
        last += 1
        results = tmp_path / str(last) / "r"
        results.parent.mkdir()
        before = earlier(results)
        with killed_at(results, last) as steps:
            write(results)
        came = steps.taken >= last
        (run,) = found(results)  # under the names that everybody knows, all of one run
        seen.add(run == before)
        assert any(
            found(folder) == {before} for folder in (results, results / before) if (folder / "run.json").exists()
        )
        after = write(results)
        assert found(results) == found(results / "latest") == {after.id}
        assert found(results / before) == {before}
        assert [path.name for path in results.iterdir() if path.name.endswith(".part")] == []
    assert seen == {True, False}
    assert last > 5


def test_two_runs_at_once_end_whole_each_in_its_own_folder(tmp_path: Path) -> None:
    with run_folder(tmp_path / "r") as one, run_folder(tmp_path / "r") as other:
        fill(one.part, one.id)
        fill(other.part, other.id)
        one.finish(leftover="unfinished")
        (tmp_path / "r" / "unfinished").touch()
        other.finish()
    for place in (one, other):
        assert found(place.folder) == {place.id}
    assert found(tmp_path / "r") == {other.id}


def test_what_another_run_at_work_needs_is_left_to_it(tmp_path: Path) -> None:
    with run_folder(tmp_path / "r") as one, run_folder(tmp_path / "r") as other:
        (tmp_path / "r" / "unfinished").touch()
        one.finish(leftover="unfinished")
        assert (tmp_path / "r" / "unfinished").exists()
        other.finish(leftover="unfinished")
        assert not (tmp_path / "r" / "unfinished").exists()


def test_a_run_that_fails_leaves_nothing_and_the_one_before_is_the_latest(tmp_path: Path) -> None:
    before = write(tmp_path / "r")
    parts = []

    def fail() -> None:
        with run_folder(tmp_path / "r") as place:
            fill(place.part, place.id)
            parts.append(place.part)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert found(tmp_path / "r") == {before.id}
    assert [part.exists() for part in parts] == [False]


def test_of_another_host_only_what_is_a_week_old_is_cleared_away(tmp_path: Path) -> None:
    write(tmp_path / "r")
    names = {name: tmp_path / "r" / f".{OLD}.{name}.part" for name in ("elsewhere", "ages", socket.gethostname())}
    for part in names.values():
        part.mkdir()
    os.utime(names["ages"], (0, 0))
    write(tmp_path / "r")
    assert [name for name, part in names.items() if part.exists()] == ["elsewhere"]


def test_names_lead_to_nothing_that_the_latest_run_has_not(tmp_path: Path) -> None:
    of_before(tmp_path / "r")
    (tmp_path / "r" / "suspects.csv").write_text("{}")
    place = write(tmp_path / "r")
    assert not (tmp_path / "r" / "suspects.csv").is_symlink()
    assert (tmp_path / "r" / OLD / "suspects.csv").is_file()
    assert found(tmp_path / "r") == {place.id}


def test_a_file_of_a_persons_own_is_no_runs_and_stays(tmp_path: Path) -> None:
    write(tmp_path / "r")
    mine = tmp_path / "r" / "predictions.csv"
    mine.write_text("mine")
    with run_folder(tmp_path / "r") as place:
        fill(place.part, place.id, (*FILES, "predictions.csv"))
        notes = place.finish()
    assert mine.read_text() == "mine"
    assert any(f"{mine} is a file of yours and stays" in note for note in notes)
    assert (place.folder / "predictions.csv").exists()


def test_what_takes_whose_place_is_said(tmp_path: Path) -> None:
    first = write(tmp_path / "r", name="base")
    with run_folder(tmp_path / "r") as second:
        fill(second.part, second.id)
        notes = second.finish(name="base")
    assert notes == [
        f"the latest in {tmp_path / 'r'} was run {first.id}: it stays in {first.folder}",
        f"{tmp_path / 'r' / 'base'} was run {first.id} and is now run {second.id}",
    ]
    assert found(tmp_path / "r" / "base") == {second.id}


@pytest.mark.parametrize("name", ["../up", "", "latest", "report.html", "own"])
def test_a_name_that_stands_for_something_else_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / "own").mkdir()
    with pytest.raises(JobError, match="--name"):
        refuse_name(tmp_path, name, ["latest"])


def test_a_path_is_short_as_long_as_its_run_is_the_latest(tmp_path: Path) -> None:
    first = write(tmp_path / "r")
    assert as_latest(first.folder / "report.html") == tmp_path / "r" / "report.html"
    write(tmp_path / "r")
    assert as_latest(first.folder / "report.html") == first.folder / "report.html"


def test_a_folder_that_is_gone_is_no_hindrance(tmp_path: Path) -> None:
    first = write(tmp_path / "r")
    shutil.rmtree(first.folder)
    with run_folder(tmp_path / "r") as place:
        fill(place.part, place.id)
        assert place.finish() == [f"the latest in {tmp_path / 'r'} was run {first.id}: its folder is gone"]
    assert found(tmp_path / "r") == {place.id}


def test_a_full_disk_at_any_step_is_one_line_and_the_run_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write(tmp_path / "r")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for call in ("mkdir", "symlink", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(CacheError, match=r"r: the disk is full; .*free some space"):
                write(tmp_path / "r")
        assert found(tmp_path / "r") == {before.id}
        assert [path.name for path in (tmp_path / "r").iterdir() if path.name.startswith(".")] == []


def test_a_run_that_begins_while_another_looks_at_the_folder_is_no_foreign_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, look = tmp_path / "r", Path.exists
    results.mkdir()

    def looked_at(path: Path, **options: bool) -> bool:
        found = look(path, **options)
        (results / LOCK).touch()
        return found

    monkeypatch.setattr(Path, "exists", looked_at)
    refuse_foreign(results)
    monkeypatch.setattr(Path, "exists", look)
    (results / LOCK).rename(results / "photo.jpg")
    with pytest.raises(JobError, match="holds other files than results"):
        refuse_foreign(results)
