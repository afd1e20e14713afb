"""The job `extract`: what it reports is what happened."""

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw
from support.cache_contract import check_cache
from support.small_extraction import opened, run

import headstart.extractors.decoding.prefetch
import headstart.flows.extraction.job
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError, ExtractorError, ImageSetError, NotReadError
from headstart.extractors.extraction.key_description import KeyDescription
from headstart.extractors.listing.cache_listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.extraction.choices import default_cache, pair_weights
from headstart.flows.extraction.job import extract
from headstart.flows.extraction.summary import describe_run

Embed = Callable[..., Any]


def test_the_first_run_embeds_all_the_second_nothing_and_three_new_images_three(embed: Embed, photos: Path) -> None:
    first = embed()
    assert (first.images, first.embedded, first.reused, first.quarantined) == (36, 36, 0, 0)
    second = embed()
    assert (second.images, second.embedded, second.reused, second.quarantined) == (36, 0, 36, 0)
    for number in range(3):
        draw(photos / "cat" / f"new{number}.png", 0, seed=700 + number)
    third = embed()
    assert (third.images, third.embedded, third.reused, third.quarantined) == (39, 3, 36, 0)
    check_cache(EmbeddingCache(first.cache))


def test_a_key_says_what_was_used(embed: Embed) -> None:
    (key,) = embed(tap=["penultimate", "features.2:avg"]).keys
    assert key.backbone == "headstart/small_cnn"
    assert key.weights == "none (random, seed 0)"
    assert key.taps == ["features.2:avg", "penultimate"]
    assert (key.precision, key.dtype, key.embedded, key.reused) == ("fp32", "float32", 36, 0)


def test_to_describe_a_run_changes_nothing_of_it(photos: Path, tmp_path: Path) -> None:
    extraction = opened(EmbeddingCache(tmp_path / "cache", create=True), photos)
    embedded = run(extraction)
    before, key = dict(extraction.times.seconds), KeyDescription.of(extraction)
    noted = [describe_run(key, extraction, extraction.listing, embedded, opening=1000.0, seconds=9.0) for _ in range(2)]
    assert extraction.times.seconds == before
    assert noted[0] == noted[1]
    assert noted[0].stages["set up"] == round(1000.0 + before["set up"], 3)


def test_several_backbones_fill_several_keys_of_one_cache(embed: Embed) -> None:
    summary = embed(backbone=["small_cnn", "pixels"], weights=["none", "default"])
    assert [key.backbone for key in summary.keys] == ["headstart/small_cnn", "headstart/pixels"]
    assert summary.embedded == 72
    assert len(EmbeddingCache(summary.cache).stores()) == 2


def test_another_weights_file_never_reuses_rows(embed: Embed, tmp_path: Path) -> None:
    from headstart.extractors.backbones.registry import load_backbone
    from headstart.extractors.pretraining.supervised import save_encoder

    file = tmp_path / "encoder.safetensors"
    save_encoder(load_backbone("small_cnn", weights="none", seed=1).module, file)
    assert embed(weights=str(file)).embedded == 36
    save_encoder(load_backbone("small_cnn", weights="none", seed=2).module, file)
    second = embed(weights=str(file))
    assert second.embedded == 36
    assert len(EmbeddingCache(second.cache).stores()) == 2


