"""The hot loop never shifts a row, never runs ahead without bound, and stops when nobody listens."""

import hashlib
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw

import headstart.extractors.decoding.prefetch
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.decoding.decode import decode_image
from headstart.extractors.decoding.prefetch import Decoding, run_ahead
from headstart.extractors.extraction.engine import Batch, embed
from headstart.extractors.images.image_set import ImageSource
from headstart.extractors.network.forward import ForwardPass
from headstart.extractors.network.taps import Tap
from headstart.extractors.stages import STAGES, StageTimes

BACKBONE = load_backbone("small_cnn", weights="none")
FORWARD = ForwardPass(BACKBONE, [Tap()], device=torch.device("cpu"), precision="fp32", batch_size=4)


DECODING = Decoding(preprocessing=BACKBONE.preprocessing, workers=2)
OVERLAPPED = replace(DECODING, in_turn=False)


def listed(folder: Path) -> list[tuple[ImageSource, str]]:
    paths = sorted(folder.iterdir())
    return [
        (ImageSource(path.name, None, None, path.stat().st_size), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in paths
    ]


def run(folder: Path, images: list[tuple[ImageSource, str]], decoding: Decoding = DECODING) -> list[Batch]:
    return list(embed(FORWARD, folder, images, decoding, StageTimes()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(10):
        draw(tmp_path / f"{number}.png", number % 3, seed=number)
    return tmp_path


def test_every_row_is_the_embedding_of_its_own_image(folder: Path) -> None:
    images = listed(folder)
    together = run(folder, images)
    assert np.concatenate([batch.rows for batch in together]).tolist() == list(range(10))
    features = np.concatenate([batch.features["penultimate"] for batch in together])
    for row, image in enumerate(images):
        alone = run(folder, [image])[0].features["penultimate"][0]
        assert features[row].tobytes() == alone.tobytes()


def test_it_is_the_same_whether_decoding_takes_turns_or_runs_beside(folder: Path) -> None:
    images = listed(folder)
    in_turn, beside = (run(folder, images, decoding) for decoding in (DECODING, OVERLAPPED))
    assert [batch.rows.tolist() for batch in in_turn] == [batch.rows.tolist() for batch in beside]
    for one, other in zip(in_turn, beside, strict=True):
        np.testing.assert_array_equal(one.features["penultimate"], other.features["penultimate"])


def test_in_turn_nothing_is_decoded_while_a_batch_is_embedded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding: list[int] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        decoding.append(1)
        time.sleep(0.002)
        try:
            return decode_image(*arguments, **options)
        finally:
            decoding.pop()

    monkeypatch.setattr(headstart.extractors.decoding.prefetch, "decode_image", counted)
    seen: list[int] = []
    start = FORWARD.start

    def watched(images: Any) -> Any:
        seen.append(len(decoding))
        time.sleep(0.01)
        seen.append(len(decoding))
        return start(images)

    monkeypatch.setattr(FORWARD, "start", watched)
    run(folder, 20 * listed(folder))  # more than one window
    assert seen == [0] * 100
    run(folder, 20 * listed(folder), OVERLAPPED)
    assert max(seen) > 0  # so it would be seen


def test_the_time_of_every_stage_is_taken(folder: Path) -> None:
    times = StageTimes()
    forward = ForwardPass(BACKBONE, [Tap()], device=torch.device("cpu"), precision="fp32", batch_size=4, times=times)
    list(embed(forward, folder, listed(folder), DECODING, times))
    assert set(times.seconds) == set(STAGES) - {"write"}
    assert min(times.seconds.values()) > 0


def test_unreadable_images_are_reported_in_their_place_and_shift_no_row(folder: Path) -> None:
    whole = np.concatenate([batch.features["penultimate"] for batch in run(folder, listed(folder))])
    (folder / "0.png").write_bytes(b"no image")
    (folder / "5.png").write_bytes((folder / "5.png").read_bytes()[:200])
    (folder / "9.png").write_bytes(b"")
    batches = run(folder, listed(folder))
    rows = np.concatenate([batch.rows for batch in batches])
    assert rows.tolist() == [1, 2, 3, 4, 6, 7, 8]
    np.testing.assert_array_equal(np.concatenate([batch.features["penultimate"] for batch in batches]), whole[rows])
    unreadable = {row: reason for batch in batches for row, reason in batch.unreadable.items()}
    assert sorted(unreadable) == [0, 5, 9]
    assert all(unreadable.values())


def test_a_set_without_a_readable_image_gives_reasons_and_no_features(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"no image")
    (batch,) = run(folder, listed(folder))
    assert len(batch.rows) == 0
    assert len(batch.unreadable) == 10


def test_a_failure_of_the_moment_is_told_apart_from_unreadable_content(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "1.png").write_bytes(b"no image")
    images = listed(folder)
    (folder / "0.png").unlink()
    large = images[5][1]

    def full(data: bytes, preprocessing: Any, **_: Any) -> Any:
        if hashlib.sha256(data).hexdigest() == large:
            raise MemoryError
        return decode_image(data, preprocessing)

    monkeypatch.setattr(headstart.extractors.decoding.prefetch, "decode_image", full)
    batches = run(folder, images)

    assert {row: reason for batch in batches for row, reason in batch.not_read.items()} == {
        0: "no such file",
        5: "not enough memory to decode it; use fewer workers",
    }
    assert [row for batch in batches for row in batch.unreadable] == [1]
    assert np.concatenate([batch.rows for batch in batches]).tolist() == [2, 3, 4, 6, 7, 8, 9]


def test_a_set_that_has_gone_gives_reasons_and_no_features(folder: Path) -> None:
    images = listed(folder)
    for path in folder.iterdir():
        path.unlink()

    (batch,) = run(folder, images)

    assert batch.not_read == dict.fromkeys(range(10), "no such file")
    assert (len(batch.rows), batch.features, batch.unreadable) == (0, {}, {})


def test_a_file_that_changed_after_it_was_listed_is_not_filed_under_its_old_digest(folder: Path) -> None:
    images = listed(folder)
    draw(folder / "3.png", 2, seed=77)
    changed = (folder / "3.png").stat().st_size
    images[3] = (images[3][0]._replace(bytes=changed), images[3][1])
    not_read = {row: reason for batch in run(folder, images) for row, reason in batch.not_read.items()}
    assert not_read == {3: "the file changed after it was listed; run the same command again"}


@pytest.mark.parametrize("decoding", [DECODING, OVERLAPPED], ids=["in turn", "beside"])
def test_decoding_runs_ahead_by_no_more_than_it_may(folder: Path, decoding: Decoding) -> None:
    taken = 0

    def counting() -> Any:
        nonlocal taken
        for image in listed(folder):
            taken += 1
            yield image

    decoded = run_ahead(folder, counting(), len, decoding, 3, StageTimes())
    next(decoded)
    assert taken == 6  # one handed over, two being decoded, and the files of three being read
    decoded.close()


def test_large_files_are_read_ahead_by_bytes_and_not_by_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headstart.extractors.decoding.prefetch, "_READ_AHEAD_BYTES", 1)  # one file is always read
    images = iter(listed(folder))
    decoded = run_ahead(folder, images, len, DECODING, 4, StageTimes())
    next(decoded)
    assert len(list(images)) == 8  # one handed over, and one more that was begun when it was
    decoded.close()


def test_an_abandoned_loop_leaves_no_thread_behind(folder: Path) -> None:
    decoded = run_ahead(folder, listed(folder), len, DECODING, 4, StageTimes())
    next(decoded)
    decoded.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("decode", "read"))]


def test_a_programming_error_in_decoding_is_not_taken_for_a_bad_image(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **_options: Any) -> None:
        raise TypeError("a defect")

    monkeypatch.setattr(headstart.extractors.decoding.prefetch, "decode_image", broken)
    with pytest.raises(TypeError, match="a defect"):
        run(folder, listed(folder))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("decode", ["draft", "nvjpeg"])
def test_on_a_gpu_every_row_is_the_embedding_of_its_own_image(folder: Path, decode: Any) -> None:
    # Ten images in batches of four: while one is fetched from pinned memory, the next is under way.
    forward = ForwardPass(BACKBONE, [Tap()], device=torch.device("cuda"), precision="fp32", batch_size=4)
    batches = list(embed(forward, folder, listed(folder), replace(OVERLAPPED, decode=decode), StageTimes()))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    on_gpu, on_cpu = (
        np.concatenate([batch.features["penultimate"] for batch in some])
        for some in (batches, run(folder, listed(folder)))
    )
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-3, atol=1e-3 * np.abs(on_cpu).max())
