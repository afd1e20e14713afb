"""Precision that layers compute in while they are trained: bfloat16 where it is fast and agrees, by counts alone."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from headstart.extractors.network import Tail, has_fast_bf16
from headstart.flows.fitting.finetuning.trunk import Trunk
from headstart.flows.options import TailPrecision
from headstart.heads.finetuning import Precision, as_batch

LEAST_COSINE = 0.999
"""Between logits in bfloat16 and in float32, as `extractors.tuning.fidelity` has it for features."""

LEAST_SHARE = 0.5
"""Of a tail's multiply-adds, that of convolutions: their steps are 1.4 to 1.9 times as fast, attention is not."""

_N_COMPARED = 16


@dataclass
class Precisions:
    """Precisions of tails, each settled once on the first rows that it is trained on; `note` says why, of the last.

    Attributes
    ----------
    asked : {"auto", "fp32", "bf16"}
    device : str
        Where they train: bfloat16 has to be fast there.
    note : str
    """

    asked: TailPrecision
    device: str = "cpu"
    note: str = ""
    _settled: dict[str, tuple[Precision, str]] = field(default_factory=dict)

    def of(self, trunk: Trunk, rows: Any) -> Precision:
        """Return the precision of the tail of a trunk.

        Parameters
        ----------
        trunk : Trunk
        rows : Rows
            That it is trained on.
        """
        if trunk.layer not in self._settled:
            self._settled[trunk.layer] = self._settle(trunk.tail, rows)
        precision, self.note = self._settled[trunk.layer]
        return precision

    def _settle(self, tail: Tail, rows: Any) -> tuple[Precision, str]:
        if self.asked != "auto":
            return self.asked, ""
        if not has_fast_bf16(torch.device(self.device)) or share_of_convolutions(tail, rows) < LEAST_SHARE:
            return "fp32", ""
        cosine = cosine_to_float32(tail, rows)
        if not cosine >= LEAST_COSINE:
            return "fp32", f"trained in float32: in bfloat16 the cosine of the logits falls to {cosine:.4f}"
        return "bf16", (
            f"trained in bfloat16, whose logits have a cosine of {cosine:.4f} to those in float32 (--precision fp32)"
        )


def share_of_convolutions(tail: Tail, rows: Any) -> float:
    """Return the share of a tail's multiply-adds that convolutions have."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        tail.module(as_batch(rows[np.arange(1)]))
    counts = counter.get_flop_counts().get("Global", {})
    whole = sum(counts.values())
    return sum(n for kind, n in counts.items() if "convolution" in str(kind)) / whole if whole else 0.0


def cosine_to_float32(tail: Tail, rows: Any) -> float:
    """Return the least cosine between logits (n_images, n_classes) of the first rows in bfloat16 and in float32."""
    some = as_batch(rows[np.arange(min(_N_COMPARED, len(rows)))])
    with torch.no_grad():
        whole = tail.module(some)
        with torch.autocast("cpu", torch.bfloat16):
            half = tail.module(some).float()
    return float(torch.nn.functional.cosine_similarity(whole.flatten(1), half.flatten(1)).min())
