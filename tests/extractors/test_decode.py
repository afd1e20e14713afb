"""Bytes become the RGB pixels that torchvision's own transforms give, or a reason why they cannot."""

import io
import random
import re
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode, functional

from extractors.decode import MAX_PIXELS, decode_image, decode_rgb, thumbnail
from extractors.errors import NotReadError, UnreadableImage
from extractors.preprocessing import Preprocessing

ORIENTATION = 0x0112


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def pixels(data: bytes) -> list[tuple[int, ...]]:
    """Return the RGB pixels row by row."""
    return [tuple(pixel) for pixel in np.asarray(decode_rgb(data)).reshape(-1, 3).tolist()]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Write a PNG by hand, also one that no encoder would."""
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


def png16(samples: list[int], colour: int, *more: tuple[bytes, bytes]) -> bytes:
    """Write one row of big-endian 16-bit samples; colour 0 is grey, 2 RGB, 4 grey with alpha, 6 RGBA."""
    width = len(samples) // {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row = b"\0" + struct.pack(f">{len(samples)}H", *samples)
    return png(png_header(width, 1, 16, colour), *more, (b"IDAT", zlib.compress(row)), (b"IEND", b""))


def tiff(
    width: int, data: bytes, *, bits: int, photometric: int = 1, samples: int = 1, sample_format: int = 1
) -> bytes:
    """Write one row as an uncompressed little-endian TIFF."""
    bits_value = (bits,) * samples
    tags = [
        (256, "H", (width,)),
        (257, "H", (1,)),
        (258, "H", bits_value),
        (259, "H", (1,)),
        (262, "H", (photometric,)),
        (273, "I", (8,)),
        (277, "H", (samples,)),
        (278, "H", (1,)),
        (279, "I", (len(data),)),
        (339, "H", (sample_format,) * samples),
    ]
    entries, extra = b"", b""
    ifd = 8 + len(data) + len(data) % 2
    for tag, code, values in tags:
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if len(packed) > 4:
            place = ifd + 2 + 12 * len(tags) + 4 + len(extra)
            extra += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, {"H": 3, "I": 4}[code], len(values)) + packed.ljust(4, b"\0")
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + extra
    return b"II*\0" + struct.pack("<I", ifd) + data + b"\0" * (len(data) % 2) + directory


# Geometry: torchvision's, pixel by pixel


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
    monkeypatch.setattr("extractors.decode.MAX_PIXELS", 2000)  # above the image, below its resized form

    part = decode_image(data, preprocessing)

    assert part.shape == whole.shape
    assert np.abs(part.astype(int) - whole).max() <= 2


def test_resizing_only_what_the_crop_sees_by_the_nearest_pixel_differs_only_where_two_are_as_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encode(noise(30, 40))
    preprocessing = Preprocessing(resize=64, crop=(56, 56), interpolation="nearest")
    whole = decode_image(data, preprocessing)
    monkeypatch.setattr("extractors.decode.MAX_PIXELS", 2000)

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


# Colour: what each kind of pixel becomes

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


# Frames and orientation


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


# What cannot be read


def test_no_bytes_are_an_empty_file() -> None:
    with pytest.raises(UnreadableImage, match=r"^empty file \(0 bytes\)$"):
        decode_rgb(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"just text",
        b"<html><body>404 Not Found</body></html>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"P6 1 1 255 abc",
        b"\0",
        b"\x89PNG",
    ],
    ids=["text", "page", "pdf", "eps", "ppm", "null", "four bytes of PNG"],
)
def test_other_formats_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=r"^not an image in a known format \(JPEG, PNG, WebP, GIF, BMP, TIFF\)$"):
        decode_rgb(data)


@pytest.mark.parametrize("tenths", range(1, 10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_cut_image_is_unreadable_wherever_it_is_cut(kind: str, tenths: int) -> None:
    data = encode(noise(64, 64), kind)
    name = {"WEBP": "WebP"}.get(kind, kind)

    with pytest.raises(UnreadableImage, match=rf"^damaged {name}: ."):
        decode_rgb(data[: len(data) * tenths // 10])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_damage_anywhere_gives_an_image_or_a_reason_and_nothing_else(kind: str) -> None:
    whole = encode(noise(16, 16), kind)
    chance = random.Random(0)  # noqa: S311 - no secret
    preprocessing = Preprocessing(resize=None, crop=(4, 4))
    reasons = set()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 2, 8])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            assert decode_image(bytes(data), preprocessing).shape == (4, 4, 3)
        except UnreadableImage as error:
            reasons.add(str(error))

    assert reasons
    assert all(reason and "\n" not in reason and "0x" not in reason for reason in reasons)


def test_a_mistake_of_our_own_is_not_taken_for_a_damaged_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistake(self: Image.Image, *args: object) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr(Image.Image, "crop", mistake)

    with pytest.raises(TypeError, match="a mistake"):
        decode_image(encode(noise(4, 4)), Preprocessing())


def test_an_image_too_large_for_the_memory_is_not_read_this_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)

    with pytest.raises(NotReadError, match="not enough memory to decode this BMP"):
        decode_rgb(encode(noise(4, 4), "BMP"))


def test_fifty_thousand_pixels_squared_are_refused_by_their_header() -> None:
    with pytest.raises(
        UnreadableImage, match=r"^50000 \N{MULTIPLICATION SIGN} 50000 pixels is over the limit of 178_956_970$"
    ):
        decode_rgb(png(png_header(50_000, 50_000), (b"IDAT", b""), (b"IEND", b"")))


def test_a_webp_that_claims_too_many_pixels_is_refused() -> None:
    side = (16_384 - 1).to_bytes(3, "little")
    data = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + side + side

    # Either Pillow looks at the header first, as version 13 does, or its decoder finds no frame.
    with pytest.raises(
        UnreadableImage, match=r"^(WebP with more pixels than the limit of 178_956_970|damaged WebP: .*)$"
    ):
        decode_rgb(data)


@pytest.mark.parametrize("height", [89_479, 178_956])
def test_sizes_that_pillow_warns_of_are_read_without_a_warning(height: int) -> None:
    # Damaged on purpose, so that the test does not decode half a gigabyte: the size is judged before the pixels.
    with pytest.raises(UnreadableImage, match=r"^damaged PNG"):
        decode_rgb(png(png_header(1000, height, colour=0), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")))


def test_the_limit_is_where_pillow_refuses() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert 2 * Image.MAX_IMAGE_PIXELS <= MAX_PIXELS < 2 * Image.MAX_IMAGE_PIXELS + 2


def test_damaged_metadata_print_no_warning(tmp_path: Path) -> None:
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 0x010F, 2, 4000, 99) + struct.pack("<HHI", 0x0112, 3, 1)
    )
    (tmp_path / "a.jpg").write_bytes(encode(noise(8, 8), "JPEG", exif=exif))
    code = "import sys; from extractors.decode import decode_rgb; decode_rgb(open(sys.argv[1], 'rb').read())"
    noisy = "import sys; from PIL import Image; Image.open(sys.argv[1]).getexif()"

    results = [
        subprocess.run([sys.executable, "-c", each, tmp_path / "a.jpg"], check=True, capture_output=True)
        for each in (code, noisy)
    ]

    assert results[0].stderr == b""
    assert b"Warning" in results[1].stderr


def test_a_wrong_suffix_does_not_matter_as_the_content_decides() -> None:
    data = encode(Image.new("RGB", (1, 1), (1, 2, 3)), "BMP")

    assert pixels(data) == [(1, 2, 3)]


def test_many_threads_give_what_one_gives() -> None:
    images = [encode(noise(20 + number, 30), kind) for number in range(8) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    preprocessing = Preprocessing(resize=16, crop=(16, 16))
    alone = [decode_image(data, preprocessing) for data in images]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: decode_image(data, preprocessing), images * 4))

    assert all(np.array_equal(got, alone[number % len(alone)]) for number, got in enumerate(together))


# Thumbnails


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