def test_unreadable_images_are_quarantined_with_their_reason_and_nothing_else_is_lost(
    embed: Embed, photos: Path
) -> None:
    (photos / "cat" / "00.png").write_bytes(b"")
    (photos / "cat" / "01.png").write_bytes(b"this is text")
    cut = photos / "dog" / "00.png"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    parts = [b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0), b"IDAT", b"IEND"]
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts]
    (photos / "owl" / "00.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    summary = embed()
    assert (summary.images, summary.embedded, summary.quarantined) == (36, 32, 4)
    reasons = read_listing(EmbeddingCache(summary.cache)).quarantined.set_index("path")["reason"].to_dict()
    assert reasons["cat/00.png"] == "empty file (0 bytes)"
    assert sorted(reasons) == ["cat/00.png", "cat/01.png", "dog/00.png", "owl/00.png"]
    assert "50000 × 50000 pixels" in reasons["owl/00.png"]
    again = embed()
    assert (again.embedded, again.reused, again.quarantined) == (0, 32, 4)
    check_cache(EmbeddingCache(summary.cache))


def test_an_image_that_is_repaired_leaves_the_quarantine(embed: Embed, photos: Path) -> None:
    (photos / "cat" / "00.png").write_bytes(b"this is text")
    assert embed().quarantined == 1
    draw(photos / "cat" / "00.png", 0, seed=600)
    again = embed()
    assert (again.embedded, again.quarantined) == (1, 0)


def test_a_set_without_one_readable_image_is_an_error_with_the_first_reason(embed: Embed, photos: Path) -> None:
    for path in photos.rglob("*.png"):
        path.write_bytes(b"this is text")
    with pytest.raises(
        ImageSetError, match=r"none of 36 images could be read \(first: cat/00\.png: .*see 'headstart inspect"
    ):
        embed()


def test_a_limit_takes_images_of_every_class(embed: Embed) -> None:
    summary = embed(limit=6)
    assert summary.images == 6
    assert read_listing(EmbeddingCache(summary.cache)).rows["label"].value_counts().to_dict() == {
        "cat": 2,
        "dog": 2,
        "owl": 2,
    }


def test_files_that_are_no_images_are_counted_in_a_note(embed: Embed, photos: Path) -> None:
    (photos / "cat" / "notes.txt").touch()
    assert embed().notes == ["passed over 1 files that are no images (.txt 1)"]


def test_another_image_set_in_the_same_cache_replaces_the_listing_and_says_so(
    embed: Embed, photos: Path, tmp_path: Path
) -> None:
    embed()
    moved = shutil.move(photos, tmp_path / "moved")
    summary = embed(images=moved)
    assert summary.embedded == 0
    assert summary.notes == [f"the cache listed {photos} before; its embeddings are kept, its listing is replaced"]


@pytest.mark.parametrize(
    ("images", "cache"),
    [
        ("data/birds", "birds.headstart"),
        ("data/birds/", "birds.headstart"),
        ("birds.csv", "birds.headstart"),
        ("shards-{000..012}.tar", "shards.headstart"),
        ("shards-*.tar", "shards.headstart"),
        ("photos.v1", "photos.v1.headstart"),
        ("*.tar", "images.headstart"),
        (".hidden", "hidden.headstart"),
        ("/", "images.headstart"),
    ],
)
def test_the_default_cache_is_named_after_the_images(images: str, cache: str) -> None:
    assert default_cache(images) == Path(cache)


def test_the_default_cache_lies_in_the_current_folder(embed: Embed, elsewhere: Path) -> None:
    assert embed(cache=None).cache == "photos.headstart"
    assert (elsewhere / "photos.headstart" / "cache.json").exists()


def test_weights_are_paired_with_backbones() -> None:
    assert pair_weights(["pixels", "small_cnn"], ["none"]) == [("pixels", "none"), ("small_cnn", "none")]
    assert pair_weights(["pixels", "small_cnn"], ["none", "x.pth"]) == [("pixels", "none"), ("small_cnn", "x.pth")]
    with pytest.raises(JobError, match="2 weights for 3 backbones"):
        pair_weights(["pixels", "small_cnn", "resnet18"], ["none", "x.pth"])


def test_the_cache_remembers_where_a_weights_file_lay(embed: Embed, tmp_path: Path, elsewhere: Path) -> None:
    from headstart.extractors.backbones.registry import load_backbone
    from headstart.extractors.pretraining.supervised import save_encoder

    save_encoder(load_backbone("small_cnn", weights="none").module, elsewhere / "encoder.safetensors")
    summary = embed(weights="encoder.safetensors")
    (store,) = EmbeddingCache(summary.cache).stores()
    assert store.about["weights_source"] == str(elsewhere / "encoder.safetensors")


def test_a_cache_below_a_file_says_so(embed: Embed, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"file/cache: a part of this path is a file, not a folder"):
        embed(cache=tmp_path / "file" / "cache")


def test_a_manifest_and_a_folder_of_the_same_images_share_their_rows(
    embed: Embed, photos: Path, tmp_path: Path
) -> None:
    embed()
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in sorted(photos.rglob("*.png"))]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,species", *lines]))
    summary = embed(images=tmp_path / "manifest.csv")
    assert (summary.images, summary.embedded, summary.reused) == (36, 0, 36)


