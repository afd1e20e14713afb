"""A network of open_clip (optional) with the weights of a file, read without running code, or random ones."""

import difflib
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

from headstart.extractors.backbones import (
    freeze,
    load_strictly,
    read_checkpoint,
    sha256_of_state,
    strip_prefixes,
    unknown_weights,
)
from headstart.extractors.errors import BackboneError, WeightsError
from headstart.extractors.spec import is_file_argument

PREFIX = "open_clip/"


class Towers(NamedTuple):
    """Network of two towers.

    Attributes
    ----------
    module : torch.nn.Module
        Frozen; its `visual` is the image tower.
    weights, weights_name : str
        As `Backbone` has them.
    """

    module: Any
    weights: str
    weights_name: str


def load_towers(architecture: str, *, weights: str, seed: int = 0) -> Towers:
    """Build a network of open_clip and load its weights; nothing is fetched.

    Parameters
    ----------
    architecture : str
        open_clip's name, such as ``ViT-B-32`` or ``ViT-B-32-quickgelu``.
    weights : str
        Path of a state dict of the whole network, or ``none`` for random ones.
    seed : int
        Of the random weights.

    Raises
    ------
    BackboneError
        open_clip is not installed, or has no network of this name, or cannot build it without fetching.
    WeightsError
        The weights cannot be had, or are of another architecture.
    """
    name = f"{PREFIX}{architecture}"
    module = _built(imported_open_clip(), architecture, seed)
    if weights == "none":
        return Towers(freeze(module), f"random:{sha256_of_state(module.state_dict())}", f"none (random, seed {seed})")
    if weights == "default":
        raise WeightsError(
            f"{name}: its weights are read from a file alone; fetch open_clip_model.safetensors of the model, and give "
            "it by --weights FILE, or random ones by --weights none"
        )
    if not is_file_argument(weights):
        raise unknown_weights(name, weights, ())
    checkpoint = read_checkpoint(Path(weights))
    entries = [strip_prefixes(one, module.state_dict()) for one in checkpoint.entries.values()]
    state = max(entries, key=lambda one: len(module.state_dict().keys() & one.keys()))
    load_strictly(module, state, name=name, checkpoint=checkpoint, head=None)
    return Towers(freeze(module), checkpoint.digest, Path(weights).name)


def imported_open_clip() -> ModuleType:
    """Import open_clip.

    Raises
    ------
    BackboneError
        It is not installed.
    """
    if importlib.util.find_spec("open_clip") is None:
        raise BackboneError("open_clip is not installed, so its models cannot be used: pip install 'headstart[clip]'")
    return importlib.import_module("open_clip")


def _built(open_clip: Any, architecture: str, seed: int) -> Any:
    known = open_clip.list_models()
    if architecture not in known:
        nearest = difflib.get_close_matches(architecture, known, n=3)
        hint = f" Nearest: {', '.join(PREFIX + one for one in nearest)}." if nearest else ""
        raise BackboneError(f"open_clip has no model {architecture!r}.{hint} open_clip.list_models() names all")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return open_clip.create_model(architecture, load_weights=False, pretrained_text=False)
    except Exception as error:  # of whatever library a text tower is built on, which may want to fetch
        raise BackboneError(
            f"{PREFIX}{architecture}: cannot be built from what is installed ({error}); take a model whose text tower "
            "is open_clip's own, such as open_clip/ViT-B-32"
        ) from error
