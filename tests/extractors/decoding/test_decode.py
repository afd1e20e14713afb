"""Bytes become the RGB pixels that torchvision's own transforms give; frames, orientation and thumbnails."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.image_bytes import encode, noise, pixels
from torchvision.transforms import InterpolationMode, functional

from headstart.extractors.decoding.decode import decode_image, decode_rgb, thumbnail
from headstart.extractors.errors import UnreadableImage
from headstart.extractors.spec.preprocessing import Preprocessing


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(
    ("height", "width"), [(37, 53), (53, 37), (40, 40), (7, 300), (300, 7), (5, 9), (32, 33), (33, 32)]
)
@pytest.mark.parametrize(
    ("resize", "crop"),
    [(32, (28, 28)), (33, (32, 32)), (24, (31, 25)), ((20, 45), (16, 16)), ((32, 32), (40, 33)), (None, (28, 29))],
)
def test_pixels_are_those_of_torchvision(
    height: int, width: int, resize: int | tuple[int, int] | None, crop: tuple[int, int], interpolation: Any
) -> None:
    image = noise(height, width)
    expected = image
    if resize is not None:
        size = resize if isinstance(resize, int) else list(resize)
        expected = functional.resize(image, size, InterpolationMode(interpolation))
    expected = functional.center_crop(expected, list(crop))

    got = decode_image(encode(image), Preprocessing(resize=resize, crop=crop, interpolation=interpolation))

    np.testing.assert_array_equal(got, np.asarray(expected))


def test_the_array_is_writable_contiguous_uint8_of_the_crop() -> None:
    array = decode_image(encode(noise(30, 40)), Preprocessing(resize=20, crop=(16, 18)))

    assert (array.shape, array.dtype) == ((16, 18, 3), np.uint8)
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_an_image_smaller_than_the_crop_is_padded_with_black() -> None:
    array = decode_image(encode(Image.new("RGB", (2, 1), "red")), Preprocessing(resize=None, crop=(3, 5)))

    assert array[1, 1:3].tolist() == [[255, 0, 0]] * 2
    assert array.sum() == 2 * 255


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("height", "width"), [(30, 40), (41, 30), (3, 200)])
@pytest.mark.parametrize(
    ("resize", "crop"), [(64, (56, 56)), (64, (70, 31)), ((100, 80), (90, 96)), ((900, 10), (33, 8))]
)
def test_resizing_only_what_the_crop_sees_gives_the_same_pixels(
    monkeypatch: pytest.MonkeyPatch,
    height: int,
    width: int,
    resize: int | tuple[int, int],
    crop: tuple[int, int],
    interpolation: Any,
) -> None:
    data = encode(noise(height, width))
    preprocessing = Preprocessing(resize=resize, crop=crop, interpolation=interpolation)
    whole = decode_image(data, preprocessing)
    monkeypatch.setattr(
        "headstart.extractors.decoding.decode.MAX_PIXELS", 2000
    )  # above the image, below its resized form

    part = decode_image(data, preprocessing)

    assert part.shape == whole.shape
    assert np.abs(part.astype(int) - whole).max() <= 2


def test_resizing_only_what_the_crop_sees_by_the_nearest_pixel_differs_only_where_two_are_as_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encode(noise(30, 40))
    preprocessing = Preprocessing(resize=64, crop=(56, 56), interpolation="nearest")
    whole = decode_image(data, preprocessing)
    monkeypatch.setattr("headstart.extractors.decoding.decode.MAX_PIXELS", 2000)

    differs = (decode_image(data, preprocessing) != whole).any(axis=2)

    assert differs.all(axis=0).sum() + differs.all(axis=1).sum() <= 2  # whole lines, as ties are along one axis
    assert not differs[np.ix_(~differs.all(axis=1), ~differs.all(axis=0))].any()


@pytest.mark.parametrize("shape", [(3, 30_000), (30_000, 3), (1, 60_000)])
def test_a_line_whose_resized_form_would_be_gigantic_is_embedded_by_its_centre(shape: tuple[int, int]) -> None:
    grey = np.zeros(shape, np.uint8)
    along = int(shape[1] > shape[0])
    grey[(slice(None),) * along + (slice(shape[along] // 2, None),)] = 200  # half black, half grey

    array = decode_image(encode(Image.fromarray(grey)), Preprocessing())

    first, second = np.array_split(array, 2, axis=along)
    assert array.shape == (224, 224, 3)
    assert first.mean() < 60
    assert second.mean() > 140


def test_many_threads_give_what_one_gives() -> None:
    images = [encode(noise(20 + number, 30), kind) for number in range(8) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    preprocessing = Preprocessing(resize=16, crop=(16, 16))
    alone = [decode_image(data, preprocessing) for data in images]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: decode_image(data, preprocessing), images * 4))

    assert all(np.array_equal(got, alone[number % len(alone)]) for number, got in enumerate(together))


ORIENTATION = 0x0112


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_several_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "green")]
    options = {"lossless": True} if kind == "WEBP" else {}

    assert set(pixels(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))) == {(255, 0, 0)}


def test_the_first_image_of_an_mpo_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]

    assert set(pixels(encode(frames[0], "MPO", save_all=True, append_images=frames[1:]))) == {(255, 255, 255)}


# How a camera that was turned stores an upright picture, after the table of EXIF 2.32.
STORED: dict[int, Any] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})],
    ids=["PNG", "WebP", "TIFF", "TIFF by libtiff"],
)
def test_every_exif_orientation_is_turned_upright(kind: str, options: dict[str, Any], orientation: int) -> None:
    upright = np.asarray(noise(3, 5))
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation

    np.testing.assert_array_equal(decode_rgb(encode(stored, kind, exif=exif, **options)), upright)


def test_a_jpeg_from_a_turned_camera_is_upright() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    sky_left = Image.new("RGB", (32, 16), "black")
    sky_left.paste("white", (0, 0, 16, 16))

    image = np.asarray(decode_rgb(encode(sky_left, "JPEG", exif=exif)))

    assert image.shape == (32, 16, 3)
    assert (image[:15].min(), image[17:].max()) >= (240, 0)
    assert image[17:].max() <= 15


@pytest.mark.parametrize("value", [0, 9, 60_000])
def test_an_unknown_orientation_leaves_the_pixels_as_they_are(value: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = value

    np.testing.assert_array_equal(decode_rgb(encode(noise(3, 5), exif=exif)), np.asarray(noise(3, 5)))


def test_damaged_exif_leaves_the_pixels_as_they_are() -> None:
    data = encode(noise(3, 5), exif=b"Exif\0\0nonsense")

    np.testing.assert_array_equal(decode_rgb(data), np.asarray(noise(3, 5)))


@pytest.mark.parametrize(
    ("size", "expected"), [((400, 200), (96, 48)), ((200, 400), (48, 96)), ((8, 8), (96, 96)), ((1000, 1), (96, 1))]
)
def test_the_longest_side_of_a_thumbnail_has_the_size_asked_for(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    data = thumbnail(encode(Image.new("RGBA", size, (200, 30, 30, 255))), 96)
    image = Image.open(io.BytesIO(data))

    assert (image.format, image.size) == ("JPEG", expected)
    assert np.abs(np.asarray(image).reshape(-1, 3).mean(0) - (200, 30, 30)).max() < 3


def test_a_thumbnail_of_a_damaged_image_says_why() -> None:
    with pytest.raises(UnreadableImage, match=re.escape("damaged JPEG: ")):
        thumbnail(encode(noise(64, 64), "JPEG")[:900], 96)
