"""Backbones that come from no model zoo: Headstart's own three, and any module that a callable of yours returns."""

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from headstart.extractors.backbones import small_cnn
from headstart.extractors.backbones.backbone import Backbone, BackboneInfo, freeze
from headstart.extractors.backbones.fitting_entry import find_entry
from headstart.extractors.backbones.strict_loading import load_strictly
from headstart.extractors.backbones.weights import read_checkpoint, sha256_of_state, unknown_weights
from headstart.extractors.errors import BackboneError, WeightsError
from headstart.extractors.spec import Preprocessing, is_file_argument


class Pixels(nn.Module):
    """The image itself as features: what any encoder has to beat."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n_images, 3·H·W) for images (n_images, 3, H, W)."""
        return images.flatten(1)


class RawPixels(nn.Module):
    """Mean colours on a coarse grid: as many features for images of any size, and a control for what networks put out.

    Features of a network that tell classes no better than these are not worth the network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.grid = nn.Sequential(nn.AdaptiveAvgPool2d(_GRID), nn.Flatten())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n_images, 3·16·16) for images (n_images, 3, H, W)."""
        means: torch.Tensor = self.grid(images)
        return means


@dataclass(frozen=True)
class _Own:
    build: Callable[[int], nn.Module]
    preprocessing: Preprocessing
    head: str | None
    feature_size: int
    gflops: float


_GRID = 16
_PIXELS = Preprocessing(resize=32, crop=(32, 32), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
_RAW_PIXELS = replace(_PIXELS, resize=256, crop=(224, 224))  # as most networks of photographs see them

OWN = {
    "small_cnn": _Own(small_cnn.SmallCNN, small_cnn.PREPROCESSING, "classifier", small_cnn.FEATURE_SIZE, 0.0028),
    "pixels": _Own(lambda _n_classes: Pixels(), _PIXELS, None, 3 * 32 * 32, 0.0),
    "raw_pixels": _Own(lambda _n_classes: RawPixels(), _RAW_PIXELS, None, 3 * _GRID**2, 0.0),
}
_SMALL_CNN_CLASSES = 10
_LIBRARIES = ("abc", "builtins", "timm", "torch", "torchvision", "typing")


def describe_own(architecture: str) -> BackboneInfo:
    """Return the row of one of Headstart's own backbones."""
    own = OWN[architecture]
    n_parameters = sum(parameter.numel() for parameter in own.build(_SMALL_CNN_CLASSES).parameters())
    return BackboneInfo(
        name=f"headstart/{architecture}",
        source="headstart",
        parameters=n_parameters,
        gflops=own.gflops,
        feature_size=own.feature_size,
        input_size=own.preprocessing.crop,
        top1=None,
        weights_on_disk=n_parameters == 0,
    )


def load_own(architecture: str, *, weights: str, seed: int) -> Backbone:
    """Build one of Headstart's own backbones.

    Parameters
    ----------
    architecture : str
        A key of `OWN`.
    weights : str
        The path of a file, or "none" for random weights; "default" only where there are no weights.
    seed : int
        Of the random weights.

    Raises
    ------
    WeightsError
        There are no such weights, or they are for another architecture.
    """
    own = OWN[architecture]
    name = f"headstart/{architecture}"
    module = _seeded(lambda: own.build(_SMALL_CNN_CLASSES), seed)
    if weights == "default" and module.state_dict():
        raise WeightsError(
            f"{name} has no published weights; give your own by --weights FILE, or random by --weights none"
        )
    return _loaded(name, module, own.preprocessing, own.head, weights, seed)


def load_callable(name: str, *, weights: str, seed: int) -> Backbone:
    """Build what a callable returns; its output is the penultimate tap, its `preprocessing` is used if it has one.

    What it computes may change while its weights stay the same, so `Backbone.weights` ends with a hash of its code.

    Parameters
    ----------
    name : str
        "mypackage.models:build": imported, and called without arguments under `seed`.
    weights : str
        "default" keeps what the callable has loaded or drawn; "none" says that it is random; else the path of a file.
    seed : int
        Set while the callable runs.

    Raises
    ------
    BackboneError
        It cannot be imported or called, or gives no `torch.nn.Module`.
    WeightsError
        The file does not fit the module.
    """
    build = _import(name)
    try:
        module = _seeded(build, seed)
    except Exception as error:
        raise BackboneError(f"{name}: calling it without arguments raised {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise BackboneError(f"{name}: returned a {type(module).__name__}, expected a torch.nn.Module")
    preprocessing = getattr(module, "preprocessing", None)
    if preprocessing is None:
        preprocessing = Preprocessing()
    if not isinstance(preprocessing, Preprocessing):
        raise BackboneError(
            f"{name}: its `preprocessing` is a {type(preprocessing).__name__}, expected an "
            "headstart.extractors.spec.preprocessing.Preprocessing"
        )
    code = _code_digest(build, module)  # before the module is frozen and its weights are replaced
    backbone = _loaded(name, module, preprocessing, None, weights, seed)
    return replace(backbone, weights=f"{backbone.weights}+code-sha256:{code}")


def _code_digest(build: Callable[[], nn.Module], module: nn.Module) -> str:
    """Return the SHA-256 (hex) over the callable, the structure of the module, and the classes that it is made of.

    Classes of torch, torchvision and timm are left out, or every update of theirs would cost all embeddings. What a
    class calls elsewhere (a function beside it) is not seen.
    """
    kinds = {base for part in module.modules() for base in type(part).__mro__ if not _is_of_library(base)}
    sources = sorted(_source(thing) for thing in (kinds if _is_of_library(build) else [*kinds, build]))
    structure = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(module))  # addresses differ from run to run
    return hashlib.sha256("\0".join([structure, *sources]).encode()).hexdigest()


def _is_of_library(thing: object) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] in _LIBRARIES


