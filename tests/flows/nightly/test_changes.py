"""What a night tells of the images: compared with the last completed night, by path and content."""

from pathlib import Path

import pandas as pd
import pytest
from support.synthetic_runs import run_of

from headstart.extractors.errors import CacheError
from headstart.flows.nightly.changes import NightChanges, compare_listings, unseen_digests
from headstart.flows.nightly.inputs import FitInputs
from headstart.flows.nightly.record import RECORD_FILE, NightRecord


def listed(**images: str | None) -> pd.DataFrame:
    """Images by name with their content; of one that cannot be read, ``!`` before it, or None."""
    rows = [
        {"path": path, "digest": content and content.strip("!"), "bad": not content or "!" in content}
        for path, content in images.items()
    ]
    frame = pd.DataFrame(rows, columns=["path", "digest", "bad"])
    quarantined = frame.pop("bad").astype(bool)
    frame["status"] = quarantined.map({True: "quarantined", False: "ok"})
    frame["reason"] = quarantined.map({True: "cut short", False: ""})
    return frame.astype(object).where(frame.notna(), None)


BEFORE = listed(a="1", b="2", c="3", broken="!4", unread=None)


@pytest.mark.parametrize(
    ("now", "new", "changed", "gone", "quarantined", "unseen"),
    [
        (BEFORE, 0, 0, 0, 0, 0),
        (pd.concat([BEFORE, listed(d="5")]), 1, 0, 0, 0, 1),
        (pd.concat([BEFORE, listed(d="1")]), 1, 0, 0, 0, 0),
        (listed(a="9", b="2", c="3", broken="!4", unread=None), 0, 1, 0, 0, 1),
        (listed(a="2", b="1", c="3", broken="!4", unread=None), 0, 2, 0, 0, 0),
        (listed(b="2", moved="1", c="3", broken="!4", unread=None), 1, 0, 1, 0, 0),
        (listed(a="1", b="2", broken="!4", unread=None), 0, 0, 1, 0, 0),
        (listed(a="!1", b="2", c="3", broken="!4", unread=None), 0, 0, 0, 1, 0),
        (listed(a=None, b="2", c="3", broken="!4", unread=None), 0, 0, 0, 1, 0),
        (listed(a="1", b="2", c="3", broken="4", unread="6"), 0, 2, 0, 0, 2),
        (pd.concat([BEFORE, listed(d="!5", e=None)]), 0, 0, 0, 2, 0),
        (listed(), 0, 0, 5, 0, 0),
    ],
    ids=[
        "nothing",
        "a new image",
        "a copy",
        "other content",
        "two that changed places",
        "a moved file",
        "gone",
        "damaged",
        "not readable tonight",
        "readable again",
        "new and damaged",
        "all gone",
    ],
)
def test_every_kind_of_change_is_counted_once(
    now: pd.DataFrame, new: int, changed: int, gone: int, quarantined: int, unseen: int
) -> None:
    found = compare_listings(BEFORE, now)
    assert (found.new, found.changed, found.gone, found.quarantined, found.unseen) == (
        new,
        changed,
        gone,
        quarantined,
        unseen,
    )
    assert found.any == any((new, changed, gone, quarantined))


def test_on_the_first_night_every_image_is_new() -> None:
    found = compare_listings(None, BEFORE)
    assert (found.new, found.changed, found.gone, found.quarantined) == (3, 0, 0, 2)
    assert unseen_digests(None, BEFORE) == ["1", "2", "3"]


def test_the_first_of_each_kind_are_named_and_of_quarantined_images_the_reason() -> None:
    now = pd.concat([BEFORE, listed(**{f"new{number}": f"n{number}" for number in range(8)}), listed(d="!x")])
    assert compare_listings(BEFORE, now).examples == {
        "new": ["new0", "new1", "new2", "new3", "new4"],
        "changed": [],
        "gone": [],
        "quarantined": ["d: cut short"],
    }


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    record = NightRecord(
        BEFORE,
        {"fit": FitInputs(images="ab", embeddings=["k"], settings={"folds": 3}, versions={"numpy": "2"})},
        {"fit": run_of(3, accuracy=0.75)},
    )
    record.write(tmp_path / "out")
    again = NightRecord.read(tmp_path / "out")
    assert again is not None
    assert (again.inputs, again.runs) == (record.inputs, record.runs)
    unchanged = NightChanges(0, 0, 0, 0, 0, {"new": [], "changed": [], "gone": [], "quarantined": []})
    assert compare_listings(again.seen, BEFORE) == unchanged


def test_a_folder_without_a_completed_night_has_no_record(tmp_path: Path) -> None:
    assert NightRecord.read(tmp_path) is None


@pytest.mark.parametrize("keep", [0, 200, -60])
def test_a_damaged_record_says_what_to_do(tmp_path: Path, keep: int) -> None:
    NightRecord(BEFORE).write(tmp_path)
    path = tmp_path / RECORD_FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CacheError, match=r"night\.parquet: cannot be read .* delete it"):
        NightRecord.read(tmp_path)


def test_a_record_of_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.flows.nightly.record.FORMAT_VERSION", 99)
    NightRecord(BEFORE).write(tmp_path)
    monkeypatch.undo()
    with pytest.raises(CacheError, match="format 99, expected 1"):
        NightRecord.read(tmp_path)
