"""Backbones from timm (optional), each with the preprocessing that its weights were trained with."""

import contextlib
import difflib
import importlib.util
import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import torch
from torch import nn

from headstart.extractors.backbones.backbone import Backbone, freeze, refuse_part_patches
from headstart.extractors.backbones.fitting_entry import find_entry
from headstart.extractors.backbones.strict_loading import load_strictly
from headstart.extractors.backbones.weights import (
    CONNECT_SECONDS,
    not_fetched,
    read_checkpoint,
    sha256_of_state,
    short_timeouts,
    unknown_weights,
)
from headstart.extractors.errors import BackboneError, WeightsError
from headstart.extractors.spec import Interpolation, Preprocessing, is_file_argument

# Tensors whose shapes go with the size of the images.
_POSITIONS = re.compile(r"pos_embed|relative_position_bias_table|attention_biases|rel_pos")


def is_installed() -> bool:
    """Tell whether timm can be imported, without importing it."""
    return importlib.util.find_spec("timm") is not None


def load_timm(architecture: str, *, weights: str, seed: int, image_size: int | None = None) -> Backbone:
    """Build a timm model and load its weights.

    Parameters
    ----------
    architecture : str
        timm's name, with or without the tag of its weights: "vit_tiny_patch16_224.augreg_in21k_ft_in1k".
    weights : str
        "default" (from timm's hub, or its cache on disk), "none", or the path of a file with timm's own names.
    seed : int
        Of the random weights; used with "none" only.
    image_size : int, optional
        Pixels a side for which a model that has positions is built, in place of those of its weights.

    Raises
    ------
    BackboneError
        timm is not installed, has no such model, its preprocessing cannot be expressed, or its patches do not fill
        images of this size.
    WeightsError
        The weights cannot be had, or are for another architecture.
    """
    timm = imported_timm()
    name = f"timm/{architecture}"
    _check_known(timm, architecture)
    if weights == "none":
        module = _create(timm, architecture, image_size, seed=seed)
        digest, weights_name = f"random:{sha256_of_state(module.state_dict())}", f"none (random, seed {seed})"
    elif weights == "default":
        module = _pretrained(timm, architecture, image_size)
        # timm changes what it reads (position embeddings, names), so the file alone would not tell the numbers.
        digest = f"state-sha256:{sha256_of_state(module.state_dict())}"
        weights_name = module.pretrained_cfg.get("tag") or "default"
    elif is_file_argument(weights):
        return _from_file(timm, architecture, Path(weights), image_size)
    else:
        raise unknown_weights(name, weights, ())
    return _backbone(name, module, digest, weights_name, _preprocessing(timm, module, name))


def _backbone(name: str, module: Any, digest: str, weights_name: str, preprocessing: Preprocessing) -> Backbone:
    return Backbone(
        name=name,
        weights=digest,
        weights_name=weights_name,
        preprocessing=preprocessing,
        head=_head(module),  # may change the module, so it comes before the module is frozen
        module=freeze(module),
        channels_last=getattr(module, "output_fmt", None) == "NHWC",
        prefix_tokens=getattr(module, "num_prefix_tokens", 0),
        class_token=getattr(module, "has_class_token", getattr(module, "cls_token", None) is not None),
    )


def imported_timm() -> ModuleType:
    """Import timm.

    Raises
    ------
    BackboneError
        It is not installed.
    """
    if not is_installed():
        raise BackboneError("timm is not installed, so its models cannot be used: pip install 'headstart[timm]'")
    return importlib.import_module("timm")


def _check_known(timm: Any, architecture: str) -> None:
    base, _, tag = architecture.partition(".")
    if not timm.is_model(base):
        nearest = difflib.get_close_matches(base, timm.list_models(), n=3)
        hint = f" Nearest: {', '.join(f'timm/{name}' for name in nearest)}." if nearest else ""
        raise BackboneError(
            f"timm {timm.__version__} has no model {base!r}.{hint} See 'headstart backbones \"timm/*\"'"
        )
    if tag and not timm.is_model_pretrained(architecture):
        known = [name.partition(".")[2] for name in timm.list_pretrained(f"{base}.*")]
        raise BackboneError(f"timm/{base} has no weights {tag!r}; known: {', '.join(known) or 'none'}")


