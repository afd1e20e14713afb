"""Training of an encoder on images without labels, step by step, and gone on with after a kill."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from headstart.extractors.errors import ExtractorError
from headstart.extractors.pretraining.checkpoints import Checkpoint, Epoch, Learned
from headstart.extractors.pretraining.distortion import distorted
from headstart.extractors.pretraining.encoder import Encoder
from headstart.extractors.pretraining.recipe import Recipe
from headstart.extractors.pretraining.tasks import Answered, Denoise, Masked, Rotation, Task, painted_size

FEWEST = 16
"""Images: fewer than that are no set to learn from."""

_SAVED_EVERY_S = 15.0
_AT_ONCE = 256


class PretrainingError(ExtractorError, ValueError):
    """Nothing can be learned from these images, or not in this way."""


@dataclass(frozen=True)
class Images:
    """Pixels to learn from, and which of them only measure.

    Attributes
    ----------
    pixels : uint8 array (n_images, H, W, 3)
        As the encoder's preprocessing decodes them; may be a file that is mapped.
    fit, held_out : int arrays
        Rows.
    """

    pixels: NDArray[np.uint8]
    fit: NDArray[np.intp]
    held_out: NDArray[np.intp]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over pixels and rows."""
        found = hashlib.sha256()
        for part in (self.pixels, self.fit, self.held_out):
            found.update(repr(part.shape).encode())
            for first in range(0, len(part), _AT_ONCE):
                found.update(np.ascontiguousarray(part[first : first + _AT_ONCE]).tobytes())
        return found.hexdigest()


