"""A CUDA device that is none: tensors that say they are on ``cuda:0``, and refuse what those on a GPU would.

They are computed on the CPU. What mixes tensors of both devices, hands one on the GPU to numpy, or draws with another
device's generator is refused, as CUDA does; a copy into pinned memory that need not be waited for comes only with the
event behind it. How fast a GPU is, and how it rounds, cannot be seen here.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, Self
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
# These take tensors of the CPU beside those of a GPU: they copy, number rows, belong to one tensor, or compare kinds.
_MIXING = {"copy_", "to", "__getitem__", "__setitem__", "__get__", "__set__", "_has_compatible_shallow_copy_type"}


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


class Copies:
    """What is on its way into the CPU's memory, and how often it was waited for."""

    def __init__(self) -> None:
        self.under_way: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.n_waits = 0

    def event(self) -> Any:
        """Return an event that has the copies before it arrive."""
        before: list[tuple[torch.Tensor, torch.Tensor]] = []

        def synchronize() -> None:
            self.n_waits += 1
            for into, values in before:
                _on_cpu(into).copy_(_on_cpu(values))

        def record(_: Any) -> None:
            before.extend(self.under_way)
            self.under_way.clear()

        return SimpleNamespace(record=record, synchronize=synchronize)


_copies = Copies()


def _compute(func: Any, args: Any, kwargs: Any) -> Any:
    if func is torch.Tensor.__deepcopy__ and isinstance(args[0], OnGpu):
        return args[0].detach().clone()
    name, given = getattr(func, "__name__", ""), tree_leaves((args, kwargs))
    ours = [one for one in given if isinstance(one, OnGpu)]
    others = [one for one in given if isinstance(one, torch.Tensor) and not isinstance(one, OnGpu) and one.ndim]
    if ours and others and name not in _MIXING:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found cuda:0 and cpu")
    if ours and name in {"numpy", "__array__"}:
        raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu() first")
    named = [device for device in map(_device, given) if device] + (["cpu"] if name == "cpu" else [])
    on_gpu = named[0] == "cuda" if named else isinstance(args[0], OnGpu) if name == "__getitem__" else bool(ours)
    if name == "copy_" and ours and not isinstance(args[0], OnGpu) and kwargs.get("non_blocking"):
        _copies.under_way.append((args[0], args[1].clone()))
        return args[0]
    if name == "pin_memory":  # there is none to pin without CUDA
        return args[0]
    kwargs = {option: value for option, value in kwargs.items() if option != "pin_memory"}
    drawn_by = kwargs.get("generator")
    if drawn_by is not None and (getattr(drawn_by, "of", "cpu") == "cuda") != on_gpu:
        raise RuntimeError(f"{name}: expected a generator of the device that it draws on")
    with torch._C.DisableTorchFunction():
        if func is not torch.device and name != "_parse_to":  # they only say which device
            args, kwargs = tree_map(lambda one: "cpu" if _device(one) else one, (args, kwargs))
        found = func(*args, **kwargs)
    return tree_map(_on_gpu if on_gpu else _on_cpu, found)


def _device(value: Any) -> str | None:
    if isinstance(value, torch.device):
        return value.type
    return value.partition(":")[0] if isinstance(value, str) and value in {"cpu", "cuda", "cuda:0"} else None


def _on_gpu(value: Any) -> Any:
    with torch._C.DisableTorchFunction():
        return value.as_subclass(OnGpu) if isinstance(value, torch.Tensor) and not isinstance(value, OnGpu) else value


def _on_cpu(value: Any) -> Any:
    with torch._C.DisableTorchFunction():
        return value.as_subclass(torch.Tensor) if isinstance(value, OnGpu) else value


@contextmanager
def pretended_cuda() -> Iterator[Copies]:
    """Let torch have one CUDA device; yields what is copied from it."""
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # parameters of another kind of tensor
    _copies.under_way.clear()
    _copies.n_waits = 0
    found = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "current_stream": lambda _: None,
        "Event": _copies.event,
    }
    with ExitStack() as entered:
        entered.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrite)
        entered.enter_context(patch.multiple(torch.cuda, **found))
        entered.enter_context(patch.object(torch, "Generator", _Generator))
        for check in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
            if hasattr(torch.optim.Optimizer, check):  # asks the driver whether a graph is captured
                entered.enter_context(patch.object(torch.optim.Optimizer, check, lambda _: None))
        entered.enter_context(_Made())
        yield _copies
