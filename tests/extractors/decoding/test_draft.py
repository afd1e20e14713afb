"""Large JPEGs are decoded at a fraction of their size, and hardly anything changes but the time."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin
from sklearn.datasets import load_sample_images

from headstart.extractors.decoding.decode import decode_image
from headstart.extractors.spec.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(resize=64, crop=(56, 56))
PHOTOGRAPH = Image.fromarray(load_sample_images().images[0])  # 640 × 427


def encoded(image: Image.Image = PHOTOGRAPH, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def decoded_sizes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes at which JPEGs are decoded."""
    sizes: list[tuple[int, int]] = []
    original = JpegImagePlugin.JpegImageFile.load_prepare

    def recording(image: JpegImagePlugin.JpegImageFile) -> None:
        sizes.append(image.size)
        original(image)

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load_prepare", recording)
    return sizes


@pytest.mark.parametrize(
    ("resize", "decoded"),
    [(64, (320, 214)), (106, (320, 214)), (107, (640, 427)), (53, (160, 107)), (26, (80, 54)), ((64, 64), (320, 214))],
)
def test_a_jpeg_is_decoded_at_the_smallest_size_that_is_twice_what_it_will_be(
    decoded_sizes: list[tuple[int, int]], resize: int | tuple[int, int], decoded: tuple[int, int]
) -> None:
    decode_image(encoded(), Preprocessing(resize=resize, crop=(32, 32)), draft=True)
    assert decoded_sizes == [decoded]


def test_full_decoding_is_the_default(decoded_sizes: list[tuple[int, int]]) -> None:
    decode_image(encoded(), PREPROCESSING)
    assert decoded_sizes == [(640, 427)]


@pytest.mark.parametrize("size", [(640, 427), (641, 426), (427, 640), (639, 425)])
def test_pixels_differ_by_fractions_of_a_grey_level(size: tuple[int, int]) -> None:
    data = encoded(PHOTOGRAPH.resize(size), quality=95)
    full, drafted = (decode_image(data, PREPROCESSING, draft=draft).astype(float) for draft in (False, True))
    assert full.shape == drafted.shape
    assert 0 < np.abs(full - drafted).mean() < 1
    assert abs((full - drafted).mean()) < 0.1  # it is neither lighter nor darker


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", [64, (48, 80)])
def test_turned_photographs_stand_upright(orientation: int, resize: int | tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(exif=exif, quality=95)
    preprocessing = Preprocessing(resize=resize, crop=(48, 48))
    full, drafted = (decode_image(data, preprocessing, draft=draft).astype(float) for draft in (False, True))
    assert np.abs(full - drafted).mean() < 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP"])
def test_other_formats_are_decoded_in_full(kind: str) -> None:
    data = encoded(kind=kind)
    np.testing.assert_array_equal(decode_image(data, PREPROCESSING, draft=True), decode_image(data, PREPROCESSING))


@pytest.mark.parametrize("resize", [None, 300])
def test_images_that_are_not_made_much_smaller_are_decoded_in_full(resize: int | None) -> None:
    preprocessing = Preprocessing(resize=resize, crop=(224, 224))
    np.testing.assert_array_equal(
        decode_image(encoded(), preprocessing, draft=True), decode_image(encoded(), preprocessing)
    )


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_are_drafted_too(decoded_sizes: list[tuple[int, int]], mode: str) -> None:
    data = encoded(PHOTOGRAPH.convert(mode), quality=95)
    full, drafted = (decode_image(data, PREPROCESSING, draft=draft).astype(float) for draft in (False, True))
    assert decoded_sizes == [(640, 427), (320, 214)]
    assert np.abs(full - drafted).mean() < 1


def test_drafting_real_photographs_keeps_the_features(real_data: Path) -> None:
    import torch

    from headstart.extractors.backbones.registry import load_backbone
    from headstart.extractors.network.forward import ForwardPass
    from headstart.extractors.spec.tap import Tap
    from headstart.extractors.tuning.fidelity import compare_features

    backbone = load_backbone("mobilenet_v2", weights=str(real_data / "weights" / "mobilenet_v2-imagenet.pth"))
    forward = ForwardPass(backbone, [Tap()], device=torch.device("cpu"), precision="fp32", batch_size=4, plain=True)
    files = sorted((real_data / "data" / "hymenoptera").rglob("*.jpg"), key=lambda path: -path.stat().st_size)[:4]
    full, drafted = (
        np.stack([decode_image(file.read_bytes(), backbone.preprocessing, draft=draft) for file in files])
        for draft in (False, True)
    )
    assert not np.array_equal(full, drafted)
    assert compare_features(forward(full), forward(drafted)).cosine > 0.999
