"""Augmented views in a cache: rows of the very images that the draw makes, whatever else is embedded, and when."""

import io
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as stock

from headstart.extractors.backbones import load_backbone
from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.errors import CacheError
from headstart.extractors.extraction import Extraction
from headstart.extractors.listing import read_listing
from headstart.extractors.spec import EmbeddingKey, View
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.experiment import Experiment
from headstart.flows.extraction import ExtractOptions
from headstart.flows.orchestration.extraction_tasks import wanted_by
from headstart.flows.upkeep import compact, export, inspect, verify

Embed = Callable[..., Any]


def rows_of(cache: str | Path) -> dict[int, dict[str, bytes]]:
    """Return the rows of each view, by digest, as bytes."""
    opened = EmbeddingCache(cache)
    digests = read_listing(opened).usable["digest"].tolist()
    return {
        0 if store.key.view == "whole" else store.key.view.number: {
            digest: row.tobytes()
            for digest, row in zip(digests, np.asarray(store.view("penultimate", digests)), strict=True)
        }
        for store in opened.stores()
    }


def test_rows_of_views_are_those_of_drawing_the_augmentation_online(embed: Embed, photos: Path) -> None:
    cache = EmbeddingCache(embed(views=3, view_seed=5, exact=True).cache)
    backbone, listing = load_backbone("small_cnn", weights="none"), read_listing(cache)
    steps = backbone.preprocessing
    head = backbone.module
    head.classifier = torch.nn.Identity()
    seen = 0
    for store in cache.stores():
        view = store.key.view
        if view == "whole":
            continue
        found = np.asarray(store.view("penultimate", listing.usable["digest"].tolist()))
        for row, path, digest in zip(found, listing.usable["path"], listing.usable["digest"], strict=True):
            image = Image.open(photos / path).convert("RGB")
            draw = view.draw(digest, image.size)
            assert draw.box is not None
            image = stock.resized_crop(image, *draw.box, list(steps.crop), InterpolationMode(steps.interpolation))
            image = stock.hflip(image) if draw.flip else image
            for name, value in draw.jitter:
                image = getattr(stock, f"adjust_{name}")(image, value)
            batch = stock.normalize(stock.to_tensor(image), list(steps.mean), list(steps.std))[None]
            with torch.no_grad():
                np.testing.assert_allclose(row, head(batch)[0].numpy(), rtol=1e-4, atol=1e-5)
            seen += 1
    assert seen == 2 * 36


def test_view_0_is_the_plain_image_in_the_key_that_it_had(embed: Embed) -> None:
    (before,) = embed().keys
    files = {path: path.read_bytes() for path in Path(embed().cache).rglob("shard-*")}
    plain, *views = embed(views=3).keys
    assert (plain.id, plain.view, plain.embedded, plain.reused) == (before.id, "whole", 0, 36)
    assert [key.view for key in views] == [View(number=1), View(number=2)]
    assert {path: path.read_bytes() for path in files} == files
    assert [key.embedded for key in views] == [36, 36]


