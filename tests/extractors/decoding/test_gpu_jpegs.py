"""What a GPU decodes is what Pillow decodes, up to rounding, and what it is not made for is left to Pillow.

Where there is no GPU, torchvision's decoder on the CPU takes its place: the same call, with another device.
"""

import io
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw
from PIL import Image
from sklearn.datasets import load_sample_images

from headstart.extractors.decoding.decode import decode_image
from headstart.extractors.decoding.gpu_jpegs import decode_jpegs
from headstart.extractors.spec.preprocessing import Preprocessing

# pytest sets filters of its own, in which the one of the module has no part.
pytestmark = pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PREPROCESSING = Preprocessing(resize=64, crop=(56, 56))
PHOTOGRAPH = Image.fromarray(load_sample_images().images[0])


def encoded(image: Image.Image = PHOTOGRAPH, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return encoded(exif=exif)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("resize", "crop"), [(64, (56, 56)), ((60, 80), (56, 64)), (None, (224, 224)), (48, (64, 64)), (61, (56, 57))]
)
def test_pixels_are_those_of_pillow_up_to_rounding(interpolation: Any, resize: Any, crop: tuple[int, int]) -> None:
    preprocessing = Preprocessing(resize=resize, crop=crop, interpolation=interpolation)
    (pixels,) = decode_jpegs([encoded()], preprocessing, DEVICE)
    assert pixels is not None
    assert (pixels.dtype, pixels.device.type) == (torch.uint8, DEVICE.type)
    expected = decode_image(encoded(), preprocessing)
    assert tuple(pixels.shape) == expected.shape
    difference = np.abs(pixels.cpu().numpy().astype(int) - expected)
    assert difference.max() <= (1 if DEVICE.type == "cpu" else 8)
    assert difference.mean() < (0.2 if DEVICE.type == "cpu" else 1)


def test_grey_jpegs_become_rgb() -> None:
    (pixels,) = decode_jpegs([encoded(PHOTOGRAPH.convert("L"))], PREPROCESSING, DEVICE)
    assert pixels is not None
    assert torch.equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(kind="PNG"), id="another format"),
        pytest.param(turned(), id="turned"),
        pytest.param(encoded(PHOTOGRAPH.convert("CMYK")), id="CMYK"),
        pytest.param(encoded()[:3000], id="cut"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xd8\xff\xd9", id="without an image"),
        pytest.param(encoded()[:200] + b"\xff\xd9", id="without pixels"),
    ],
)
def test_what_it_is_not_made_for_is_left_to_pillow_and_shifts_no_row(data: bytes) -> None:
    first, bad, last = decode_jpegs([encoded(), data, encoded()], PREPROCESSING, DEVICE)
    assert bad is None
    assert first is not None
    assert last is not None
    assert torch.equal(first, last)


def test_a_filter_that_torch_does_not_have_is_left_to_pillow() -> None:
    preprocessing = Preprocessing(resize=64, crop=(56, 56), interpolation="lanczos")
    assert decode_jpegs([encoded()], preprocessing, DEVICE) == [None]


def test_a_set_is_embedded_alike_with_every_row_in_its_place(tmp_path: Any) -> None:
    from headstart.extractors.backbones.registry import load_backbone
    from headstart.extractors.decoding.prefetch import Decoding
    from headstart.extractors.extraction.engine import embed
    from headstart.extractors.images.reading import digest_bytes, image_sources
    from headstart.extractors.images.sources import list_images
    from headstart.extractors.network.forward import ForwardPass
    from headstart.extractors.spec.tap import Tap
    from headstart.extractors.stages import StageTimes

    for number in range(10):
        if number % 3:
            draw(tmp_path / f"{number}.png", number % 3, seed=number)
        else:
            (tmp_path / f"{number}.jpg").write_bytes(b"no image" if number == 6 else encoded())
    found = list_images(tmp_path)
    listed = [(source, digest_bytes(found.root, source)) for source in image_sources(found.rows)]
    backbone = load_backbone("small_cnn", weights="none")
    forward = ForwardPass(backbone, [Tap()], device=DEVICE, precision="fp32", batch_size=4)
    full, on_device = (
        list(
            embed(
                forward,
                found.root,
                listed,
                Decoding(preprocessing=backbone.preprocessing, decode=decode, workers=2),  # type: ignore[arg-type]
                StageTimes(),
            )
        )
        for decode in ("full", "nvjpeg")
    )
    assert [list(batch.unreadable) for batch in full] == [list(batch.unreadable) for batch in on_device]
    rows = [np.concatenate([batch.rows for batch in batches]).tolist() for batches in (full, on_device)]
    assert rows[0] == rows[1] == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    a, b = (np.concatenate([batch.features["penultimate"] for batch in batches]) for batches in (full, on_device))
    np.testing.assert_allclose(a, b, rtol=0.05, atol=0.05 * np.abs(a).max())
