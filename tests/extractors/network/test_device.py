"""Devices that are not there are refused, and what a GPU would do is done on one that is pretended."""

import io
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.pretended_cuda import pretended_cuda

from headstart.extractors.backbones import load_backbone
from headstart.extractors.decoding import Decoding, gpu_jpegs
from headstart.extractors.extraction.engine import embed
from headstart.extractors.images import ImageSource
from headstart.extractors.network.device import DeviceError, has_fast_bf16, resolve_device
from headstart.extractors.network.forward import ForwardPass
from headstart.extractors.network.forward import exact_convolutions as extraction_exact
from headstart.extractors.spec import Tap
from headstart.extractors.stages import StageTimes
from headstart.heads.finetuning.rows import exact_convolutions as tail_exact

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")


def encoded_photograph(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((80, 60)).save(file, "JPEG")
    return file.getvalue()


def test_auto_takes_cuda_exactly_where_there_is_one() -> None:
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "mps", "meta", "xpu:0", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "CPU", ""])
def test_an_unknown_device_is_named(name: str) -> None:
    with pytest.raises(DeviceError, match=f"device '{name}': unknown; expected auto, cpu or cuda"):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_where_there_is_none_says_so() -> None:
    with pytest.raises(DeviceError, match="this machine has 0 CUDA devices; use --device cpu"):
        resolve_device("cuda")


@pytest.mark.parametrize("fast", [True, False])
def test_bf16_on_a_gpu_is_fast_where_its_hardware_multiplies_it(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    asked = []
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: asked.append(options) or fast)
    assert has_fast_bf16(torch.device("cuda")) is fast
    assert asked == [{"including_emulation": False}]


def test_float32_convolutions_on_a_gpu_are_none_of_tf32_and_all_is_as_before_behind_them() -> None:
    convolution = torch.backends.cudnn.conv
    before = convolution.fp32_precision
    for exact in (extraction_exact, tail_exact):
        with exact(torch.device("cpu")):
            assert convolution.fp32_precision == before
        with exact(torch.device("cuda")):
            assert convolution.fp32_precision == "ieee"
        assert convolution.fp32_precision == before


def decode_there(files: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Decode on the CPU what a GPU's decoder would decode on the GPU."""
    from torchvision.io import ImageReadMode, decode_jpeg

    assert {type(file) for file in files} == {torch.Tensor}
    return [decode_jpeg(file, mode=ImageReadMode.RGB).to(device) for file in files]


@pytest.mark.parametrize("decode", ["full", "nvjpeg"])
def test_on_a_pretended_gpu_images_are_decoded_and_embedded_in_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decode: Any
) -> None:
    monkeypatch.setattr(gpu_jpegs, "jpeg_decoder", lambda: decode_there)
    listed = []
    for number in range(5):
        data = encoded_photograph(number)
        (tmp_path / f"{number}.jpg").write_bytes(data)
        listed.append((ImageSource(f"{number}.jpg", None, None, len(data)), sha256(data).hexdigest()))
    backbone = load_backbone("small_cnn", weights="none")
    features = {}
    for name in ("cpu", "cuda"):
        with pretended_cuda():
            device = torch.device(name)
            forward = ForwardPass(backbone, [Tap()], device=device, precision="fp32", batch_size=2, plain=True)
            decoding = Decoding(preprocessing=backbone.preprocessing, decode=decode, workers=2, in_turn=name == "cpu")
            batches = list(embed(forward, tmp_path, listed, decoding, StageTimes()))
        assert [row for batch in batches for row in batch.rows] == list(range(5))
        features[name] = np.concatenate([batch.features["penultimate"] for batch in batches])
    np.testing.assert_allclose(features["cuda"], features["cpu"], rtol=1e-5, atol=1e-6)
