"""Commands that do what is advised, and those that make what was missing to advise better."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from headstart.extractors.network import LayerRow, describe_network
from headstart.extractors.spec import short_name
from headstart.flows.output import nearby
from headstart.flows.problem import Embedded, Problem
from headstart.flows.transfer.advice.layers import Kind
from headstart.flows.transfer.ranking import network_of
from headstart.heads.transfer.advice import Advice

_TAIL = 0.25  # share of the multiply-adds that the last layers have
_DEPTHS = (0.4, 0.6, 0.8)  # of earlier layers that are worth a look


def commands_for(advice: Advice, network: Embedded, cache: Path) -> list[str]:
    """Return the commands that do what is advised.

    Parameters
    ----------
    advice : Advice
    network : Embedded
        Any layer of the network that the advice is about.
    cache : Path
        As it was given.
    """
    name, place = short_name(network.backbone), nearby(str(cache))
    if advice.action in ("linear-last", "linear-earlier"):  # where a control does as well, it takes part
        only = [] if advice.transfer in ("unproven", "negative") else ["--backbone", name]
        return [_line("fit", place, *only, "--head", "logreg", "ridge", "lda", "dummy")]
    starts = [row.name for row in _rows(network.backbone) if row.can_start]
    tail, first = _tail_of(network.backbone) or "LAYER", starts[0] if starts else "LAYER"
    layer = tail if advice.action == "finetune-tail" else first
    how = ["--start", "linear", "--layer-decay", "0.5", "--learning-rate", "0.001"]
    weights = ["--weights", network.store.about["weights_source"]]  # the cache may hold random ones, too
    return [_line("finetune", place, "--backbone", name, *weights, "--from", layer, *how)]


def commands_to_measure(
    problem: Problem, network: Embedded, cache: Path, *, lacking: Collection[Kind], layers: bool
) -> list[str]:
    """Return the commands that make what is missing: controls, and earlier layers where there are none."""
    images, place, name = str(problem.root), nearby(str(cache)), short_name(network.backbone)
    source = network.store.about["weights_source"]
    found = []
    if "raw pixels" in lacking:
        found.append(_line("extract", images, "--backbone", "raw_pixels", "--cache", place))
    if "random weights" in lacking:
        found.append(_line("extract", images, "--backbone", name, "--weights", "none", "--cache", place))
    if layers:
        taps = [f"{one}:avg" for one in _earlier_of(network.backbone)] or ["LAYER:avg"]
        weights = [] if source == "default" else ["--weights", source]
        found.append(_line("extract", images, "--backbone", name, *weights, "--tap", *taps, "--cache", place))
    return found


def _line(*words: str) -> str:
    return shlex.join(["headstart", *words])


def _rows(backbone: str) -> Sequence[LayerRow]:
    """Return the blocks of a network in their order; none of somebody's own code, which is not run here."""
    network = network_of(backbone)
    if network is None or network.head is None:
        return []
    head = network.head.split(".")[0]
    return [row for row in describe_network(network).layers if row.outline and row.name.split(".")[0] != head]


def _tail_of(backbone: str) -> str | None:
    """Return the layer from which on a network has about a quarter of its work."""
    rows = [row for row in _rows(backbone) if row.can_start]
    total, done = sum(row.multiply_adds for row in rows), 0
    for row in reversed(rows):
        done += row.multiply_adds
        if done >= _TAIL * total:
            return row.name
    return None


def _earlier_of(backbone: str) -> list[str]:
    rows = [row.name for row in _rows(backbone) if row.can_tap and row.shape and len(row.shape) > 1 and row.can_cut]
    return list(dict.fromkeys(rows[int(depth * len(rows))] for depth in _DEPTHS)) if len(rows) > 1 else []
