"""What a person should know of an image that is not wrong: pages, black pictures, other colours, equal rows."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.colour_profiles import display_p3
from support.image_bytes import encode, noise
from support.tiff_bands import write_tiff

from headstart.extractors.decoding.decode import decode_image, decode_rgb, thumbnail
from headstart.extractors.decoding.remarks import Remarks, find_equal
from headstart.extractors.spec.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(resize=None, crop=(64, 64))
FRAMES = [noise(64, 64), noise(64, 64).rotate(90)]


def remarks_on(data: bytes, **options: Any) -> list[str]:
    found: list[str] = []
    decode_image(data, PREPROCESSING, remark=found.append, **options)
    return found


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_of_several_frames_is_said(kind: str) -> None:
    assert remarks_on(encode(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:])) == ["pages"]
    assert remarks_on(encode(FRAMES[0], kind)) == []


def test_smaller_copies_and_masks_are_no_pages() -> None:
    values = np.asarray(FRAMES[0])
    assert remarks_on(write_tiff(values, photometric=2, pages=({254: (1,)}, {254: (4,)}))) == []
    assert remarks_on(write_tiff(values, photometric=2, pages=({254: (1,)}, {254: (0,)}))) == ["pages"]
    assert remarks_on(encode(FRAMES[0], "MPO", save_all=True, append_images=FRAMES[1:])) == []


@pytest.mark.parametrize(("height", "printed"), [(64, ["one value"]), (60, ["one value"]), (50, [])])
@pytest.mark.parametrize("colour", ["black", "white", (1, 2, 3)])
def test_an_image_of_one_colour_is_said(height: int, printed: list[str], colour: Any) -> None:
    image = noise(64, 64)
    image.paste(colour, (0, 0, 64, height))
    assert remarks_on(encode(image)) == printed


def test_deep_images_that_are_nearly_black_or_exceed_their_range_are_said() -> None:
    values = np.asarray(FRAMES[0]).astype(np.uint16) * 16
    for data in (write_tiff(values, photometric=2), write_tiff(values[..., :1], photometric=1)):
        assert remarks_on(data) == ["dark"]
        assert remarks_on(data, ends=(0, 4095)) == []
        assert remarks_on(data, ends=(0, 2047)) == ["beyond"]
        assert remarks_on(data, ends=(100, 4095)) == ["beyond"]


def test_another_profile_is_said_where_it_is_not_followed() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(FRAMES[0], icc_profile=display_p3())
    assert (remarks_on(data), remarks_on(data, colour="srgb")) == (["profile"], [])
    for profile in (srgb, b"no profile", srgb[:200]):
        assert remarks_on(encode(FRAMES[0], icc_profile=profile)) == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_colours_are_converted_as_littlecms_does(kind: str) -> None:
    image = Image.new("RGB", (16, 16), (200, 60, 40))
    options = {"quality": 100} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    expected = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(display_p3())), ImageCms.createProfile("sRGB")
    )
    assert expected is not None
    shown = np.asarray(decode_rgb(encode(image, kind, icc_profile=display_p3(), **options), colour="srgb")).astype(int)
    assert np.abs(shown - np.asarray(expected)).max() <= (2 if kind == "JPEG" else 0)
    assert np.abs(shown - np.asarray(image)).max() > 10


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA"])
def test_what_is_transparent_or_grey_is_converted_too(mode: str) -> None:
    image = Image.new("RGB", (4, 4), (200, 60, 40)).convert(mode)
    stored, shown = (np.asarray(decode_rgb(encode(image, icc_profile=display_p3()), colour=colour)).astype(int)
                     for colour in ("as-stored", "srgb"))  # fmt: skip
    assert (np.abs(stored - shown).max() > 10) == (mode in ("RGBA", "P"))  # grey is grey in both


def test_a_thumbnail_shows_what_the_backbone_saw() -> None:
    data = write_tiff(np.full((8, 8, 1), 2048, np.uint16), photometric=1)
    assert np.asarray(Image.open(io.BytesIO(thumbnail(data, 8, (0, 4095))))).mean() == pytest.approx(128, abs=1)


def test_remarks_of_many_are_kept_and_told_with_an_example(tmp_path: Path) -> None:
    remarks = Remarks()
    remarks.add("pages", ["aa", "bb"])
    remarks.update({"one value": ["bb"], "of another version": ["aa"]})
    remarks.write(tmp_path)
    again = Remarks.read(tmp_path)
    assert again.as_dict() == {"pages": ["aa", "bb"], "one value": ["bb"]}
    noted = again.notes({"bb": "b.tif"})
    assert [note.split(";")[0] for note in noted] == [
        "1 image with several pages or frames (b.tif): the first is taken",
        "1 image of which nine tenths and more are one colour (b.tif)",
    ]
    (tmp_path / "remarks.json").write_text('{"pages": 3}')
    assert Remarks.read(tmp_path).as_dict() == {}


def test_equal_rows_are_found_across_blocks() -> None:
    rows = np.array([[1, 2], [3, 4], [1, 2], [5, 6]], np.float32)
    assert find_equal([rows[:2], rows[2:]]).tolist() == [True, False, True, False]
    assert find_equal([]).tolist() == []
