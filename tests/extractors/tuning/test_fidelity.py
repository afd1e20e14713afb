"""Fidelity is computed as it is defined, and what was measured is kept."""

from pathlib import Path

import numpy as np
import pytest

from headstart.extractors.tuning.fidelity import Fidelity, FidelityRecord, compare_features

EXACT = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]], np.float32)
REDUCED = np.array([[3.0, 4.0], [1.0, 1.0], [0.0, 0.0]], np.float32)


def test_fidelity_is_the_lowest_cosine_and_the_largest_relative_error_of_each_tap() -> None:
    found = compare_features({"near": EXACT, "far": EXACT}, {"near": EXACT, "far": REDUCED})
    assert found.taps["near"] == {"cosine": pytest.approx(1.0), "relative_error": 0.0}
    assert found.taps["far"] == {"cosine": pytest.approx(1 / np.sqrt(2)), "relative_error": pytest.approx(1.0)}
    assert found.cosine == found.taps["far"]["cosine"]
    assert found.relative_error == found.taps["far"]["relative_error"]
    assert found.n_images == 3


@pytest.mark.parametrize(("cosine", "accepted"), [(1.0, True), (0.999, True), (0.9989, False), (float("nan"), False)])
def test_a_shortcut_is_accepted_from_a_cosine_of_999_thousandths(cosine: float, accepted: bool) -> None:
    assert Fidelity({"tap": {"cosine": cosine, "relative_error": 0.0}}, 8).accepted is accepted


def test_a_shortcut_that_changes_no_image_is_accepted() -> None:
    assert Fidelity({}, 0).accepted


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = FidelityRecord(decoding=Fidelity({}, 0), features=compare_features({"tap": EXACT}, {"tap": REDUCED}))
    record.write(tmp_path / "new folder")
    assert FidelityRecord.read(tmp_path / "new folder") == record


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"cosine": 0.9, "relative_error": 0.1, "n_images": 8}'])
def test_a_record_that_is_missing_damaged_or_of_another_version_is_empty(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "fidelity.json").write_bytes(content)
    assert FidelityRecord.read(tmp_path) == FidelityRecord()


def test_what_another_run_has_measured_first_decides_for_both(tmp_path: Path) -> None:
    good, bad = (Fidelity({"penultimate": {"cosine": cosine, "relative_error": 0.0}}, 8) for cosine in (1.0, 0.5))
    nothing = Fidelity({}, 0)
    assert FidelityRecord(decoding=nothing).kept(tmp_path / "key").decoding == nothing
    assert FidelityRecord(decoding=bad).kept(tmp_path / "key").decoding == bad  # nothing was shown before
    second = FidelityRecord(decoding=good, bf16=good).kept(tmp_path / "key")
    assert second == FidelityRecord(decoding=bad, bf16=good) == FidelityRecord.read(tmp_path / "key")