def test_a_view_of_the_cache_holds_each_image_s_own_features(embed: Embed, photos: Path) -> None:
    summary = embed(backbone="pixels", weights="default", dtype="float32")
    cache = EmbeddingCache(summary.cache)
    (store,) = cache.stores()
    rows = read_listing(cache).rows
    means = np.asarray(store.view("penultimate", rows["digest"].tolist())).reshape(36, 3, -1).mean(axis=2)
    assert (means.argmax(axis=1) == rows["label"].map({"cat": 0, "dog": 1, "owl": 2}).to_numpy()).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"backbone": "resnet51"},
        {"images": "nowhere"},
        {"device": "tpu7"},
        {"tap": "layer3:mean"},
        {"weights": ["none", "default"]},
    ],
    ids=str,
)
def test_what_is_misspelt_is_told_before_a_cache_is_made(embed: Embed, tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises((ExtractorError, JobError)):
        embed(**wrong)
    assert not (tmp_path / "cache").exists()


def test_a_file_called_none_is_no_weights(embed: Embed, elsewhere: Path) -> None:
    (elsewhere / "none").write_text("not weights")
    assert embed(weights="none").keys[0].weights == "none (random, seed 0)"


def test_an_image_that_cannot_be_read_this_time_is_read_next_time(
    embed: Embed, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = headstart.extractors.decoding.prefetch.read_bytes

    def flaky(root: Path, source: Any) -> bytes:
        if source.path == "dog/03.png":
            raise NotReadError("input/output error")
        return original(root, source)

    with monkeypatch.context() as patched:
        patched.setattr(headstart.extractors.decoding.prefetch, "read_bytes", flaky)
        summary = embed()
    assert (summary.embedded, summary.quarantined) == (35, 1)
    again = embed()
    assert (again.embedded, again.quarantined) == (1, 0)


def test_an_extraction_that_listed_the_cache_later_has_the_last_word(
    embed: Embed, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "cat" / "00.png").write_bytes(b"this is text")
    original = headstart.flows.extraction.job.run_shards

    def meanwhile(*arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(headstart.flows.extraction.job, "run_shards", original)
        embed(images=shutil.copytree(photos / "owl", tmp_path / "owls"))
        original(*arguments, **options)

    monkeypatch.setattr(headstart.flows.extraction.job, "run_shards", meanwhile)
    cache = EmbeddingCache(embed().cache)
    assert read_listing(cache).root == tmp_path / "owls"


def test_extract_is_the_public_name() -> None:
    import headstart.flows

    assert headstart.flows.extract is extract


def test_key_json_can_be_read_by_people(embed: Embed) -> None:
    (store,) = EmbeddingCache(embed().cache).stores()
    content = json.loads((store.path / "key.json").read_text())
    assert content["key"]["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert content["about"]["shape"] == {"penultimate": [256]}


def test_how_the_rows_were_computed_is_kept_beside_them(embed: Embed) -> None:
    (store,) = EmbeddingCache(embed(batch_size=5).cache).stores()
    kept = json.loads((store.path / "execution.json").read_text())
    assert (kept["batch_size"], kept["compiled"], kept["plain"], kept["images"]) == (5, False, False, 36)
