"""Shortcuts that change numbers are taken where the first images show that they may be, and the key says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw
from PIL import Image

import headstart.extractors.decoding.prefetch
import headstart.extractors.tuning.shortcuts
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import UnreadableImage
from headstart.extractors.extraction.extraction import Extraction
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.update import update_listing
from headstart.extractors.network.device import DeviceError
from headstart.extractors.spec.key import EmbeddingKey
from headstart.extractors.spec.settings import Settings
from headstart.extractors.spec.tap import Tap
from headstart.extractors.tuning.first_images import FirstImages
from headstart.extractors.tuning.shortcuts import settle_key

FULL_FP32 = {"device": "cpu", "precision": "fp32", "decode": "full"}


@pytest.fixture
def fast_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headstart.extractors.tuning.shortcuts, "has_fast_bf16", lambda _: True)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Photographs of which the largest are decoded at 1/2."""
    for number in range(6):
        picture = draw(tmp_path / "drawn" / f"{number}.png", number % 3, seed=number, size=(200, 160))
        folder = tmp_path / "large"
        folder.mkdir(exist_ok=True)
        Image.open(picture).convert("RGB").save(folder / f"{number}.jpg", quality=95)
    return tmp_path / "large"


def settle(cache: EmbeddingCache, images: Path, **settings: Any) -> Any:
    listing = update_listing(cache, list_images(images), workers=1)
    backbone = load_backbone("small_cnn", weights="none")
    first = FirstImages(backbone, [Tap()], listing, torch.device("cpu"), 1)
    plain = EmbeddingKey(
        backbone=backbone.name, weights=backbone.weights, taps=("penultimate",), preprocessing=backbone.preprocessing
    )
    return settle_key(plain, Settings(**(FULL_FP32 | settings)), first, lambda key: cache.store(key).path)


def test_without_shortcuts_nothing_is_compared(cache: EmbeddingCache, large: Path) -> None:
    key, record, reasons = settle(cache, large)
    assert (key.precision, key.decode) == ("fp32", "full")
    assert (record.decoding, record.bf16, reasons) == (None, None, [])
    assert not (cache.path / "embeddings").exists()


