"""Entry of a checkpoint that fits an architecture, under whichever name and prefix a training script has put it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from headstart.extractors.backbones.strict_loading import strip_prefixes
from headstart.extractors.backbones.weights import Checkpoint
from headstart.extractors.errors import WeightsError

State = Mapping[str, torch.Tensor]

# Entries and prefixes that hold the network itself: one of these goes before an average, a teacher or a twin.
_PLAIN = (
    *("state_dict", "model_state_dict", "model", "model_state", "net", "network", "module", "_orig_mod", "params"),
    *("weights", "backbone", "encoder"),
)
# Wrappers that may stand around a part of a network, too.
_INNER_WRAPPERS = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# Names that classifiers, and what stands in their place, have at the top of a network.
_HEADS = re.compile(r"(\w+_)?(fc|heads?(_dist)?|classifiers?|linear|logits|proj|projector|projection|predictor)\d*")
_TELLING = 10  # with fewer tensors, a network could be found by chance as a part of another
_COUNTERS = "num_batches_tracked"  # old files have none
_COUNT_OF_AVERAGES = "n_averaged"  # torch's AveragedModel has it beside the network
_SHOWN = 2


@dataclass(frozen=True)
class Entry:
    """The tensors of a checkpoint that go into an architecture.

    Attributes
    ----------
    state : mapping of str to torch.Tensor
        By the architecture's own names.
    head : str or None
        Dotted name of the classifier; of the layer around it where that was replaced as a whole.
    notes : tuple of str
        What was chosen or left out.
    fits : bool
        False for the nearest of entries of which none fits.
    """

    state: State
    head: str | None
    notes: tuple[str, ...] = ()
    fits: bool = True


@dataclass(frozen=True)
class _Candidate:
    place: str
    prefix: str
    state: State
    beside: Sequence[str]

    @property
    def name(self) -> str:
        return ".".join(filter(None, (self.place, self.prefix.rstrip(".")))) or "the file itself"

    def rank(self) -> tuple[int, ...] | None:
        """Return its place among plain names; None where it is called otherwise."""
        words = [word for word in (*self.place.split("."), *self.prefix.split(".")) if word]
        return tuple(_PLAIN.index(word) for word in words) if set(words) <= set(_PLAIN) else None


def find_entry(
    checkpoint: Checkpoint,
    module: nn.Module,
    head: str | None,
    *,
    renamed: Callable[[State], State] = lambda state: state,
    free: re.Pattern[str] | None = None,
) -> Entry:
    """Find the one entry whose backbone is the module's, whole; whatever stands in the classifier's place is left out.

    Where none is, the entry that comes nearest is returned, which `load_strictly` refuses with what is wrong.

    Parameters
    ----------
    module : torch.nn.Module
        Of the architecture, with a classifier of any size.
    head : str or None
        Dotted name of the classifier.
    renamed : callable
        Brings names of published files to the module's own.
    free : re.Pattern, optional
        Names of tensors whose shapes go with the size of the images.

    Raises
    ------
    WeightsError
        Several fit, with other numbers, and none is plainly the one that is meant.
    """
    expected = {name: value for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    for part in dict.fromkeys((head, head and head.partition(".")[0])):
        backbone = {
            name: None if free and free.search(name) else tensor.shape
            for name, tensor in expected.items()
            if not _is_under(name, part) and not name.endswith(_COUNTERS)
        }
        found = [
            one
            for one in _candidates(checkpoint, backbone, renamed)
            if _fits(one.state, backbone)
            and not _strange(one.state, expected, part)
            and (part == head or _is_replaced(one.state, expected, part))
        ]
        if found:
            chosen, notes = _choose(found, backbone, checkpoint)
            return _without_other_head(chosen, expected, part, notes)
    entries = [renamed(strip_prefixes(entry, expected)) for entry in checkpoint.entries.values()]
    return Entry(max(entries, key=lambda state: len(expected.keys() & state.keys())), head, fits=False)


def _is_under(name: str, part: str | None) -> bool:
    return part is not None and name.startswith(f"{part}.")


def _candidates(
    checkpoint: Checkpoint, backbone: Mapping[str, object], renamed: Callable[[State], State]
) -> Iterator[_Candidate]:
    """Yield each entry under each prefix at which a name of the backbone stands."""
    anchor = next(iter(backbone), None)
    for place, entry in checkpoint.entries.items():
        state = entry
        if any(_INNER_WRAPPERS.search(name) for name in entry):
            state = {_INNER_WRAPPERS.sub("", name): tensor for name, tensor in entry.items()}
        for name in state:
            if anchor and (name == anchor or name.endswith(f".{anchor}")):
                prefix = name.removesuffix(anchor)
                beside = [name for name in state if not name.startswith(prefix)]
                if not beside or len(backbone) >= _TELLING:
                    own = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
                    yield _Candidate(place, prefix, renamed(own if prefix else state), beside)


def _fits(state: State, backbone: Mapping[str, torch.Size | None]) -> bool:
    return all(name in state and (shape is None or state[name].shape == shape) for name, shape in backbone.items())


def _strange(state: State, expected: Mapping[str, torch.Tensor], part: str | None) -> bool:
    """Tell whether there are weights that are neither the module's nor stand where a classifier would."""
    others = [name for name in state if name not in expected and not _is_under(name, (part or "").partition(".")[0])]
    has_own = any(_is_under(name, part) for name in state)
    return any(has_own or not _HEADS.fullmatch(name.partition(".")[0]) for name in others)


