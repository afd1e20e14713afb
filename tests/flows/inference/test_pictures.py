"""A loaded model sees new pictures as it saw those that it was fitted on, however they are given."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, draw
from PIL import Image
from support.colour_profiles import display_p3
from support.image_bytes import encode

from headstart import Model, load
from headstart.flows.errors import JobError
from headstart.flows.extraction.job import extract
from headstart.flows.fitting.job import fit


def fitted(folder: Path, change: Any, name: str, **options: Any) -> Model:
    """Return a model of drawings that were written as `change` says."""
    for label, kind in enumerate(CLASSES):
        for number in range(6):
            place = folder / "photos" / kind / name.format(number)
            drawn = draw(folder / "drawn.png", label, seed=100 * label + number)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(change(np.asarray(Image.open(drawn).convert("RGB"))))
    embedded = extract(folder / "photos", "pixels", cache=folder / "cache", precision="fp32", **options)
    fit(embedded.cache, "logreg", folds=2, out=folder / "results", no_report=True)
    return load(folder / "results", all_classes=True)


def ppm(pixels: Any) -> bytes:
    """Write 12 bits in 16."""
    height, width, _ = pixels.shape
    return b"P6\n%d %d\n65535\n" % (width, height) + (pixels.astype(np.uint16) * 16).astype(">u2").tobytes()


def deep_grey(pixels: Any) -> bytes:
    return encode(Image.fromarray(pixels[..., 0].astype(np.uint16) * 16))


def with_profile(pixels: Any) -> bytes:
    return encode(Image.fromarray(pixels), icc_profile=display_p3())


@pytest.fixture
def drawn(tmp_path: Path) -> Any:
    return np.asarray(Image.open(draw(tmp_path / "new.png", 1, seed=4000)).convert("RGB"))


def alike(model: Model, *given: Any) -> bool:
    tables = [model.predict(one).drop(columns="path") for one in given]
    assert tables[0]["reason"].tolist() == [""]
    return all(one.equals(tables[0]) for one in tables)


def test_deep_grey_is_seen_in_the_range_of_the_model_however_it_is_given(tmp_path: Path, drawn: Any) -> None:
    model = fitted(tmp_path, deep_grey, "{}.png")
    assert model.key.range == (0, 4095)
    data, values = deep_grey(drawn), drawn[..., 0].astype(np.uint16) * 16
    (tmp_path / "deep.png").write_bytes(data)
    opened, big = Image.open(io.BytesIO(data)), Image.fromarray(values.astype(">u2"))
    assert (opened.mode, big.mode) == ("I;16", "I;16B")
    as_numbers = [values, values[..., None], values.astype(np.int32), Image.fromarray(values.astype(np.int32))]
    assert alike(model, tmp_path / "deep.png", data, opened, big, *as_numbers)
    pgm = io.BytesIO()
    opened.save(pgm, "PPM")
    assert alike(model, data, pgm.getvalue(), Image.open(io.BytesIO(pgm.getvalue())))
    assert alike(model, drawn, encode(Image.fromarray(drawn)))  # of 8 bits, which are as they are
    assert not alike(model, data, values // 16)
    _, notes = model.predict_noted([values * 8])
    assert notes[0] == "1 image with values beyond the range (image 0), which become black or white"


def test_deep_colours_are_seen_in_the_range_of_the_model_as_file_bytes_and_array(tmp_path: Path, drawn: Any) -> None:
    model = fitted(tmp_path, ppm, "{}.ppm")
    assert model.key.range == (0, 4095)
    data = ppm(drawn)
    (tmp_path / "deep.ppm").write_bytes(data)
    assert alike(model, tmp_path / "deep.ppm", data, drawn.astype(np.uint16) * 16)


def test_a_profile_is_followed_as_the_model_has_it_however_the_picture_is_given(tmp_path: Path, drawn: Any) -> None:
    data = with_profile(drawn)
    (tmp_path / "p3.png").write_bytes(data)
    opened = Image.open(io.BytesIO(data))
    model = fitted(tmp_path, with_profile, "{}.png")
    assert model.key.colour == "srgb"
    assert alike(model, tmp_path / "p3.png", data, opened)
    assert not alike(model, data, drawn)
    as_stored = fitted(tmp_path / "stored", with_profile, "{}.png", colour="as-stored")
    assert alike(as_stored, tmp_path / "p3.png", data, opened, drawn)


@pytest.mark.parametrize("pixels", [np.zeros((8, 8, 4), np.uint16), np.zeros((8, 8, 3), np.int32), np.zeros((8, 8))])
def test_other_deep_arrays_are_refused(tmp_path: Path, pixels: Any) -> None:
    from headstart.flows.inference.pixels import encoded_pixels

    with pytest.raises(JobError, match=r"of more bits, uint16 with 1 or 3, int32 or float32 with 1"):
        encoded_pixels(pixels, 0)
