"""A CUDA device that is none: tensors that say they are on ``cuda:0``, and refuse what those on a GPU would.

They are computed on the CPU. What mixes tensors of both devices, hands one on the GPU to numpy, or draws with another
device's generator is refused, as CUDA does; how fast a GPU is, and how it rounds, cannot be seen here.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
# These take tensors of the CPU beside those of a GPU: they copy, number rows, or belong to one tensor.
_MIXING = {"copy_", "to", "__getitem__", "__setitem__", "__get__", "__set__", "as_subclass"}


class OnGpu(torch.Tensor):
    """A tensor that says it is on the GPU."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on the CPU what could be computed on the GPU."""
        return _compute(func, args, kwargs or {})

    @property
    def device(self) -> torch.device:
        """Say where it is."""
        return GPU

    @property
    def is_cuda(self) -> bool:
        """Say so."""
        return True


class _Made(TorchFunctionMode):
    """Sees also what makes tensors and is given none."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


class _Generator(torch.Generator):
    """One of the CPU, which says where it was asked to be."""

    def __new__(cls, device: Any = "cpu") -> Self:
        made = super().__new__(cls)
        made.of = _device(device)
        return made

    def manual_seed(self, seed: int) -> Self:
        """Seed it, and return it with what it says."""
        super().manual_seed(seed)
        return self


def _compute(func: Any, args: Any, kwargs: Any) -> Any:
    name, given = getattr(func, "__name__", ""), tree_leaves((args, kwargs))
    ours = [one for one in given if isinstance(one, OnGpu)]
    if ours and name not in _MIXING and any(type(one) is torch.Tensor and one.ndim for one in given):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found cuda:0 and cpu")
    if ours and name in {"numpy", "__array__"}:
        raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu() first")
    named = [device for device in map(_device, given) if device] + (["cpu"] if name == "cpu" else [])
    on_gpu = named[0] == "cuda" if named else isinstance(args[0], OnGpu) if name == "__getitem__" else bool(ours)
    drawn_by = kwargs.get("generator")
    if drawn_by is not None and (getattr(drawn_by, "of", "cpu") == "cuda") != on_gpu:
        raise RuntimeError(f"{name}: expected a generator of the device that it draws on")
    with torch._C.DisableTorchFunction():
        if func is not torch.device:
            args, kwargs = tree_map(lambda one: "cpu" if _device(one) else one, (args, kwargs))
        found = func(*args, **kwargs)
    return tree_map(_on_gpu if on_gpu else _on_cpu, found)


def _device(value: Any) -> str | None:
    if isinstance(value, torch.device):
        return value.type
    return value.partition(":")[0] if isinstance(value, str) and value in {"cpu", "cuda", "cuda:0"} else None


def _on_gpu(value: Any) -> Any:
    return value.as_subclass(OnGpu) if type(value) is torch.Tensor else value


def _on_cpu(value: Any) -> Any:
    with torch._C.DisableTorchFunction():
        return value.as_subclass(torch.Tensor) if isinstance(value, OnGpu) else value


@contextmanager
def pretended_cuda() -> Iterator[None]:
    """Let torch have one CUDA device."""
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # parameters of another kind of tensor
    found = {"is_available": lambda: True, "device_count": lambda: 1, "current_device": lambda: 0}
    with ExitStack() as entered:
        entered.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrite)
        entered.enter_context(patch.multiple(torch.cuda, **found))
        entered.enter_context(patch.object(torch, "Generator", _Generator))
        for check in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
            if hasattr(torch.optim.Optimizer, check):  # asks the driver whether a graph is captured
                entered.enter_context(patch.object(torch.optim.Optimizer, check, lambda _: None))
        entered.enter_context(_Made())
        yield
