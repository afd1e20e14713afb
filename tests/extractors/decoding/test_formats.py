"""Formats beside the usual ones: read right, or refused with a reason, whatever is cut off or flipped."""

import io
import random
import struct

import numpy as np
import pytest
from PIL import Image
from support.image_bytes import encode

from headstart.extractors.decoding.decode import decode_rgb
from headstart.extractors.errors import UnreadableImage
from headstart.extractors.images.formats import format_of

LOSSLESS = {"PPM": "PNM", "TGA": "TGA", "PCX": "PCX", "SGI": "SGI", "JPEG2000": "JPEG 2000"}
KINDS = LOSSLESS | {"AVIF": "AVIF"}
PIXELS = np.random.default_rng(1).integers(0, 256, (40, 48, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_known_by_its_bytes_and_gives_the_pixels_that_were_stored(kind: str) -> None:
    data = encode(Image.fromarray(PIXELS), kind)
    found = format_of(data[:192])
    assert found
    assert found.name == KINDS[kind]
    pixels = np.asarray(decode_rgb(data))
    assert pixels.shape == PIXELS.shape
    if kind in LOSSLESS:
        assert np.array_equal(pixels, PIXELS)


@pytest.mark.parametrize(
    ("data", "grey"),
    [
        (b"P1\n# a comment\n2 1\n1 0\n", [0, 255]),
        (b"P2 2 1 255 0 200\n", [0, 200]),
        (b"P4\n2 1\n\x80", [0, 255]),
        (b"P5 2 1 255\n\x00\xc8", [0, 200]),
        (b"\0\0\3\0\0\0\0\0\0\0\0\0\2\0\1\0\x08\x20\x00\xc8", [0, 200]),
    ],
    ids=["P1", "P2", "P4", "P5", "grey TGA"],
)
def test_grey_and_black_and_white_are_read(data: bytes, grey: list[int]) -> None:
    assert np.asarray(decode_rgb(data))[0, :, 0].tolist() == grey


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_or_flipped_is_an_image_or_has_a_reason(kind: str) -> None:
    whole = encode(Image.fromarray(PIXELS), kind)
    for tenths in range(1, 10):
        with pytest.raises(UnreadableImage, match=f"^damaged {KINDS[kind]}: "):
            decode_rgb(whole[: len(whole) * tenths // 10])
    chance = random.Random(5)  # noqa: S311 - no secret
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 2, 8])):
            data[chance.randrange(min(200, len(data)))] ^= chance.randrange(1, 256)
        try:
            decode_rgb(bytes(data))
        except UnreadableImage as error:
            assert str(error)  # noqa: PT017 - any reason will do, and so will an image


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "but PostScript; to draw it is to run a program; save it as JPEG"),
        (b"\xc5\xd0\xd3\xc6" + bytes(28), "but PostScript"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "but HEIC; save it as JPEG, PNG or TIFF"),
        (b"8BPS\0\1" + bytes(20), "but Photoshop's"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(40), "but a camera's raw format; develop it to JPEG or TIFF"),
        (bytes(128) + b"DICM" + bytes(8), "but DICOM"),
    ],
)
def test_formats_that_stay_closed_are_named(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=r"^not an image in a known format \(.*\), " + reason):
        decode_rgb(data)


def test_the_preview_in_a_raw_photograph_is_not_taken_for_it() -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "TIFF", tiffinfo={254: 1})
    with pytest.raises(UnreadableImage, match=r"begins with a preview.*develop it"):
        decode_rgb(file.getvalue())


@pytest.mark.parametrize(
    "data", [b"P6 60000 60000 255\n", b"\0\0\2" + bytes(9) + struct.pack("<HHBB", 60000, 60000, 24, 0)]
)
def test_a_size_over_the_limit_is_told_before_anything_is_decoded(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=r"60000 × 60000 pixels is over the limit"):
        decode_rgb(data)


@pytest.mark.parametrize(
    "text", [b"BM are two letters", b"P1 is a street", b"II*", b"MM and more", bytes(4096), b"\n\n"]
)
def test_texts_and_zeros_are_no_images(text: bytes) -> None:
    assert format_of(text) is None