class Pretraining:
    """One training; it is the same whether it is made at once or goes on from a checkpoint.

    What is drawn in a step follows from seed, epoch and step alone, so nothing drawn has to be kept.

    Parameters
    ----------
    encoder : Encoder
        Trained in place.
    images : Images
    recipe : Recipe
    device : torch.device

    Raises
    ------
    PretrainingError
        There are too few images, they are all alike, or their sides differ where they are to be turned.
    """

    def __init__(self, encoder: Encoder, images: Images, recipe: Recipe, device: torch.device) -> None:
        if len(images.fit) < FEWEST:
            raise PretrainingError(
                f"{len(images.fit)} different images to learn from, expected at least {FEWEST}; give more images"
            )
        self._encoder, self._images, self._recipe, self._device = encoder, images, recipe, device
        preprocessing = encoder.backbone.preprocessing
        self._mean = torch.tensor(preprocessing.mean, device=device)
        self._std = torch.tensor(preprocessing.std, device=device)
        self._task = self._make_task()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self._decoder = self._task.make_decoder(encoder)
        self._parts = {"encoder": encoder.module.to(device), "decoder": self._decoder.to(device)}
        weights = [one for part in self._parts.values() for one in part.parameters()]
        self._optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)

    @cached_property
    def identity(self) -> str:
        """SHA-256 (hex) of all that decides the weights."""
        backbone = self._encoder.backbone
        of: list[object] = [backbone.name, backbone.weights, backbone.preprocessing.as_dict(), asdict(self._recipe)]
        of += [self._images.digest, self._device.type, torch.get_num_threads(), torch.__version__]
        return hashlib.sha256(json.dumps(of).encode()).hexdigest()

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return max(1, len(self._images.fit) // self._recipe.batch_size)

    def run(
        self,
        checkpoint: Checkpoint | None = None,
        *,
        on_step: Callable[[int], None] = lambda _: None,
        saved_every: float | None = None,
    ) -> list[Epoch]:
        """Train all epochs that are not done, and return all of them.

        Parameters
        ----------
        checkpoint : Checkpoint, optional
            Where training goes on from, and what is written every few seconds and in the end.
        on_step : callable
            Called with the number of steps done since the last call.
        saved_every : float, optional
            Seconds; by default 15.

        Raises
        ------
        PretrainingError
            The loss is no finite number any more.
        """
        pause = _SAVED_EVERY_S if saved_every is None else saved_every
        learned = checkpoint.load(self._parts, self._optimizer) if checkpoint else Learned()
        on_step(len(learned.history) * self.n_steps + learned.step)
        saved = time.monotonic()
        while len(learned.history) < self._recipe.epochs:
            for rows, rate in self._steps(learned):
                self._take_step(learned, rows, rate)
                on_step(1)
                if checkpoint and learned.step < self.n_steps and time.monotonic() - saved >= pause:
                    checkpoint.save(self._parts, self._optimizer, learned)
                    saved = time.monotonic()
            learned = self._ended(learned)
            over = len(learned.history) == self._recipe.epochs
            if checkpoint and (over or time.monotonic() - saved >= pause):
                checkpoint.save(self._parts, self._optimizer, learned)
                saved = time.monotonic()
        self._encoder.module.eval()
        return learned.history

    def _steps(self, learned: Learned) -> Iterator[tuple[NDArray[np.intp], float]]:
        """Yield rows and rate of the steps of an epoch that are not done."""
        epoch, n_steps = len(learned.history), self.n_steps
        order = np.random.default_rng([self._recipe.seed, epoch]).permutation(self._images.fit)
        for step in range(learned.step, n_steps):
            rows = order[step * len(order) // n_steps : (step + 1) * len(order) // n_steps]
            yield rows, self._recipe.rate(epoch * n_steps + step, self._recipe.epochs * n_steps)

    def _take_step(self, learned: Learned, rows: NDArray[np.intp], rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        for part in self._parts.values():
            part.train()
        drawn = np.random.SeedSequence([self._recipe.seed, len(learned.history), learned.step])
        answered = self._asked(rows, drawn, augmented=True)
        loss = float(answered.loss.detach())
        _refuse_diverged(loss, len(learned.history) + 1, rate)
        self._optimizer.zero_grad(set_to_none=True)
        answered.loss.backward()  # type: ignore[no-untyped-call]  # torch leaves backward() untyped
        self._optimizer.step()
        learned.step += 1
        learned.loss += loss * len(rows)
        learned.right += (answered.right or 0.0) * len(rows)

    def _asked(self, rows: NDArray[np.intp], drawn: np.random.SeedSequence, *, augmented: bool) -> Answered:
        """Set the task on images; dropout and the like draw of the same seed."""
        seed = int(drawn.generate_state(1, np.uint64)[0] >> np.uint64(1))
        generator = torch.Generator().manual_seed(seed)
        pixels = torch.from_numpy(np.ascontiguousarray(self._images.pixels[rows])).to(self._device)
        images = (pixels.permute(0, 3, 1, 2).float() / 255 - self._mean[:, None, None]) / self._std[:, None, None]
        if augmented:
            images = distorted(images, self._recipe.augment, generator)
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            return self._task.ask(self._encoder, self._decoder, images, generator)

    def _ended(self, learned: Learned) -> Learned:
        """Measure at the end of an epoch, always with the same turns, patches and noise."""
        for part in self._parts.values():
            part.eval()
        sums = np.zeros(3)
        batches = np.array_split(self._images.held_out, max(1, len(self._images.held_out) // _AT_ONCE))
        for number, rows in enumerate(batches):
            with torch.no_grad():
                found = self._asked(rows, np.random.SeedSequence([self._recipe.seed, 2**32 + number]), augmented=False)
            sums += len(rows) * np.array([float(found.loss), found.trivial, found.right or 0.0])
        n_fit, n_held = len(self._images.fit), len(self._images.held_out)
        _refuse_diverged(float(sums[0]), len(learned.history) + 1, self._recipe.learning_rate)
        counts = isinstance(self._task, Rotation)
        one: Epoch = {
            "epoch": len(learned.history) + 1,
            "loss": learned.loss / n_fit,
            "accuracy": learned.right / n_fit if counts else None,
            "val_loss": float(sums[0] / n_held),
            "val_accuracy": float(sums[2] / n_held) if counts else None,
            "trivial": float(sums[1] / n_held),
            "learning_rate": self._optimizer.param_groups[0]["lr"],
        }
        return Learned([*learned.history, one])

    def _make_task(self) -> Task:
        height, width = self._images.pixels.shape[1:3]
        if self._recipe.task == "rotation":
            if height != width:
                raise PretrainingError(
                    f"the network sees images of {height} × {width} pixels, and only squares can be turned; give "
                    "--image-size, or --task masked"
                )
            return Rotation(self._recipe, self._mean, self._std)
        mean_image, spread = self._mean_image(painted_size(height, width))
        if spread == 0:
            raise PretrainingError("all images are the same picture, so there is nothing to paint; give other images")
        kind = Masked if self._recipe.task == "masked" else Denoise
        return kind(self._recipe, self._mean, self._std, mean_image.to(self._device), spread)

    def _mean_image(self, size: tuple[int, int]) -> tuple[torch.Tensor, float]:
        """Return the mean of the images to learn from (3, H, W), and the standard deviation of all pixels around it."""
        total, squares, n_images = torch.zeros(3, *size, dtype=torch.float64), 0.0, len(self._images.fit)
        for first in range(0, n_images, _AT_ONCE):
            rows = np.sort(self._images.fit)[first : first + _AT_ONCE]
            some = torch.from_numpy(np.ascontiguousarray(self._images.pixels[rows])).permute(0, 3, 1, 2).float() / 255
            small = torch.nn.functional.adaptive_avg_pool2d(some, size).double()
            total += small.sum(dim=0)
            squares += float((small**2).sum())
        mean = total / n_images
        variance = squares / n_images / mean.numel() - float((mean**2).mean())
        return mean.float(), float(max(variance, 0.0) ** 0.5)


def _refuse_diverged(loss: float, epoch: int, rate: float) -> None:
    if not np.isfinite(loss):
        raise PretrainingError(
            f"training diverged in epoch {epoch}: the loss is {loss} at a learning rate of {rate:g}; lower "
            "--learning-rate"
        )
