"""Depth, bands and profiles of other formats than PNG and TIFF: PNM, JPEG 2000, SGI, AVIF."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from support.colour_profiles import display_p3
from support.image_bytes import encode

from headstart.extractors.decoding.decode import decode_rgb, open_image
from headstart.extractors.decoding.looking import look_at, used_range
from headstart.extractors.decoding.profiles import conversion
from headstart.extractors.errors import UnreadableImage

PHOTO = np.asarray(Image.fromarray(load_sample_images().images[0]).resize((40, 31)))
NEAR_INFRARED = np.asarray(Image.fromarray(load_sample_images().images[1]).resize((40, 31)).convert("L"))


def pnm(values: Any, white: int, *, plain: bool) -> bytes:
    """Write (height, width, 1 or 3) as a PNM, with a comment in its header."""
    height, width, n_bands = values.shape
    kind = {(1, True): 2, (3, True): 3, (1, False): 5, (3, False): 6}[n_bands, plain]
    head = f"P{kind}\n# a comment\n{width} {height}\n{white}\n".encode()
    if plain:
        return head + "\n".join(map(str, values.ravel().tolist())).encode()
    return head + values.astype(">u2" if white > 255 else np.uint8).tobytes()


def jpeg_2000(pixels: Any, bits: int = 8, profile: bytes = b"") -> bytes:
    """Write a JPEG 2000 whose header says `bits` of what was encoded, and a profile."""
    data = bytearray(encode(Image.fromarray(pixels), "JPEG2000"))
    at = data.index(b"\xff\x4f\xff\x51") + 42
    for band in range(pixels.shape[2]):
        data[at + 3 * band] = bits - 1
    data[data.index(b"ihdr") + 14] = bits - 1
    if profile:
        box, head = data.index(b"colr") - 4, data.index(b"jp2h") - 4
        own = struct.pack(">I4sBBB", 11 + len(profile), b"colr", 2, 0, 0) + profile
        data[box : box + 15] = own
        data[head : head + 4] = struct.pack(">I", int.from_bytes(data[head : head + 4], "big") + len(own) - 15)
    return bytes(data)


def seen(data: bytes, ends: Any = "whole", **options: Any) -> Any:
    return np.asarray(decode_rgb(data, ends, **options))


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("n_bands", [1, 3])
@pytest.mark.parametrize(
    ("white", "step", "ends"),
    [
        (65535, 16, (0, 4095)),
        (65535, 1, (0, 255)),
        (65535, 257, "whole"),
        (4095, 4095 / 255, "whole"),
        (255, 1, "whole"),
    ],
)
def test_a_pnm_of_any_depth_is_read_whole(plain: bool, n_bands: int, white: int, step: float, ends: Any) -> None:
    values = np.ceil(PHOTO[..., :n_bands].astype(float) * step).astype(int)
    data = pnm(values, white, plain=plain)
    expected = PHOTO[..., :n_bands].repeat(3 // n_bands, axis=-1)
    assert np.abs(seen(data, ends).astype(int) - expected).max() <= (white == 4095)
    assert look_at(data).deep == (white > 255)


@pytest.mark.parametrize("n_bands", [1, 3])
def test_a_deep_pnm_that_is_cut_off_is_damaged(n_bands: int) -> None:
    data = pnm(PHOTO[..., :n_bands].astype(int), 65535, plain=False)
    with pytest.raises(UnreadableImage, match=r"^damaged PNM: "):
        decode_rgb(data[:-1])


def test_a_deep_grey_jpeg_2000_is_read_whole() -> None:
    data = encode(Image.fromarray(PHOTO[..., 0].astype(np.uint16) * 16), "JPEG2000")
    np.testing.assert_array_equal(seen(data, (0, 4095)), PHOTO[..., :1].repeat(3, axis=-1))
    used = used_range(data)
    assert used
    assert 2048 < used.ends[1] <= 4095


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_colours_of_which_the_upper_bytes_are_read_are_seen_where_these_say_enough(mode: str) -> None:
    image = Image.fromarray(PHOTO).convert(mode)
    data, expected = encode(image, "SGI", bpc=2), np.asarray(image.convert("RGB"))
    assert look_at(data).deep
    np.testing.assert_array_equal(seen(data), expected)
    twice = seen(data, (0, 32767)).astype(int)
    assert np.abs(twice - np.minimum(expected.astype(int) * 2, 255)).max() <= 2
    with pytest.raises(UnreadableImage, match=r"upper 8 bits.*too few for a range from 0 to 4095; save it as TIFF"):
        decode_rgb(data, (0, 4095))


def test_a_jpeg_2000_of_16_bit_colours_is_seen_whole_and_not_in_a_small_range() -> None:
    data = jpeg_2000(PHOTO, bits=16)  # encoded around the middle of 8 bits, and read around that of 16
    assert look_at(data).deep
    assert np.abs(seen(data) - 127.5).max() == 0.5
    with pytest.raises(UnreadableImage, match="too few for a range from 0 to 4095"):
        decode_rgb(data, (0, 4095))


@pytest.mark.parametrize("declared", [True, False])
def test_a_fourth_band_of_a_jpeg_2000_is_transparency_where_it_is_meant(declared: bool) -> None:
    clear = np.full_like(NEAR_INFRARED, 255)
    clear[:10] = 0
    data = [jpeg_2000(np.dstack([PHOTO, band])) for band in (clear, NEAR_INFRARED)]
    cut_out, infrared = (one if declared else one.replace(b"cdef", b"free") for one in data)
    expected = PHOTO.copy()
    expected[:10] = 255
    np.testing.assert_array_equal(seen(cut_out), expected)
    assert np.array_equal(seen(infrared), PHOTO) != declared


def test_other_numbers_of_bands_of_a_jpeg_2000_are_named() -> None:
    data = bytearray(jpeg_2000(PHOTO))
    data[data.index(b"\xff\x4f\xff\x51") + 41] = 5
    with pytest.raises(UnreadableImage, match=r"^5 bands of .* bits; images have 1, 3 or 4 bands of up to"):
        decode_rgb(bytes(data))


def test_the_profile_of_a_jpeg_2000_and_of_an_avif_is_followed() -> None:
    data = jpeg_2000(PHOTO, profile=display_p3())
    expected = seen(encode(Image.fromarray(PHOTO), icc_profile=display_p3()), colour="srgb")
    np.testing.assert_array_equal(seen(data), PHOTO)
    np.testing.assert_array_equal(seen(data, colour="srgb"), expected)
    assert np.abs(expected.astype(int) - PHOTO).max() > 20
    assert conversion(open_image(encode(Image.fromarray(PHOTO), "AVIF", icc_profile=display_p3())))
