"""What a GPU decodes is what Pillow decodes, up to rounding, and what it is not made for is left to Pillow.

Where there is no GPU, torchvision's decoder on the CPU takes its place: the same call, with another device. Where
there is no torchcodec that decodes images, a stand-in with its signature and its ways takes its place: it turns every
image as EXIF asks. Neither torchcodec itself nor a GPU has ever run these.
"""

import io
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import draw
from PIL import Image
from sklearn.datasets import load_sample_images

from headstart.extractors.decoding.decode import decode_image
from headstart.extractors.decoding.gpu_jpegs import decode_jpegs, jpeg_decoder
from headstart.extractors.spec.preprocessing import Preprocessing

# pytest sets filters of its own, in which the one of the module has no part.
pytestmark = pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PREPROCESSING = Preprocessing(resize=64, crop=(56, 56))
FAILED: list[int] = []  # sizes of the calls that the stand-in refused
PHOTOGRAPH = Image.fromarray(load_sample_images().images[0])


def stand_in(source: Any, *, mode: str = "RGB", output_dtype: Any = torch.uint8, device: Any = "cpu") -> Any:
    """Decode as `torchcodec.decoders.decode_jpeg` does, by its documentation."""
    from torchvision.io import ImageReadMode, decode_jpeg

    assert (isinstance(source, list), mode, output_dtype) == (True, "RGB", torch.uint8)
    assert all(file.device.type == "cpu" and file.dtype == torch.uint8 and file.ndim == 1 for file in source)
    try:
        pixels = [decode_jpeg(file, mode=ImageReadMode.RGB, apply_exif_orientation=True) for file in source]
    except RuntimeError:
        FAILED.append(len(source))
        raise
    return [image.to(device) for image in pixels]


@pytest.fixture(params=["torchvision", "torchcodec"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name the decoder under test."""
    if request.param == "torchvision":
        monkeypatch.setitem(sys.modules, "torchcodec", None)
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    elif jpeg_decoder.__wrapped__().library != "torchcodec":
        monkeypatch.setitem(sys.modules, "torchcodec", ModuleType("torchcodec"))
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", SimpleNamespace(decode_jpeg=stand_in))
    FAILED.clear()
    jpeg_decoder.cache_clear()
    yield request.param
    jpeg_decoder.cache_clear()


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


def test_torchcodec_decodes_where_it_is_installed_and_torchvision_elsewhere(library: str) -> None:
    decoder = jpeg_decoder()
    assert decoder is not None
    assert decoder.library == library


@pytest.mark.parametrize("error", [RuntimeError("Could not load libtorchcodec"), OSError("libavutil.so.60: not found")])
def test_a_torchcodec_that_is_too_old_or_cannot_be_loaded_leaves_it_to_torchvision(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Broken(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise error if self.broken else AttributeError(name)

    for broken in (True, False):  # the latter has a face, and no images in it
        decoders = Broken("torchcodec.decoders")
        decoders.__dict__.update(broken=broken, __spec__=None)
        monkeypatch.setitem(sys.modules, "torchcodec", ModuleType("torchcodec"))
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", decoders)
        jpeg_decoder.cache_clear()
        decoder = jpeg_decoder()
        assert decoder is not None
        assert decoder.library == "torchvision"


def test_a_key_of_a_gpu_says_which_library_decoded(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.extractors.extraction import Extraction, extraction

    monkeypatch.setattr(extraction, "version", lambda name: f"{name} 1")
    for decode, more in (("nvjpeg", {library}), ("full", set[str]())):
        begun = Mock(_sizes={}, store=Mock(key=Mock(decode=decode)))
        assert Extraction.about(begun)["versions"].keys() == {"torch", "torchvision", "pillow"} | more


def test_without_any_decoder_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    monkeypatch.setitem(sys.modules, "torchvision.io", None)
    jpeg_decoder.cache_clear()
    assert decode_jpegs([encoded()], PREPROCESSING, DEVICE) == [None]


def test_a_photograph_that_is_turned_is_turned_once(library: str) -> None:
    """Whether a decoder turns by itself makes no difference: turned photographs are left to Pillow."""
    preprocessing = Preprocessing(resize=None, crop=(640, 427))
    assert decode_jpegs([turned()], preprocessing, DEVICE) == [None]
    expected = PHOTOGRAPH.transpose(Image.Transpose.ROTATE_270)
    difference = np.abs(decode_image(turned(), preprocessing).astype(int) - np.asarray(expected))
    assert difference.mean() < 10


def test_one_bad_file_costs_its_batch_one_call_and_each_other_file_one(library: str) -> None:
    bad = encoded()[:200] + b"\xff\xd9"
    found = decode_jpegs([encoded(), bad, encoded()], PREPROCESSING, DEVICE)
    assert [pixels is None for pixels in found] == [False, True, False]
    assert FAILED in ([], [3, 1])  # none of torchvision's are counted


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
