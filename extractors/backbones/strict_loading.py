"""Put a checkpoint into a module, strictly: every weight of the one is in the other, in the same shape."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from headstart.extractors.backbones.torchvision_table import guess_architecture
from headstart.extractors.backbones.weights import Checkpoint
from headstart.extractors.errors import WeightsError

# What DataParallel, torch.compile and self-supervised training put in front of every name.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.")
_QUANTISED = re.compile(r"zero_point|fake_quant|activation_post_process|\.(SCB|absmax|quant_map|qweight|qzeros)\b")
# A convolution for other channels, as `_other_shapes` writes it.
_CHANNELS = re.compile(r"expected \((\d+), 3, (\d+, \d+)\) found \(\1, (?P<found>\d+), \2\)")
_SHOWN = 3
_WRAPPERS = 3  # around a network, of which an architecture is guessed


class MissingHead(nn.Identity):
    """Stands where a checkpoint without classifier leaves nothing: passes features on, and cannot be read as logits."""


def strip_prefixes(state: Mapping[str, torch.Tensor], expected: Collection[str] = ()) -> Mapping[str, torch.Tensor]:
    """Take wrappers' prefixes off, each only if every name has it and no name is expected as it stands.

    Parameters
    ----------
    state : mapping of str to torch.Tensor
        A state dict; returned itself where nothing is taken off, so that its version metadata is kept.
    expected : collection of str
        The module's own names, for a module whose names do begin with such a prefix.
    """
    while not any(name in expected for name in state):
        prefix = next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def load_strictly(
    module: nn.Module, state: Mapping[str, torch.Tensor], *, name: str, checkpoint: Checkpoint, head: str | None
) -> None:
    """Copy `state` into `module`; only the classifier may be missing, as a whole, and `MissingHead` then replaces it.

    A classifier may have another number of classes than the module was built with.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place; half loaded, and to be thrown away, after an error.
    state : mapping of str to torch.Tensor
        The checkpoint's tensors after renaming.
    name, checkpoint : str, Checkpoint
        The backbone, and where `state` comes from: for messages.
    head : str or None
        Dotted name of the classifier.

    Raises
    ------
    WeightsError
        A weight is missing, unexpected, of another shape, or no floating-point number where one is needed.
    """
    if head:
        _resize_head(module.get_submodule(head), state.get(f"{head}.weight"))
    expected = module.state_dict()
    head_names = {key for key in expected if head and key.startswith(f"{head}.")}
    wrong = _integers_for_floats(expected, state)
    try:
        missing, unexpected = module.load_state_dict(_with_version(module, state), strict=False)
    except (RuntimeError, ValueError) as error:
        # Some modules rename or rebuild while they load, so shapes are compared only once that has failed.
        wrong = _other_shapes(expected, state) + wrong
        if not wrong:
            raise WeightsError(f"{name}: {checkpoint.source} cannot be loaded: {error}") from error
        missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
        raise _mismatch(name, checkpoint, missing, unexpected, wrong) from error
    if head_names and set(missing) == head_names:
        parent, _, leaf = str(head).rpartition(".")
        setattr(module.get_submodule(parent), leaf, MissingHead())
        missing = []
    if missing or unexpected or wrong:
        raise _mismatch(name, checkpoint, missing, unexpected, wrong)


def _resize_head(layer: nn.Module, weight: torch.Tensor | None) -> None:
    """Give a classifier as many outputs as a checkpoint's, whose values are copied into it afterwards."""
    if not isinstance(layer, nn.Linear | nn.Conv2d) or weight is None or weight.shape[1:] != layer.weight.shape[1:]:
        return
    layer.weight = nn.Parameter(torch.empty_like(weight, dtype=layer.weight.dtype))
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.new_empty(len(weight)))
    setattr(layer, "out_features" if isinstance(layer, nn.Linear) else "out_channels", len(weight))


def _with_version(module: nn.Module, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """Return `state` with the module's own layout version where the file has none (safetensors; a stripped prefix).

    Without it torchvision's mnasnet refuses to load. Only the root's: an old batch norm without version is filled up.
    """
    if hasattr(state, "_metadata"):
        return state
    versioned: Any = dict(state)
    own: Any = module.state_dict()
    result: Any = type(own)(versioned)
    # torch keeps the versions in this attribute of the mapping; there is no public way to set them.
    result._metadata = {"": own._metadata.get("", {})}  # noqa: SLF001
    return result  # type: ignore[no-any-return] # an OrderedDict of tensors; Any only because of the attribute


def _other_shapes(expected: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> list[str]:
    return [
        f"{name} expected {tuple(tensor.shape)} found {tuple(state[name].shape)}"
        for name, tensor in expected.items()
        if name in state and tensor.shape != state[name].shape
    ]


def _integers_for_floats(expected: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> list[str]:
    """Find quantised weights, which would be copied as if their integers were the numbers meant."""
    return [
        f"{name} expected {tensor.dtype} found {state[name].dtype}"
        for name, tensor in expected.items()
        if name in state and tensor.is_floating_point() and not state[name].is_floating_point()
    ]


def _mismatch(
    name: str, checkpoint: Checkpoint, missing: Collection[str], unexpected: Collection[str], wrong: Collection[str]
) -> WeightsError:
    parts = [
        f"{what} {', '.join(list(names)[:_SHOWN])}"
        + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        for what, names in (("missing:", missing), ("unexpected:", unexpected), ("different:", wrong))
        if names
    ]
    return WeightsError(
        f"{name}: {checkpoint.source} does not fit this architecture; {'; '.join(parts)}. "
        f"{_next_step(name, checkpoint, wrong)}"
    )


def _next_step(name: str, checkpoint: Checkpoint, wrong: Collection[str]) -> str:
    if any(_QUANTISED.search(key) for entry in checkpoint.entries.values() for key in entry) or any(
        " found torch." in one for one in wrong
    ):
        return "These weights are quantised; give those in floating-point numbers from which they were made"
    channels = [match for one in wrong if (match := _CHANNELS.search(one)) and match["found"] != "3"]
    if channels and len(wrong) == 1:
        taken = "1 channel" if channels[0]["found"] == "1" else f"{channels[0]['found']} channels"
        return (
            f"It was trained on images of {taken}, and images here have 3, grey ones too; give "
            "weights for 3 channels, or the network as a callable of yours that makes its own input of them "
            "(--backbone MODULE:CALLABLE)"
        )
    for entry in checkpoint.entries.values():
        inner: Mapping[str, torch.Tensor] = entry
        for _ in range(_WRAPPERS):
            guess = guess_architecture(strip_prefixes(inner))
            if guess and guess != name:
                return f"By its size it is for {guess}: give --backbone {guess}"
            ((most, _),) = Counter(key.partition(".")[0] for key in inner).most_common(1)
            within = {key.partition(".")[2]: inner[key] for key in inner if key.startswith(f"{most}.")}
            inner = within or inner
    return "Give the backbone it was trained as, or another file by --weights"
