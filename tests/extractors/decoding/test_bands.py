"""Bands of a TIFF are checked before they are decoded: colours are read right, and what is no image is named."""

from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from support.tiff_bands import GEO, write_tiff

from headstart.extractors.decoding.decode import decode_rgb
from headstart.extractors.errors import UnreadableImage

PHOTO = np.asarray(Image.fromarray(load_sample_images().images[0]).resize((40, 31)))
NEAR_INFRARED = np.asarray(Image.fromarray(load_sample_images().images[1]).resize((40, 31)).convert("L"))[..., None]
LAYOUTS = [(planar, deflate, order) for planar in (False, True) for deflate in (False, True) for order in "<>"]
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2


def deep(values: Any, step: int) -> Any:
    return values.astype(np.uint16) * step


def seen(data: bytes, ends: Any = "whole") -> Any:
    return np.asarray(decode_rgb(data, ends))


@pytest.mark.parametrize(("planar", "deflate", "order"), LAYOUTS)
@pytest.mark.parametrize(("step", "ends"), [(16, (0, 4095)), (257, "whole"), (1, (0, 255))])
def test_deep_colours_are_read_whole_however_they_lie(
    planar: bool, deflate: bool, order: str, step: int, ends: Any
) -> None:
    data = write_tiff(deep(PHOTO, step), photometric=RGB, planar=planar, deflate=deflate, order=order)
    np.testing.assert_array_equal(seen(data, ends), PHOTO)


@pytest.mark.parametrize(("planar", "deflate", "order"), LAYOUTS)
@pytest.mark.parametrize("step", [1, 257])
@pytest.mark.parametrize(
    ("extra", "more"),
    [((), {}), ((0,), {}), ((2,), GEO), ((), GEO)],
    ids=["undeclared", "unspecified", "geo", "geo, bare"],
)
def test_near_infrared_is_no_transparency(
    planar: bool, deflate: bool, order: str, step: int, extra: Any, more: Any
) -> None:
    bands = np.concatenate([PHOTO, NEAR_INFRARED], axis=-1)
    values = bands if step == 1 else deep(bands, step)
    data = write_tiff(values, photometric=RGB, extra=extra, planar=planar, deflate=deflate, order=order, more=more)
    np.testing.assert_array_equal(seen(data), PHOTO)


@pytest.mark.parametrize(("planar", "deflate", "order"), LAYOUTS)
@pytest.mark.parametrize("step", [1, 257])
@pytest.mark.parametrize(("extra", "more"), [((2,), {}), ((2,), GEO), ((), {})], ids=["declared", "geo", "undeclared"])
def test_a_cut_out_is_laid_on_white(planar: bool, deflate: bool, order: str, step: int, extra: Any, more: Any) -> None:
    alpha = np.full_like(NEAR_INFRARED, 255)
    alpha[:10] = 0
    bands = np.concatenate([PHOTO, alpha], axis=-1)
    values = bands if step == 1 else deep(bands, step)
    data = write_tiff(values, photometric=RGB, extra=extra, planar=planar, deflate=deflate, order=order, more=more)
    expected = PHOTO.copy()
    expected[:10] = 255
    np.testing.assert_array_equal(seen(data), expected)


@pytest.mark.parametrize(("planar", "deflate", "order"), LAYOUTS)
@pytest.mark.parametrize("step", [1, 257])
@pytest.mark.parametrize("n_more", [0, 1])
def test_bands_that_are_called_grey_are_colours_where_there_are_three_or_four(
    planar: bool, deflate: bool, order: str, step: int, n_more: int
) -> None:
    bands = np.concatenate([PHOTO, NEAR_INFRARED], axis=-1)[..., : 3 + n_more]
    values = bands if step == 1 else deep(bands, step)
    extra = (0,) * (2 + n_more)
    data = write_tiff(values, photometric=BLACK_IS_ZERO, extra=extra, planar=planar, deflate=deflate, order=order)
    np.testing.assert_array_equal(seen(data), PHOTO)


@pytest.mark.parametrize(("planar", "deflate", "order"), LAYOUTS)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(("n_bands", "photometric"), [(2, 1), (5, 1), (5, 2), (13, 1), (13, 2)])
def test_other_numbers_of_bands_are_named(
    planar: bool, deflate: bool, order: str, kind: Any, n_bands: int, photometric: int
) -> None:
    values = np.zeros((7, 5, n_bands), kind)
    extra = (0,) * (n_bands - (3 if photometric == RGB else 1))
    data = write_tiff(values, photometric=photometric, extra=extra, planar=planar, deflate=deflate, order=order)
    bits = 8 * values.dtype.itemsize
    with pytest.raises(
        UnreadableImage, match=rf"^{n_bands} bands of {bits} bits; images have 1, 3 or 4 bands of up to"
    ):
        decode_rgb(data)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("kind", "n_bands", "held"),
    [
        (np.float64, 1, "1 band of 64 bits, float"),
        (np.int8, 1, "1 band of 8 bits, signed"),
        (np.int16, 3, "3 bands of 16 bits, signed"),
        (np.float32, 3, "3 bands of 32 bits, float"),
        (np.uint32, 3, "3 bands of 32 bits"),
    ],
)
def test_other_numbers_of_bits_are_named(kind: Any, n_bands: int, held: str, order: str) -> None:
    data = write_tiff(np.zeros((7, 5, n_bands), kind), photometric=1 if n_bands == 1 else RGB, order=order)
    with pytest.raises(UnreadableImage, match=rf"^{held}.*; images have 1, 3 or 4 bands of up to 16 bits$"):
        decode_rgb(data)


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("kind", "offset", "ends"),
    [
        (np.uint16, 0, (0, 4095)),
        (np.int16, -1024, (-1024, 3071)),
        (np.int32, -1024, (-1024, 3071)),
        (np.uint32, 3_000_000_000, (3_000_000_000, 3_000_004_095)),
        (np.float32, 0, (0, 4096)),
    ],
)
def test_a_range_that_is_said_makes_grey_of_any_numbers(
    kind: Any, offset: int, ends: Any, order: str, deflate: bool
) -> None:
    values = (PHOTO[..., :1].astype(np.int64) * 16 + offset).astype(kind)
    data = write_tiff(values, photometric=BLACK_IS_ZERO, order=order, deflate=deflate)
    np.testing.assert_array_equal(seen(data, ends), PHOTO[..., :1].repeat(3, axis=-1))


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_deep_grey_whose_zero_is_white_is_turned_round(order: str, deflate: bool) -> None:
    data = write_tiff(deep(PHOTO[..., :1], 257), photometric=WHITE_IS_ZERO, order=order, deflate=deflate)
    np.testing.assert_array_equal(255 - seen(data), PHOTO[..., :1].repeat(3, axis=-1))


def test_no_number_is_black_where_a_range_is_said() -> None:
    values = np.array([[[np.nan], [0.5], [np.inf], [-np.inf]]], np.float32)
    assert seen(write_tiff(values, photometric=1), (0, 1))[0, :, 0].tolist() == [0, 128, 255, 0]