def test_auto_takes_both_where_they_are_near_enough(
    cache: EmbeddingCache, large: Path, fast_bf16: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.extractors.tuning.fidelity.LOWEST_COSINE", 0.9)
    key, record, reasons = settle(cache, large, precision="auto", decode="auto")
    assert (key.precision, key.decode, reasons) == ("bf16", "draft", [])
    assert record.decoding.n_images == 6
    assert 0.9 < record.decoding.cosine < 1
    assert record.bf16.n_images == 6
    assert record.bf16.relative_error > record.decoding.relative_error  # bf16 comes on top


def test_auto_takes_none_where_they_are_too_far_off_and_remembers_it(
    cache: EmbeddingCache, large: Path, fast_bf16: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.extractors.tuning.fidelity.LOWEST_COSINE", 1.0)
    key, record, reasons = settle(cache, large, precision="auto", decode="auto")
    assert (key.precision, key.decode) == ("fp32", "full")
    assert [reason.partition(", the cosine to plain float32 falls to ")[0] for reason in reasons] == [
        "JPEGs are decoded in full: drafted",
        "computed in float32: in bfloat16",
    ]

    def fails(*_: Any, **_options: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(FirstImages, "compare", fails)
    monkeypatch.setattr(FirstImages, "compare_decoding", fails)
    assert settle(cache, large, precision="auto", decode="auto") == (key, record, reasons)


def test_images_that_drafts_do_not_change_are_not_decoded_to_find_that_out(
    cache: EmbeddingCache, photos: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = large / "small.jpg"
    Image.open(large / "0.jpg").resize((60, 48)).save(small, quality=100)
    decoded: list[int] = []
    original = FirstImages._decode
    monkeypatch.setattr(FirstImages, "_decode", lambda *given: (decoded.extend(given[1]), original(*given))[1])
    first = [path for path in large.iterdir() if path != small]
    for path in first:
        path.unlink()
    _, record, _ = settle(cache, large, decode="auto")
    assert (record.decoding.n_images, decoded) == (0, [0])  # the one is decoded to see whether it can be read


def test_drafts_that_are_refused_have_no_part_in_the_judgement_of_bf16(
    cache: EmbeddingCache, large: Path, fast_bf16: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    original = FirstImages.compare

    def watched(first: FirstImages, forward: Any, decode: Any) -> Any:
        decoded.append(decode)
        return original(first, forward, decode)

    monkeypatch.setattr(FirstImages, "compare", watched)
    monkeypatch.setattr("headstart.extractors.tuning.fidelity.LOWEST_COSINE", 1.0)
    settle(cache, large, precision="auto", decode="auto")
    assert decoded == ["full"]


@pytest.mark.parametrize(("precision", "decode"), [("bf16", "draft"), ("bf16", "full"), ("fp32", "draft")])
def test_what_is_asked_for_is_taken_without_comparing(
    cache: EmbeddingCache, large: Path, monkeypatch: pytest.MonkeyPatch, precision: str, decode: str
) -> None:
    monkeypatch.setattr("headstart.extractors.tuning.fidelity.LOWEST_COSINE", 2.0)
    key, *_ = settle(cache, large, precision=precision, decode=decode)
    assert (key.precision, key.decode) == (precision, decode)


def test_auto_is_fp32_where_bf16_is_not_fast(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headstart.extractors.tuning.shortcuts, "has_fast_bf16", lambda _: False)
    key, record, _ = settle(cache, photos, precision="auto")
    assert key.precision == "fp32"
    assert record.bf16 is None


def test_where_no_file_is_large_drafting_changes_nothing_and_is_taken(cache: EmbeddingCache, photos: Path) -> None:
    key, record, _ = settle(cache, photos, decode="auto")
    assert key.decode == "draft"
    assert record.decoding.n_images == 0


def test_drafts_are_compared_on_the_largest_files(cache: EmbeddingCache, large: Path) -> None:
    for number in range(40):
        draw(large / f"0{number}.png", 0, seed=number)
    _, record, _ = settle(cache, large, decode="auto")
    assert record.decoding.n_images == 6


def test_drafted_rows_have_another_key_and_other_features(cache: EmbeddingCache, large: Path) -> None:
    full, drafted = (settle(cache, large, decode=decode).key for decode in ("full", "draft"))
    assert full.id != drafted.id
    assert full.differences(drafted) == "decode: full here, draft there"
    listing = update_listing(cache, list_images(large), workers=1)
    first = FirstImages(load_backbone("small_cnn", weights="none"), [Tap()], listing, torch.device("cpu"), 1)
    assert not np.array_equal(first.whole, first.decoded("draft"))


def test_unreadable_images_at_the_head_of_the_listing_change_nothing(
    cache: EmbeddingCache, large: Path, fast_bf16: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.extractors.tuning.fidelity.LOWEST_COSINE", 0.9)
    for number in range(40):
        (large / f" {number:02d}.jpg").write_bytes(b"no image %d" % number)
    key, record, _ = settle(cache, large, precision="auto", decode="auto")
    assert (key.precision, key.decode, record.bf16.n_images) == ("bf16", "draft", 6)


def test_large_photographs_that_come_later_are_compared_when_they_come(
    cache: EmbeddingCache, photos: Path, large: Path
) -> None:
    _, before, _ = settle(cache, photos, decode="auto")
    _, after, _ = settle(cache, large, decode="auto")
    assert (before.decoding.n_images, after.decoding.n_images) == (0, 6)


def test_where_rows_were_drafted_already_it_is_too_late_to_refuse_and_that_is_said(
    cache: EmbeddingCache, photos: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = settle(cache, photos, decode="auto").key
    (cache.store(key).path / "shard-of-them.h5").touch()
    monkeypatch.setattr("headstart.extractors.tuning.fidelity.LOWEST_COSINE", 1.0)
    again = settle(cache, large, decode="auto")
    assert again.key == key
    assert "--decode full embeds all anew" in again.reasons[0]


def test_a_run_whose_own_first_images_are_too_far_off_says_so(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.extractors.tuning.fidelity.LOWEST_COSINE", 1.0)
    listing = update_listing(cache, list_images(photos), workers=1)
    settings = Settings(device="cpu", precision="bf16", decode="full", workers=1)
    backbone = load_backbone("small_cnn", weights="none")
    extraction = Extraction(cache, listing, backbone, [Tap()], settings, weights_source="none")
    assert extraction.reasons == []
    list(extraction.run())
    (reason,) = extraction.reasons
    assert reason.startswith("on the first images of this run, the cosine to plain float32 is ")
    assert reason.endswith("--precision fp32 --decode full embeds all anew")


def test_decoding_on_a_gpu_needs_one(cache: EmbeddingCache, photos: Path) -> None:
    with pytest.raises(DeviceError, match="nvjpeg decodes on a CUDA device, and this runs on cpu; use --decode auto"):
        settle(cache, photos, decode="nvjpeg")


def test_an_image_that_only_one_way_can_read_shifts_no_other(
    cache: EmbeddingCache, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = update_listing(cache, list_images(large), workers=1)
    first = FirstImages(load_backbone("small_cnn", weights="none"), [Tap()], listing, torch.device("cpu"), 1)
    expected = first.decoded("draft").copy()
    original = headstart.extractors.decoding.prefetch.decode_image
    broken = (large / "2.jpg").read_bytes()

    def fails(data: bytes, *rest: Any, draft: bool, **more: Any) -> Any:
        if draft and data == broken:
            raise UnreadableImage("only in full")
        return original(data, *rest, draft=draft, **more)

    monkeypatch.setattr(headstart.extractors.decoding.prefetch, "decode_image", fails)
    again = FirstImages(first.backbone, first.taps, listing, first.device, 1)
    expected[2] = again.whole[2]
    np.testing.assert_array_equal(again.decoded("draft"), expected)
