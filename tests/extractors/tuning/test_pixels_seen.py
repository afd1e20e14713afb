"""Range and colour of a set are found once, stand in the key, and are the same for images that come later."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from support.colour_profiles import display_p3
from support.image_bytes import encode

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import SettingsError
from headstart.extractors.tuning import pixels_seen
from headstart.flows.extraction.job import extract
from headstart.flows.fitting.job import fit
from headstart.flows.inference.prediction import predict

EMBED = {"precision": "fp32", "device": "cpu", "compile": "off", "workers": 1}


def pictures(n_images: int = 6, side: int = 48) -> list[Any]:
    """Return drawings that use all grey levels, (side, side) uint8."""
    x, y = np.meshgrid(np.linspace(0, 3, side), np.linspace(0, 3, side))
    waves = [np.sin(x * (1 + at) + at) + np.cos(y * (2 + at)) for at in range(n_images)]
    return [np.round((wave - wave.min()) * 255 / np.ptp(wave)).astype(np.uint8) for wave in waves]


def write(folder: Path, images: list[Any], name: str = "{}.png", **options: Any) -> Path:
    for number, image in enumerate(images):
        path = folder / ("a", "b")[number % 2] / name.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {".tif": "TIFF", ".pgm": "PPM", ".jp2": "JPEG2000"}.get(path.suffix, "PNG")
        path.write_bytes(encode(image if isinstance(image, Image.Image) else Image.fromarray(image), kind, **options))
    return folder


def rows(cache: str | Path, at: int = 0) -> Any:
    from headstart.extractors.listing.cache_listing import read_listing

    folder = EmbeddingCache(cache)
    usable = read_listing(folder).usable
    return np.asarray(folder.stores()[at].view("penultimate", usable["digest"].tolist()))


def keys(cache: str | Path) -> list[Any]:
    return [store.key for store in EmbeddingCache(cache).stores()]


@pytest.mark.parametrize(
    ("kind", "step", "offset", "ends", "name"),
    [
        (np.uint16, 16, 0, (0, 4095), "{}.png"),
        (np.uint16, 1, 0, (0, 255), "{}.png"),
        (np.uint16, 16, 0, (0, 4095), "{}.pgm"),
        (np.uint16, 16, 0, (0, 4095), "{}.jp2"),
        (np.int32, 1, 0, (0, 255), "{}.tif"),
        (np.int32, 16, 0, (0, 4095), "{}.tif"),
        (np.int32, 16, -1024, (-1024, 4095), "{}.tif"),
        (np.uint16, 257, 0, "whole", "{}.png"),
        (np.uint16, 8, 29_000, None, "{}.png"),
    ],
)
def test_deep_images_are_seen_in_the_range_that_they_use(
    tmp_path: Path, kind: Any, step: int, offset: int, ends: Any, name: str
) -> None:
    plain = extract(write(tmp_path / "plain", pictures()), "pixels", cache=tmp_path / "p", **EMBED)
    stored = [(image.astype(np.int64) * step + offset).astype(kind) for image in pictures()]
    summary = extract(write(tmp_path / "deep", stored, name), "pixels", cache=tmp_path / "d", **EMBED)
    (key,) = keys(summary.cache)
    assert ends is None or key.range == ends == summary.keys[0].range
    one, two = rows(plain.cache), rows(summary.cache)
    centred = [values - values.mean(axis=1, keepdims=True) for values in (one, two)]
    cosines = (centred[0] * centred[1]).sum(1) / np.prod([np.linalg.norm(values, axis=1) for values in centred], axis=0)
    assert cosines.min() > 0.995
    assert two.std() > one.std() * 0.7
    assert any("is taken for black" in note for note in summary.keys[0].reasons) == (ends != "whole")


def test_later_images_are_seen_in_the_range_that_was_found_and_what_exceeds_it_is_said(tmp_path: Path) -> None:
    images = write(tmp_path / "images", [image.astype(np.uint16) * 16 for image in pictures(4)])
    first = extract(images, "pixels", cache=tmp_path / "c", **EMBED)
    write(images, [image.astype(np.uint16) * 64 for image in pictures(6)], "later-{}.png")
    again = extract(images, "pixels", cache=tmp_path / "c", **EMBED)
    assert [key.range for key in keys(first.cache)] == [(0, 4095)]
    assert (again.embedded, again.reused) == (6, 4)
    assert [note for note in again.notes if "6 images with values beyond the range (a/later-0.png)" in note]


def test_of_two_runs_that_look_at_once_the_first_to_write_decides_for_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One set would have two keys else; and what a third run found of another set is not lost."""
    deep, other = (
        write(tmp_path / name, [image.astype(np.uint16) * step for image in pictures()])
        for name, step in (("deep", 16), ("other", 1))
    )
    really = pixels_seen._look

    def look_while_others_write(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(pixels_seen, "_look", really)
        for folder in (other, deep):
            extract(folder, "pixels", cache=tmp_path / "c", **EMBED)
        return replace(really(*arguments, **options), ends=(0, 9999))

    monkeypatch.setattr(pixels_seen, "_look", look_while_others_write)
    summary = extract(deep, "pixels", cache=tmp_path / "c", **EMBED)
    assert sorted(key.range for key in keys(tmp_path / "c")) == [(0, 255), (0, 4095)]
    assert "4095 for white" in str(summary.keys[0].reasons)
    kept = json.loads((tmp_path / "c" / "pixels.json").read_bytes())
    assert kept == {str(other): {"range": [0, 255]}, str(deep): {"range": [0, 4095]}}


def test_a_range_that_is_said_is_taken_and_a_wrong_one_refused(tmp_path: Path) -> None:
    images = write(tmp_path / "images", [image.astype(np.uint16) * 16 for image in pictures()])
    summary = extract(images, "pixels", cache=tmp_path / "c", range=(0, 2047), **EMBED)
    assert keys(summary.cache)[0].range == (0, 2047)
    assert any("beyond the range" in note for note in summary.notes)
    with pytest.raises(
        SettingsError, match="range 7 7: expected two numbers, the lower one first, such as --range 0 4095"
    ):
        extract(images, "pixels", cache=tmp_path / "c", range=(7, 7), **EMBED)


def test_an_eight_bit_set_keeps_its_key_and_a_deep_image_among_them_is_said(tmp_path: Path) -> None:
    images = write(tmp_path / "images", pictures())
    (key,) = keys(extract(images, "pixels", cache=tmp_path / "c", **EMBED).cache)
    assert {"range", "colour"}.isdisjoint(key.as_dict())
    write(images, [pictures()[0].astype(np.uint16) * 16], "deep-{}.png")
    summary = extract(images, "pixels", cache=tmp_path / "whole", range="whole", **EMBED)
    assert any("1 image of more than 8 bits with values in the lowest eighth" in note for note in summary.notes)


def test_a_model_sees_new_images_in_the_range_of_its_own(tmp_path: Path) -> None:
    images = [(image // (1 + number % 2)).astype(np.uint16) * 16 for number, image in enumerate(pictures(8, 24))]
    summary = extract(write(tmp_path / "images", images), "pixels", cache=tmp_path / "c", **EMBED)
    model = fit(summary.cache, "centroid", folds=2, out=tmp_path / "r").model
    dark = write(tmp_path / "new", [pictures(1, 24)[0].astype(np.uint16)])
    predict(model, dark, cache=tmp_path / "n", device="cpu")
    (store,) = EmbeddingCache(tmp_path / "n").stores()
    digest = hashlib.sha256((dark / "a" / "0.png").read_bytes()).hexdigest()
    assert store.key.range == (0, 4095)
    assert np.asarray(store.view("penultimate", [digest])).max() < 16 / 255


def test_other_colours_than_srgb_are_converted_and_the_key_says_so(tmp_path: Path) -> None:
    photo = Image.fromarray(load_sample_images().images[0]).crop((200, 200, 400, 400))
    write(tmp_path / "images", [photo, photo.rotate(90)], icc_profile=display_p3())
    summary = extract(tmp_path / "images", "pixels", cache=tmp_path / "c", **EMBED)
    assert [key.colour for key in keys(summary.cache)] == ["srgb"]
    assert any("2 of 2 images looked at have another colour profile" in note for note in summary.keys[0].reasons)
    stored = extract(tmp_path / "images", "pixels", cache=tmp_path / "s", colour="as-stored", **EMBED)
    assert "colour" not in keys(stored.cache)[0].as_dict()
    assert not any("profile" in note for note in stored.notes)
    assert np.abs(rows(summary.cache) - rows(stored.cache)).max() > 0.05


def test_without_another_profile_the_key_says_nothing(tmp_path: Path) -> None:
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    images = write(tmp_path / "images", [Image.fromarray(image) for image in pictures(2)], icc_profile=srgb)
    summary = extract(images, "pixels", cache=tmp_path / "c", **EMBED)
    assert "colour" not in keys(summary.cache)[0].as_dict()
    assert summary.keys[0].reasons == []
