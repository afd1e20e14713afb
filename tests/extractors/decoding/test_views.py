"""Pixels of a view are those of torchvision's own transforms at the parameters of its draw."""

import io
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as stock

from headstart.extractors.decoding.decode import decode_image
from headstart.extractors.spec import Preprocessing, View

PREPROCESSING = Preprocessing(resize=40, crop=(32, 36), interpolation="bicubic")


def encoded(size: tuple[int, int] = (90, 70), orientation: int = 1, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (size[1] // 10, size[0] // 10, 3), np.uint8)
    image, target = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(target, kind, exif=exif)
    return target.getvalue()


def online(image: Image.Image, view: View, digest: str) -> np.ndarray:
    """Augment as a training loop would with torchvision, at the parameters that were drawn."""
    draw = view.draw(digest, image.size)
    if draw.box is None:
        image = stock.center_crop(stock.resize(image, 40, InterpolationMode.BICUBIC), [32, 36])
    else:
        image = stock.resized_crop(image, *draw.box, [32, 36], InterpolationMode.BICUBIC)
    image = stock.hflip(image) if draw.flip else image
    for name, value in draw.jitter:
        image = getattr(stock, f"adjust_{name}")(image, value)
    return np.asarray(image)


@pytest.mark.parametrize("changed", [{}, {"crop": 1.0}, {"flip": 1.0, "jitter": 0.0}, {"crop": 0.05, "jitter": 0.9}])
def test_a_view_is_torchvisions_augmentation_of_the_image_bit_for_bit(changed: dict[str, float]) -> None:
    data = encoded()
    for number in range(1, 20):
        view = View(number=number, **changed)  # type: ignore[arg-type]  # floats alone
        expected = online(Image.open(io.BytesIO(data)), view, sha256(data).hexdigest())
        assert np.array_equal(decode_image(data, PREPROCESSING, view=view), expected)


def test_an_image_that_lies_on_its_side_is_turned_before_it_is_cut() -> None:
    data, view = encoded(orientation=6, kind="JPEG"), View(number=1)
    upright = Image.open(io.BytesIO(data)).transpose(Image.Transpose.ROTATE_270)
    expected = online(upright, view, sha256(data).hexdigest())
    assert np.array_equal(decode_image(data, PREPROCESSING, view=view), expected)


def test_a_view_is_drawn_by_the_bytes_of_the_image() -> None:
    view, one, other = View(number=1), encoded(), encoded(kind="BMP")
    pixels = [decode_image(data, PREPROCESSING, view=view) for data in (one, other)]
    assert not np.array_equal(*pixels)
    assert np.array_equal(*(decode_image(data, PREPROCESSING) for data in (one, other)))


def test_of_a_view_no_remark_is_made_on_one_colour() -> None:
    target = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 9, 9)).save(target, "PNG")
    remarks: list[str] = []
    decode_image(target.getvalue(), PREPROCESSING, view=View(number=1), remark=remarks.append)
    assert remarks == []
    decode_image(target.getvalue(), PREPROCESSING, remark=remarks.append)
    assert remarks == ["one value"]
