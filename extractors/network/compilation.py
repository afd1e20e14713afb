"""Compiling the forward pass, where there is a compiler for it."""

import logging
import os
import shutil
from collections.abc import Callable
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

        # It warns of a CUDA toolkit without a GPU, which is no concern of a forward pass on the CPU.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
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
