"""Recipe of a pre-training without labels, as plain values: to ask for it needs no torch."""

import math
from dataclasses import dataclass
from typing import Literal

TaskName = Literal["rotation", "masked", "denoise"]
Augment = Literal["none", "light", "strong"]
Schedule = Literal["cosine", "constant"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an encoder learns from images without labels.

    Parameters
    ----------
    task : {"rotation", "masked", "denoise"}
        Tell by which of four quarter turns an image was turned; paint what is hidden; or take noise away.
    epochs, batch_size : int
        Passes over the images, and images a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate is the highest one.
    warmup : float
        Share of all steps over which the rate grows evenly.
    schedule : {"cosine", "constant"}
        What it does then: falls along half a cosine to 0, or stays.
    augment : {"none", "light", "strong"}
        ``light`` turns, scales, shears and moves a little; ``strong`` mirrors and changes contrast and brightness, too.
    hidden : float
        Of "masked", share of the patches that are hidden.
    noise : float
        Of "denoise", the noise's standard deviation; 1 is the way from black to white.
    seed : int
        Of weights, order, distortions and of what is held out.
    """

    task: TaskName
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    schedule: Schedule = "cosine"
    augment: Augment = "light"
    hidden: float = 0.5
    noise: float = 0.3
    seed: int = 0

    def rate(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step, from 0, of so many."""
        warm = self.warmup * n_steps
        if step < warm:
            return self.learning_rate * (step + 1) / (warm + 1)
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, n_steps - warm)))