def _create(timm: Any, architecture: str, image_size: int | None, *, seed: int = 0, **options: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if image_size is None:
            return timm.create_model(architecture, **options)
        try:
            module = timm.create_model(architecture, img_size=image_size, **options)
        except TypeError as error:  # of a network without positions, which takes images of many sizes as it is
            if "img_size" not in str(error):
                raise
            torch.manual_seed(seed)
            return timm.create_model(architecture, **options)
    if (patch := getattr(getattr(module, "patch_embed", None), "patch_size", None)) is not None:
        refuse_part_patches(f"timm/{architecture}", image_size, max(patch))
    return module


def _from_file(timm: Any, architecture: str, path: Path, image_size: int | None) -> Backbone:
    checkpoint = read_checkpoint(path)
    module = _create(timm, architecture, image_size)
    name = f"timm/{architecture}"
    entry = find_entry(checkpoint, module, _head(module), free=_POSITIONS)
    positions = {key: tensor.shape for key, tensor in module.state_dict().items() if _POSITIONS.search(key)}
    other_size = entry.fits and any(entry.state[key].shape != shape for key, shape in positions.items())
    state, notes = entry.state, entry.notes
    if other_size:
        state = _resampled(module, state, f"{name}: {path}")
        notes = (*notes, f"the positions of {path.name} are for images of another size, and were resampled")
    load_strictly(module, state, name=name, checkpoint=checkpoint, head=entry.head)
    # Resampled numbers go with timm's version, so that the file alone would not tell them.
    digest = f"state-sha256:{sha256_of_state(module.state_dict())}" if other_size else checkpoint.digest
    backbone = _backbone(name, module, digest, path.name, _preprocessing(timm, module, name))
    return replace(backbone, head=entry.head, notes=notes)


def _resampled(module: nn.Module, state: Mapping[str, torch.Tensor], where: str) -> Mapping[str, torch.Tensor]:
    """Return a state dict whose positions timm has brought to the module's size, where its family has a way."""
    way = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    try:
        with warnings.catch_warnings():  # of how timm calls torch
            warnings.simplefilter("ignore", UserWarning)
            resampled: Mapping[str, torch.Tensor] = way(dict(state), module) if way else state
    except (RuntimeError, AssertionError) as error:
        raise WeightsError(
            f"{where}: its positions are for images of another size, and timm cannot resample them (the images were "
            "no squares?); give weights for square images"
        ) from error
    return resampled


def _pretrained(timm: Any, architecture: str, image_size: int | None) -> Any:
    config = timm.get_pretrained_cfg(architecture)
    if config is None or not config.has_weights:
        raise WeightsError(f"timm/{architecture} has no published weights; give --weights FILE or --weights none")
    if config.hf_hub_id:
        overlay = {"file": str(_hub_file(architecture, config))}
        return _create(timm, architecture, image_size, pretrained=True, pretrained_cfg_overlay=overlay)
    with _fetching(architecture, config.url):
        return _create(timm, architecture, image_size, pretrained=True)


def _hub_file(architecture: str, config: Any) -> Path:
    """Return the weights in the hub's cache, fetched if need be; asks once, where timm retries for most of a minute."""
    import huggingface_hub  # noqa: PLC0415 - comes with timm and takes a second: only for who uses it

    for filename in hub_names(config):
        cached = huggingface_hub.try_to_load_from_cache(config.hf_hub_id, filename)
        if isinstance(cached, str):
            return Path(cached)
    names = hub_names(config)
    for filename in names:
        url = huggingface_hub.hf_hub_url(config.hf_hub_id, filename)
        with _fetching(architecture, url):
            try:
                huggingface_hub.get_hf_file_metadata(url, timeout=CONNECT_SECONDS)
            except huggingface_hub.errors.EntryNotFoundError:
                if filename != names[-1]:
                    continue
                raise
            return Path(huggingface_hub.hf_hub_download(config.hf_hub_id, filename))
    raise WeightsError(f"timm/{architecture}: {config.hf_hub_id} holds none of {', '.join(names)}")


def hub_names(config: Any) -> list[str]:
    """Return the names that the weights may have in the hub, in timm's own order: safetensors first."""
    name = config.hf_hub_filename or "pytorch_model.bin"
    safe = {"pytorch_model.bin": "model.safetensors"}.get(name, str(Path(name).with_suffix(".safetensors")))
    return [safe, name] if name.endswith((".bin", ".pth")) else [name]


@contextlib.contextmanager
def _fetching(architecture: str, origin: str) -> Iterator[None]:
    looked_for = Path(torch.hub.get_dir()) / "checkpoints" / Path(origin).name
    try:
        with short_timeouts():
            yield
    except Exception as error:
        # The hub's client raises errors of whichever HTTP library its version is built on, so they cannot be listed.
        raise not_fetched(f"timm/{architecture}: its weights", origin, looked_for, error) from error


def _head(module: Any) -> str | None:
    """Return the classifier's name, or None where the module's own output is the penultimate tap.

    A model with two classifiers (distilled) loses both, so that its output is what goes into them.
    """
    classifier = module.get_classifier()
    if isinstance(classifier, tuple):
        module.reset_classifier(0)
        return None
    return next((name for name, layer in module.named_modules() if layer is classifier), None)


def _preprocessing(timm: Any, module: nn.Module, name: str) -> Preprocessing:
    config = timm.data.resolve_model_data_config(module)
    channels, height, width = config["input_size"]
    scaled = (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"]))
    resize: int | tuple[int, int]
    if config["crop_mode"] == "squash":
        resize = scaled
    elif config["crop_mode"] == "center" and height == width:
        resize = scaled[0]
    else:
        raise BackboneError(f"{name}: crop mode {config['crop_mode']!r} of {height} by {width} pixels is not supported")
    if channels != 3 or config["interpolation"] not in get_args(Interpolation):
        raise BackboneError(
            f"{name}: takes {channels} channels with {config['interpolation']} interpolation; supported are 3 channels "
            f"with {', '.join(get_args(Interpolation))}"
        )
    return Preprocessing(
        resize=resize,
        crop=(height, width),
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