def test_more_views_later_embed_the_new_ones_alone(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    few = rows_of(embed(views=3).cache)
    embedded: list[EmbeddingKey] = []
    run = Extraction.run

    def counted(self: Extraction, *given: Any) -> Any:
        embedded.extend([self.store.key] * len(self.missing))
        return run(self, *given)

    monkeypatch.setattr(Extraction, "run", counted)
    summary = embed(views=5)
    assert [key.embedded for key in summary.keys] == [0, 0, 0, 36, 36]
    assert {key.view.number for key in embedded if key.view != "whole"} == {3, 4}
    more = rows_of(summary.cache)
    assert {number: more[number] for number in few} == few
    assert embed(views=2).embedded == 0


def test_reruns_order_names_and_what_else_there_is_do_not_change_a_view(
    embed: Embed, photos: Path, tmp_path: Path
) -> None:
    options = {"views": 3, "exact": True}
    whole = rows_of(embed(**options).cache)
    assert rows_of(embed(**options).cache) == whole
    for number, path in enumerate(sorted((photos / "cat").iterdir())):
        path.rename(path.with_name(f"{99 - number}.png"))
    renamed = embed(**options)
    assert (renamed.embedded, rows_of(renamed.cache)) == (0, whole)
    assert rows_of(embed(**options, cache=tmp_path / "anew").cache) == whole
    shutil.rmtree(photos / "dog")
    few = rows_of(embed(**options, cache=tmp_path / "few").cache)
    assert {number: {digest: whole[number][digest] for digest in rows} for number, rows in few.items()} == few


def test_another_seed_and_other_strengths_are_other_views_beside_them(embed: Embed, tmp_path: Path) -> None:
    one = rows_of(embed(views=2).cache)[1]
    other = embed(views=2, view_seed=1)
    assert (other.keys[0].embedded, other.keys[1].embedded) == (0, 36)
    still = embed(views=2, view_crop=1, view_flip=0, view_jitter=0, cache=tmp_path / "still")
    plain, view = (rows_of(still.cache)[number] for number in (0, 1))
    assert plain == view
    assert one != view


def test_a_new_image_is_embedded_in_every_view_and_one_that_cannot_be_read_in_none(embed: Embed, photos: Path) -> None:
    embed(views=3)
    (photos / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut short")
    shutil.copy(photos / "cat" / "00.png", photos / "dog" / "copy.png")
    target = io.BytesIO()
    Image.new("RGB", (40, 40), (1, 2, 3)).save(target, "PNG")
    (photos / "owl" / "new.png").write_bytes(target.getvalue())
    summary = embed(views=3)
    assert [key.embedded for key in summary.keys] == [1, 1, 1]
    assert summary.quarantined == 1
    assert sum("one colour" in note for note in summary.notes) == 1


def test_inspect_says_how_many_views_there_are(embed: Embed, capsys: pytest.CaptureFixture[str]) -> None:
    cache = embed(views=4, view_seed=3).cache
    with pytest.raises(SystemExit):
        main(["inspect", str(cache)])
    shown = " ".join(capsys.readouterr().out.split())
    assert "4 views with the plain one 108 0" in shown
    assert "(seed 3, crop 0.35, flip 0.5, jitter 0.2)" in shown
    found = inspect(cache)
    (plain,) = (key for key in found.keys if key.view == "whole")
    assert [len(views) for views in found.views_of(plain)] == [3]


def test_views_are_verified_repaired_compacted_and_exported_as_any_rows(
    embed: Embed, photos: Path, tmp_path: Path
) -> None:
    cache = Path(embed(views=3, exact=True).cache)
    before = rows_of(cache)
    store = next(one for one in EmbeddingCache(cache).stores() if one.key.view == View(number=2))
    (shard,) = store.shards()
    shard.write_bytes(shard.read_bytes()[:-100])
    assert not verify(cache).sound
    assert verify(cache, repair=True).sound
    assert rows_of(cache) == before
    (photos / "cat" / "00.png").unlink()
    embed(views=3, exact=True)
    assert compact(cache).dropped == 3
    assert export(cache, tmp_path / "plain.npy").key == embed(exact=True).keys[0].id
    export(cache, tmp_path / "view.npy", key=store.key.id)
    rows = np.load(tmp_path / "view.npy")
    assert {row.tobytes() for row in rows} == set(rows_of(cache)[2].values())


@pytest.mark.parametrize("wrong", [{"views": 2, "view_crop": 1.2}, {"views": 2, "view_flip": 2.0}])
def test_a_strength_out_of_its_range_is_told_before_anything_is_read(embed: Embed, tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected a seed of at least 0, a crop above 0 and up to 1"):
        embed(**wrong)
    assert not (tmp_path / "cache").exists()


def test_an_experiment_asks_for_the_same_views_as_the_command() -> None:
    asked = {"views": 4, "view_seed": 9, "view_crop": 0.5, "view_flip": 0.0, "view_jitter": 0.1}
    tables: Any = {"extract": [{"backbone": "pixels"}], "fit": [{}]}
    experiment = Experiment(name="e", images="i", cache=Path("c"), out=Path("o"), **tables, **asked)
    expected = [View(number=number, seed=9, crop=0.5, flip=0.0, jitter=0.1) for number in (1, 2, 3)]
    assert wanted_by(experiment).views == ExtractOptions(**asked).drawn == expected  # type: ignore[arg-type]  # by name


def test_a_cache_of_several_keys_with_views_says_which_plain_ones_can_be_exported(embed: Embed, tmp_path: Path) -> None:
    cache = embed(views=2).cache
    embed(backbone="pixels", weights="default")
    with pytest.raises(JobError, match="which embeddings are meant") as caught:
        export(cache, tmp_path / "x.npy")
    assert str(caught.value).count("small_cnn-") == 1


def test_the_size_of_all_views_is_said_first_and_a_disk_that_cannot_hold_them_is_told(
    embed: Embed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - as shutil has it
    row = 2 * 32 * 8 * 8
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 3 * 36 * row - 1))
    with pytest.raises(CacheError, match=r"36 images and 72 views of 4.1 kB each need 0.4 MB, and 0.4 MB are free"):
        embed(tap="features.7:map", views=3)
    assert not list((tmp_path / "cache").rglob("shard-*"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 3 * 36 * row))
    embed(tap="features.7:map", views=3, progress=True)
    told = " ".join(capsys.readouterr().err.split())
    assert "4.1 kB an image in float16, 147.5 kB for 36 images, then 294.9 kB for 72 views of them" in told
    assert told.count("an image in float16") == 1


def test_interrupted_in_the_midst_of_a_view_it_ends_with_the_rows_of_an_undisturbed_run(
    embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rows_of(embed(views=4, exact=True, cache=tmp_path / "whole").cache)
    seal, sealed = EmbeddingStore.seal, list[int]()

    def cut(self: EmbeddingStore, digests: Any, features: Any, **given: Any) -> Path:
        place = seal(self, digests, features, **given)
        sealed.append(len(digests))
        if len(sealed) == 5:  # two shards of the plain images, two of view 1, and one of view 2
            raise KeyboardInterrupt
        return place

    monkeypatch.setattr("headstart.extractors.extraction.extraction._SHARD_ROWS", 20)
    monkeypatch.setattr(EmbeddingStore, "seal", cut)
    with pytest.raises(KeyboardInterrupt):
        embed(views=4, exact=True)
    again = embed(views=4, exact=True)
    assert [key.embedded for key in again.keys][:2] == [0, 0]
    assert sum(key.embedded for key in again.keys) < 2 * 36
    assert rows_of(again.cache) == whole
