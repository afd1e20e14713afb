"""Pre-training as far as it has come, in one file: numbers alone, replaced as a whole, so that a kill costs little."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save
from torch import nn

from headstart.extractors.atomic import write_atomically

Epoch = dict[str, float | int | None]
"""`epoch` from 1, `loss`, `accuracy`; `val_loss`, `val_accuracy`, `trivial` of held-out images; `learning_rate`."""


@dataclass
class Learned:
    """Place in a training: what is done, and sums over the epoch that is not.

    Attributes
    ----------
    history : list of Epoch
    step : int
        Steps done of the epoch in hand.
    loss, right : float
        Sums over its images.
    """

    history: list[Epoch] = field(default_factory=list)
    step: int = 0
    loss: float = 0.0
    right: float = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """File of one training.

    Attributes
    ----------
    path : Path
    identity : str
        Of all that decides the weights: what was kept of another training is as good as nothing.
    """

    path: Path
    identity: str

    def save(self, parts: dict[str, nn.Module], optimizer: torch.optim.Optimizer, learned: Learned) -> None:
        """Replace the file by the states of encoder and decoder, each apart, of the optimizer, and of the training.

        Raises
        ------
        CacheError
            It cannot be written.
        """
        tensors = {f"{part}|{name}": value for part, one in parts.items() for name, value in one.state_dict().items()}
        for number, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"moment|{number}|{name}": value for name, value in moments.items()}
        about = {"identity": self.identity, "learned": json.dumps(vars(learned))}
        kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        write_atomically(self.path, save(kept, metadata=about))

    def load(self, parts: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> Learned:
        """Bring all to where they were when the file was written; without one of this training, leave all as it is."""
        try:
            with safetensors.safe_open(self.path, framework="pt") as file:
                about: dict[str, str] = file.metadata() or {}
                if about.get("identity") != self.identity:
                    return Learned()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        except (OSError, safetensors.SafetensorError):  # none, or damaged: it only saves work
            return Learned()
        for part, one in parts.items():
            one.load_state_dict(_below(tensors, part))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _below(tensors, "moment").items():
            number, _, moment = name.partition("|")
            state.setdefault(int(number), {})[moment] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        return Learned(**json.loads(about["learned"]))


def _below(tensors: dict[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    return {name.partition("|")[2]: value for name, value in tensors.items() if name.startswith(f"{part}|")}
