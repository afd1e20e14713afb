"""Guides in files: the share of each step that each weight takes, as safetensors, which hold no code."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from headstart.extractors.atomic import write_atomically
from headstart.flows.errors import JobError

_ABOUT = "headstart_guide"


def write_guide(path: Path, guide: Mapping[str, npt.NDArray[np.float32]], about: Mapping[str, object]) -> None:
    """Write shares by the parameters' names, with a table of what made them.

    Raises
    ------
    CacheError
        It cannot be written.
    """
    content = {name: np.ascontiguousarray(values) for name, values in guide.items()}
    write_atomically(path, save(content, {_ABOUT: json.dumps(about)}))


def read_guide(path: str | Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read the shares that a guide gives each weight, by the parameters' names.

    Raises
    ------
    JobError
        There is no such file, or it holds no guide.
    """
    try:
        with safe_open(path, framework="np") as file:
            if _ABOUT not in (file.metadata() or {}):
                raise JobError(f"{path}: holds no guide; 'headstart guide' writes one")
            guide = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError) as error:
        raise JobError(f"{path}: no guide can be read there ({error}); 'headstart guide' writes one") from error
    if wrong := [name for name, one in guide.items() if one.dtype != np.float32 or not np.isfinite(one).all()]:
        raise JobError(f"{path}: {wrong[0]!r} holds shares that are no finite float32 numbers; make the guide again")
    return guide
