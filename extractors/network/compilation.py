"""Compiling the forward pass, where there is a compiler for it: for this process, or ahead, as a library to keep."""

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import torch

_Function = TypeVar("_Function", bound=Callable[..., object])


class CannotCompile(Exception):  # noqa: N818 - a state of the machine that is answered by running without, not an error
    """A network cannot be compiled here; the message says why."""


def compile_forward(function: _Function) -> _Function:
    """Return `function` compiled for frozen weights and one shape of batch.

    The first call compiles; when that fails it raises `CannotCompile`.

    Parameters
    ----------
    function : callable
        From a uint8 batch to a dict of tensors.
    """
    # Frozen weights become constants of the program: folded, cast and laid out once. One static shape: every batch is
    # padded to the same size.
    compiled = torch.compile(function, dynamic=False)
    works = False

    def run(*arguments: object) -> object:
        nonlocal works
        if works:
            return compiled(*arguments)
        from torch._dynamo.exc import TorchDynamoException  # noqa: PLC0415 - takes seconds to import
        from torch._inductor import config  # noqa: PLC0415 - likewise

        _pass_over_missing_gpus()
        try:
            # Set for everybody while it compiles, and not as an option of this function: the half of the compiler that
            # reads the code asks the general setting, and would hand the weights over as if they could change.
            with config.patch(freezing=True):
                result = compiled(*arguments)
        except TorchDynamoException as error:
            raise CannotCompile(_reason(error)) from error
        works = True
        return result

    return cast("_Function", run)


class _Whole(torch.nn.Module):
    """A function with the module that it calls, whose weights the exporter is to know."""

    def __init__(self, function: Callable[[torch.Tensor], dict[str, torch.Tensor]], module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module
        self._function = function

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        return self._function(pixels)


def compile_library(
    function: Callable[[torch.Tensor], dict[str, torch.Tensor]],
    module: torch.nn.Module,
    pixels: torch.Tensor,
    folder: Path,
) -> Path:
    """Compile a forward pass on the CPU ahead of time, weights and all, into a shared library; return its path.

    It computes the bits of `compile_forward`'s. It is code: see `load_library`.

    Parameters
    ----------
    function : callable
        From a uint8 batch to a dict of tensors.
    module : torch.nn.Module
        That `function` calls; frozen.
    pixels : torch.Tensor
        A batch; the library takes batches of this shape alone.
    folder : Path
        Takes the library, and what is written on the way to it.

    Raises
    ------
    CannotCompile
        There is no compiler, or torch cannot do it.
    """
    import torch._inductor  # noqa: PLC0415 - takes seconds to import
    from torch._inductor import config  # noqa: PLC0415 - likewise

    _pass_over_missing_gpus()
    options = {
        "aot_inductor.output_path": str(folder / "network.so"),
        # They take as long as two networks, and torch would keep them where anybody may have put others: in /tmp.
        "aot_inductor.precompile_headers": False,
        # Of the code between the kernels, whose time is nothing beside theirs.
        "aot_inductor.compile_wrapper_opt_level": "O0",
        "aot_inductor.enable_line_tables": False,
    }
    try:
        # Not by torch.compile's reader of code, which leaves out that autocast is on.
        exported = torch.export.export(_Whole(function, module), (pixels,), strict=False)
        with config.patch(freezing=True):
            library = torch._inductor.aot_compile(exported.module(check_guards=False), (pixels,), options=options)  # noqa: SLF001 - torch's own way to the library inside its packages
    except Exception as error:  # exporter and compiler fail in many ways; all are answered alike
        raise CannotCompile(_reason(error)) from error
    return Path(str(library))


def load_library(
    path: Path, names: Sequence[str], shape: Sequence[int]
) -> Callable[[torch.Tensor], dict[str, torch.Tensor]]:
    """Load what `compile_library` wrote. This runs code of the file: only give what is known to be one's own.

    Nothing is unpickled, unlike by torch's loader of whole packages, and nothing unpacked into ``/tmp``.

    Parameters
    ----------
    path : Path
    names : sequence of str
        Of the tensors of the dict, in its order.
    shape : sequence of int
        Of the batch that it was compiled for.

    Raises
    ------
    RuntimeError
        It cannot be loaded here.
    """
    runner = torch._C._aoti.AOTIModelContainerRunnerCpu(str(path), 1)  # noqa: SLF001 - see above

    def run(pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        if pixels.shape != tuple(shape):  # it would read beyond the end of a smaller one
            raise ValueError(f"a batch of shape {tuple(pixels.shape)}; compiled for {tuple(shape)}: pad or cut it")
        return dict(zip(names, runner.run([pixels]), strict=True))

    return run


def _pass_over_missing_gpus() -> None:
    # Torch warns of a CUDA toolkit without a GPU, which is no concern of a forward pass on the CPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


def find_compiler() -> str | None:
    """Return the C++ compiler that torch would use, or None."""
    candidates = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return next((found for name in candidates if name and (found := shutil.which(name))), None)


def _reason(error: Exception) -> str:
    if not find_compiler():
        return "there is no C++ compiler here"
    if type(error).__name__ == "InvalidCxxCompiler" or "InvalidCxxCompiler" in str(error):
        return f"the C++ compiler does not work ({find_compiler()})"
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"torch cannot compile this network: {lines[0] if lines else type(error).__name__}"
