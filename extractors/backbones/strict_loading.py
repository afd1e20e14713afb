"""Put a checkpoint into a module, strictly: every weight of the one is in the other, in the same shape."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from headstart.extractors.backbones.torchvision_table import guess_architecture
from headstart.extractors.backbones.weights import Checkpoint
from headstart.extractors.errors import WeightsError

# What DataParallel, torch.compile and self-supervised training put in front of every name.
_PREFIXES = ("module.", "_orig_mod.", "backbone.", "encoder.")
_SHOWN = 3


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


def n_classes_of(state: Mapping[str, torch.Tensor], head: str | None) -> int | None:
    """Return the rows of the head's weight, or None for a checkpoint without its classifier."""
    weight = state.get(f"{head}.weight")
    return len(weight) if weight is not None and weight.ndim > 0 and len(weight) > 0 else None


def load_strictly(
    module: nn.Module, state: Mapping[str, torch.Tensor], *, name: str, checkpoint: Checkpoint, head: str | None
) -> None:
    """Copy `state` into `module`; only the classifier may be missing, as a whole, and `MissingHead` then replaces it.

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
    expected = module.state_dict()
    head_names = {key for key in expected if head and key.startswith(f"{head}.")}
    wrong = _integers_for_floats(expected, state)
    try:
        missing, unexpected = module.load_state_dict(_with_version(module, state), strict=False)
    except (RuntimeError, ValueError) as error:
        # Some modules rename or rebuild while they load, so shapes are compared only once that has failed.
        shapes = _other_shapes(expected, state)
        if not shapes:
            raise WeightsError(f"{name}: {checkpoint.source} cannot be loaded: {error}") from error
        missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
        raise WeightsError(_mismatch(name, checkpoint, missing, unexpected, shapes + wrong)) from error
    if head_names and set(missing) == head_names:
        parent, _, leaf = str(head).rpartition(".")
        setattr(module.get_submodule(parent), leaf, MissingHead())
        missing = []
    if missing or unexpected or wrong:
        raise WeightsError(_mismatch(name, checkpoint, missing, unexpected, wrong))


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
) -> str:
    parts = [
        f"{what} {', '.join(list(names)[:_SHOWN])}"
        + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        for what, names in (("missing:", missing), ("unexpected:", unexpected), ("different:", wrong))
        if names
    ]
    guess = guess_architecture(strip_prefixes(checkpoint.state))
    hint = (
        f"By its size it is for {guess}: give --backbone {guess}"
        if guess and guess != name
        else "Give the backbone it was trained as, or another file by --weights"
    )
    return f"{name}: {checkpoint.source} does not fit this architecture; {'; '.join(parts)}. {hint}"
