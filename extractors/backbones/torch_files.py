"""Files that `torch.save` wrote, read without running code: tensors whole, the rest of a training run as blanks."""

import pickle
import re
import threading
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch

from headstart.extractors.errors import WeightsError

_SAFE_GLOBALS = threading.Lock()  # torch keeps them for the whole process


class Blank:
    """Stands for a number, setting or path beside the tensors: made and filled by nothing, and never looked at."""

    def __new__(cls, *_args: object) -> Self:
        """Look at none of what it would be made of."""
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        """Keep nothing of what the file says."""


class _PlainDict:
    """Stands for kinds of dict, which may hold the tensors."""

    def __new__(cls, *_args: object) -> dict[object, object]:  # type: ignore[misc] # torch fills plain ones alone
        """Return an empty dict, whatever its kind would be made of."""
        return {}


_NUMPY = [f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")]
_BLANKS = (
    *(*_NUMPY, "numpy.dtype", "numpy.ndarray", "argparse.Namespace", "builtins.list", "builtins.frozenset"),
    *("builtins.slice", "builtins.range", "datetime.datetime", "datetime.timedelta", "pathlib.Path"),
    *("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath"),
    *("pathlib._local.PosixPath", "pathlib._local.WindowsPath"),  # Python 3.13
)
_DICTS = (
    *("collections.defaultdict", "lightning.fabric.utilities.data.AttributeDict"),
    *("lightning_fabric.utilities.data.AttributeDict", "pytorch_lightning.utilities.parsing.AttributeDict"),
)
_STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    *((Blank, name) for name in _BLANKS),
    *((_PlainDict, name) for name in _DICTS),
]
"""Blanks that stand for other objects in a checkpoint: no function of numpy or Python is called with a file's bytes."""


def read_torch_file(path: Path) -> object:
    """Object that `torch.save` was given; blanks replace all but tensors, texts and plain containers.

    Raises
    ------
    WeightsError
        The file is damaged, of another kind, or holds what could run code.
    """
    _refuse_other_archives(path)
    try:
        with (
            path.open("rb") as file,  # of a path, torch looks at the suffix
            warnings.catch_warnings(),
            _SAFE_GLOBALS,
            torch.serialization.safe_globals(_STAND_INS),
        ):
            # A newer pickle protocol than torch's own is either read or refused; no need to warn before.
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path} {_refusal(str(error))}") from error
    except (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        # torch has no exception of its own for a damaged file; which one comes depends on where the file breaks off.
        first_line = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: no readable checkpoint, damaged or cut short? ({first_line})") from error


def _refuse_other_archives(path: Path) -> None:
    """Tell zip files that `torch.save` did not write, by their tables of contents."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.rpartition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return  # an older format, or damaged, which torch tells in its own words
    if "constants.pkl" in members:
        raise WeightsError(
            f"{path} is a TorchScript program, which holds code and is not loaded; where it was made, save the weights "
            "alone: torch.save(model.state_dict(), 'weights.pth')"
        )
    if "data.pkl" not in members:
        raise WeightsError(
            f"{path} is a zip file that torch.save did not write (an exported program, or arrays of numpy?); where it "
            "was made, save the weights alone: torch.save(model.state_dict(), 'weights.pth')"
        )


def _refusal(message: str) -> str:
    if "legacy .tar format" in message:
        return (
            "is of a format that torch wrote before 2017; load it in a torch of that time and save a state_dict "
            "(torch.save(model.state_dict(), …))"
        )
    if "Unsupported operand" in message and "GLOBAL" not in message:
        return (
            "is damaged, or was saved with another pickle_protocol than torch's own, which its safe reader does not "
            "know; where it was made, save a state_dict without that argument (torch.save(model.state_dict(), …))"
        )
    refused = re.search(r"GLOBAL (\S+)", message)
    what = f" ({refused[1]})" if refused else ""
    return (
        f"is damaged, or holds more than tensors{what}, which could run code and is not loaded; where it "
        "was made, save a state_dict (torch.save(model.state_dict(), …)) or convert it to .safetensors"
    )
