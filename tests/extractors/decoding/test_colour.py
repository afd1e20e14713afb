"""What each kind of pixel becomes: grey, palettes, transparency, ink, and more than eight bits."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.image_bytes import encode, pixels, png16, tiff

from headstart.extractors.decoding import profiles
from headstart.extractors.decoding.decode import decode_rgb
from headstart.extractors.errors import UnreadableImage

RGB_PIXELS = [(255, 0, 0), (0, 128, 255)]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    image = Image.new("RGB", (2, 1))
    image.putdata(RGB_PIXELS)

    assert pixels(encode(image, kind, **({"lossless": True} if kind == "WEBP" else {}))) == RGB_PIXELS


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_jpegs_have_the_colour_they_were_made_with(options: dict[str, Any]) -> None:
    assert (
        np.abs(
            np.subtract(pixels(encode(Image.new("RGB", (8, 8), (200, 100, 50)), "JPEG", **options)), (200, 100, 50))
        ).max()
        <= 2
    )


def test_grey_and_one_bit_become_equal_channels() -> None:
    assert pixels(encode(Image.new("L", (1, 1), 77))) == [(77, 77, 77)]
    assert pixels(encode(Image.new("1", (1, 1), 1))) == [(255, 255, 255)]
    assert pixels(encode(Image.new("1", (1, 1), 1), "TIFF")) == [(255, 255, 255)]


def palette_image() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return image


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(255, 0, 0), (0, 255, 0), (0, 0, 255)]),
        ({"transparency": 1}, [(255, 0, 0), (255, 255, 255), (0, 0, 255)]),
        ({"transparency": bytes([255, 0, 51])}, [(255, 0, 0), (255, 255, 255), (204, 204, 255)]),
    ],
    ids=["opaque", "one colour transparent", "alpha for each colour"],
)
def test_palette_colours_are_looked_up_and_transparent_ones_lie_on_white(
    options: dict[str, Any], expected: list[tuple[int, ...]]
) -> None:
    assert pixels(encode(palette_image(), **options)) == expected


def test_a_gif_with_a_transparent_colour_lies_on_white() -> None:
    assert pixels(encode(palette_image(), "GIF", transparency=2)) == [(255, 0, 0), (0, 255, 0), (255, 255, 255)]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_laid_on_white(kind: str) -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(10, 20, 30, 0), (10, 20, 30, 255), (0, 0, 0, 51)])
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}

    assert pixels(encode(image, kind, **options)) == [(255, 255, 255), (10, 20, 30), (204, 204, 204)]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha_is_laid_on_white(kind: str) -> None:
    image = Image.new("LA", (3, 1))
    image.putdata([(10, 0), (10, 255), (0, 51)])

    assert pixels(encode(image, kind)) == [(255, 255, 255), (10, 10, 10), (204, 204, 204)]


@pytest.mark.parametrize(("mode", "key", "other"), [("RGB", (9, 8, 7), (9, 8, 6)), ("L", 9, 8)])
def test_a_single_transparent_colour_lies_on_white(mode: str, key: Any, other: Any) -> None:
    image = Image.new(mode, (2, 1))
    image.putdata([key, other])
    shown = other if mode == "RGB" else (other,) * 3

    assert pixels(encode(image, transparency=key)) == [(255, 255, 255), shown]


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (2, 1))
    image.putdata([(0, 255, 255, 0), (0, 0, 0, 255)])

    assert pixels(encode(image, "TIFF")) == [(255, 0, 0), (0, 0, 0)]


# Pillow writes 255 minus what it is given, as Adobe does. YCCK holds the ink (0, 200, 200) as luma and chroma.
INK, INK_AS_YCC = (0, 200, 200), (140, 162, 28)


@pytest.mark.parametrize(
    ("transform", "stored"),
    [(0, (*INK, 0)), (2, (*(255 - value for value in INK_AS_YCC), 0))],
    ids=["CMYK", "YCCK"],
)
def test_adobe_jpegs_with_inverted_ink_are_not_negatives(transform: int, stored: tuple[int, ...]) -> None:
    data = bytearray(encode(Image.new("CMYK", (16, 16), stored), "JPEG", quality=100))
    data[data.index(b"Adobe") + 11] = transform

    assert np.abs(np.subtract(pixels(bytes(data)), (255, 55, 55))).max() <= 3


def test_lab_becomes_rgb() -> None:
    assert pixels(encode(Image.new("LAB", (1, 1), (128, 128, 128)), "TIFF")) == [(119, 119, 119)]


# 0x1234 is 18.2/255 and 0xabcd is 171.8/255 of white: the upper byte, as Pillow takes it for colour.
DEEP = [0, 0x1234, 0xABCD, 0xFFFF]


DEEP_GREY = [(0, 0, 0), (0x12, 0x12, 0x12), (0xAB, 0xAB, 0xAB), (255, 255, 255)]


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    assert pixels(png16(DEEP, 0)) == DEEP_GREY
    assert pixels(tiff(4, struct.pack("<4H", *DEEP), bits=16)) == DEEP_GREY


def test_sixteen_bit_colour_is_scaled_and_not_clipped() -> None:
    samples = [0x1234, 0xABCD, 0xFFFF]

    assert pixels(png16(samples, 2)) == [(0x12, 0xAB, 0xFF)]
    assert pixels(tiff(1, struct.pack("<3H", *samples), bits=16, photometric=2, samples=3)) == [(0x12, 0xAB, 0xFF)]


def test_sixteen_bit_alpha_is_laid_on_white() -> None:
    assert pixels(png16([0x1234, 0xABCD, 0xFFFF, 0xFFFF, 1, 2, 3, 0], 6)) == [(0x12, 0xAB, 0xFF), (255, 255, 255)]
    assert pixels(png16([0x1234, 0xFFFF, 5, 0], 4)) == [(0x12, 0x12, 0x12), (255, 255, 255)]


def test_a_transparent_sixteen_bit_colour_lies_on_white() -> None:
    samples = [0x1234, 0xABCD, 0xFFFF, 0x2234, 0xABCD, 0xFFFF]

    data = png16(samples, 2, (b"tRNS", struct.pack(">3H", *samples[:3])))

    assert pixels(data) == [(255, 255, 255), (0x22, 0xAB, 0xFF)]


def test_a_transparent_sixteen_bit_grey_lies_on_white() -> None:
    assert pixels(png16([0x1234, 0x1235], 0, (b"tRNS", struct.pack(">H", 0x1234)))) == [(255,) * 3, (0x12,) * 3]


def test_grey_whose_zero_is_white_is_turned_round() -> None:
    data = struct.pack("<4H", *DEEP)

    assert pixels(tiff(4, data, bits=16, photometric=0)) == [(255,) * 3, (0xED,) * 3, (0x54,) * 3, (0,) * 3]


def test_twelve_bit_grey_fills_the_range() -> None:
    assert pixels(tiff(2, bytes([0x12, 0x3F, 0xFF]), bits=12)) == [(0x12,) * 3, (0xFF,) * 3]


def test_thirty_two_bit_grey_is_scaled_where_it_holds_sixteen_bits() -> None:
    assert pixels(tiff(4, struct.pack("<4i", *DEEP), bits=32, sample_format=2)) == DEEP_GREY


@pytest.mark.parametrize("values", [(0, 70_000), (-1, 5)])
def test_thirty_two_bit_grey_of_another_range_is_unreadable(values: tuple[int, int]) -> None:
    message = f"integer pixels from {values[0]} to {values[1]}, beyond 0…65535; save it with 8 or 16 bits a channel"

    with pytest.raises(UnreadableImage, match=message):
        decode_rgb(tiff(2, struct.pack("<2i", *values), bits=32, sample_format=2))


def test_float_pixels_are_unreadable() -> None:
    with pytest.raises(UnreadableImage, match="float pixels, whose black and white are not defined; save it with 8"):
        decode_rgb(encode(Image.new("F", (2, 2), 0.5), "TIFF"))


def test_a_profile_larger_than_any_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", (2, 2))
    image.info["icc_profile"] = bytes(profiles._LARGEST + 1)
    monkeypatch.setattr(profiles, "_conversion", lambda _: pytest.fail("it was looked into"))
    assert profiles.conversion(image) is None