def _source(thing: object) -> str:
    name = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"
    try:
        return f"{name}\n{inspect.getsource(thing)}"  # type: ignore[arg-type] # what has no source is a TypeError
    except (OSError, TypeError):
        return f"{name}\nno source"  # made in C, or at a prompt


def _import(name: str) -> Callable[[], nn.Module]:
    module_name, _, attribute = name.partition(":")
    try:
        found = getattr(_imported(module_name), attribute)
    except AttributeError as error:
        raise BackboneError(f"{name}: the module {module_name} has no {attribute!r}") from error
    except Exception as error:
        raise BackboneError(
            f"{name}: importing {module_name!r} raised {type(error).__name__}: {error}; is its folder on PYTHONPATH?"
        ) from error
    if not callable(found):
        raise BackboneError(
            f"{name}: found a {type(found).__name__}, expected a callable that returns a torch.nn.Module"
        )
    return found  # type: ignore[no-any-return] # what it returns is checked by the caller


def _imported(module_name: str) -> ModuleType:
    """Import a module; one that is installed nowhere, from the current folder, behind all else."""
    top = module_name.partition(".")[0]
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        here = Path.cwd()
        if error.name != top or str(here) in sys.path or not any((here / one).exists() for one in (f"{top}.py", top)):
            raise
        sys.path.append(str(here))
        importlib.invalidate_caches()
        return importlib.import_module(module_name)


def _seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _loaded(
    name: str, module: nn.Module, preprocessing: Preprocessing, head: str | None, weights: str, seed: int
) -> Backbone:
    own = module.state_dict()
    notes: tuple[str, ...] = ()
    if not own and weights in {"default", "none"}:
        digest, weights_name = "none", "none (no parameters)"
    elif not own:
        raise WeightsError(f"{name} has no weights, so none can be loaded from {weights}; leave --weights out")
    elif weights == "none":
        digest, weights_name = f"random:{sha256_of_state(own)}", f"none (random, seed {seed})"
    elif weights == "default":
        digest, weights_name = f"state-sha256:{sha256_of_state(own)}", f"as built by {name}"
    elif is_file_argument(weights):
        checkpoint = read_checkpoint(Path(weights))
        entry = find_entry(checkpoint, module, head)
        load_strictly(module, entry.state, name=name, checkpoint=checkpoint, head=entry.head)
        head, notes = entry.head, entry.notes
        digest, weights_name = checkpoint.digest, Path(weights).name
    else:
        raise unknown_weights(name, weights, ())
    return Backbone(name, digest, weights_name, freeze(module), preprocessing, head, notes=notes)
