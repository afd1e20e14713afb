"""Devices that are not there are refused."""

import pytest
import torch

from headstart.extractors.network.device import DeviceError, resolve_device


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