def _is_replaced(state: State, expected: Mapping[str, torch.Tensor], part: str | None) -> bool:
    """Tell layers that took a classifier's place from a classifier that is merely not there."""
    return any(
        name not in expected or (_is_under(name, part) and tensor.shape != expected[name].shape)
        for name, tensor in state.items()
    )


def _choose(
    found: Sequence[_Candidate], backbone: Mapping[str, object], checkpoint: Checkpoint
) -> tuple[_Candidate, list[str]]:
    """Return the candidate that is meant, and a note where others fit too."""
    different = [found[0]]
    for one in found[1:]:
        if not any(all(torch.equal(one.state[name], known.state[name]) for name in backbone) for known in different):
            different.append(one)
    if len(different) == 1:
        return found[0], []
    ranked = sorted((rank, number) for number, one in enumerate(different) if (rank := one.rank()) is not None)
    names = ", ".join(repr(one.name) for one in different)
    if not ranked:
        raise WeightsError(
            f"{checkpoint.source} holds {len(different)} networks that fit ({names}), and none is plainly the one that "
            "is meant; save that one alone: torch.save(network.state_dict(), 'weights.pth')"
        )
    chosen = different[ranked[0][1]]
    note = f"{checkpoint.source} holds {len(different)} networks that fit ({names}); {chosen.name!r} is taken"
    return chosen, [f"{note}: for another, save that one alone"]


def _without_other_head(
    chosen: _Candidate, expected: Mapping[str, torch.Tensor], part: str | None, notes: list[str]
) -> Entry:
    """Leave out the classifier where it is not the architecture's in all but the number of classes."""
    own = {name: tensor for name, tensor in expected.items() if _is_under(name, part)}
    found = {name: tensor for name, tensor in chosen.state.items() if name in own}
    beyond = [name for name in chosen.state if name not in expected]
    whole = found.keys() == own.keys() and all(found[name].shape[1:] == own[name].shape[1:] for name in own)
    whole = whole and len({len(tensor) for tensor in found.values() if tensor.ndim}) <= 1
    half = bool(found) and not beyond and all(found[name].shape == own[name].shape for name in found)
    dropped = beyond if whole or half else [*found, *beyond]
    state = {name: chosen.state[name] for name in chosen.state if name not in dropped} if dropped else chosen.state
    if dropped:
        notes = [*notes, f"the classifier of the weights is left out, as it was replaced ({_shown(dropped)})"]
    if left := [name for name in chosen.beside if name != _COUNT_OF_AVERAGES]:
        notes = [*notes, f"of the weights, what stands beside the backbone is left out ({_shown(left)})"]
    return Entry(state, part, tuple(notes))


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
