"""Options of a pre-training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict, get_args, get_origin

from headstart.extractors.images import Layout
from headstart.extractors.pretraining import Augment, Schedule, TaskName
from headstart.extractors.spec import Device, Option, Workers, options_of
from headstart.flows.errors import JobError
from headstart.flows.options import Progress


@dataclass(frozen=True, kw_only=True)
class PretrainOptions:
    """Options of a pre-training, beside the images.

    Parameters
    ----------
    task, epochs, batch_size, learning_rate, weight_decay, warmup, schedule, augment, hidden, noise, seed
        See `extractors.pretraining.recipe.Recipe`.
    backbone : str
        Network that learns, from random weights: ``small_cnn``, one of torchvision or timm, or code of yours.
    image_size : int, optional
        Pixels a side, in place of those that the backbone is published for.
    held_out : float
        Share of the images that are not learned from, on which each epoch is measured.
    limit : int, optional
        Take only this many images, spread over the classes.
    layout : {"classes", "splits"}, optional
        What the first folders of the images are; by default as their names say.
    labels, target : path-like, str, optional
        CSV or Parquet file with ``path`` and label columns for the comparison, in place of the listing's labels; which
        column is meant.
    shots, draws : int
        Labels a class of the comparison with random weights and raw pixels, and how often they are drawn; 0 shots
        compare nothing.
    tap : sequence of str, optional
        Layers that are compared; by default the penultimate features, and the blocks of ``small_cnn``.
    cache : path-like, optional
        Takes the listing and the embeddings of the comparison; by default ``NAME-pretrained.headstart``.
    device, workers
        Where the network computes; decoding threads.
    out : path-like, optional
        Folder for encoder, curve and page; by default ``NAME.TASK`` in the current folder.
    progress : bool
        Show bars on standard error.
    """

    task: Annotated[TaskName, Option("Tell the turn, paint what is hidden, or take noise away.")] = "rotation"
    backbone: Annotated[str, Option("Network that learns, from random weights.")] = "small_cnn"
    image_size: Annotated[int | None, Option("Pixels a side.", unset="the backbone's own", least=8, below=4097)] = None
    epochs: Annotated[int, Option("Passes over the images.", least=1)] = 30
    batch_size: Annotated[int, Option("Images a step.", least=2, below=65537)] = 64
    learning_rate: Annotated[float, Option("Of AdamW, at its highest.", above=0)] = 2e-3
    weight_decay: Annotated[float, Option("Of AdamW.", least=0)] = 0.01
    warmup: Annotated[float, Option("Share of the steps in which the rate grows.", least=0, below=1)] = 0.1
    schedule: Annotated[Schedule, Option("What the rate does then.")] = "cosine"
    augment: Annotated[Augment, Option("light moves and turns a little; strong mirrors and recolours, too.")] = "light"
    hidden: Annotated[float, Option("Of masked: share of the patches that are hidden.", above=0, below=1)] = 0.5
    noise: Annotated[float, Option("Of denoise: standard deviation; 1 is black to white.", above=0)] = 0.3
    held_out: Annotated[float, Option("Share of images that only measure.", above=0, below=0.9)] = 0.1
    seed: Annotated[int, Option("Of weights, order and distortions.", least=0, below=2**32)] = 0
    limit: Annotated[int | None, Option("Take only so many images, spread over the classes.", least=1)] = None
    layout: Annotated[Layout | None, Option("What the first folders are.", unset="as their names say")] = None
    labels: Annotated[str | Path | None, Option("CSV or Parquet file of labels to compare on.")] = None
    target: Annotated[str | None, Option("Label column to compare on.", unset="the only one, or 'label'")] = None
    shots: Annotated[int, Option("Labels a class of the comparison; 0 compares nothing.", least=0)] = 5
    draws: Annotated[int, Option("How often they are drawn.", least=2)] = 20
    tap: Annotated[Sequence[str] | None, Option("Layers that are compared.", unset="the last; blocks of small_cnn")] = (
        None
    )
    cache: Annotated[
        str | Path | None, Option("Cache folder of the comparison.", unset="NAME-pretrained.headstart")
    ] = None
    device: Device = "auto"
    workers: Workers = None
    out: Annotated[str | Path | None, Option("Folder for encoder, curve and page.", unset="NAME.TASK")] = None
    progress: Progress = False

    def check(self) -> None:
        """Hold values against their bounds, which typing checks of whole numbers alone, and Python of none.

        Raises
        ------
        JobError
            One is out of them.
        """
        for one in options_of(PretrainOptions):
            value, option = getattr(self, one.name), one.option
            flag, choices = f"--{one.name.replace('_', '-')} {value}", get_args(one.kind)
            if isinstance(value, str) and get_origin(one.kind) is Literal and value not in choices:
                raise JobError(f"{flag}: is none of {', '.join(choices)}; take one of these")
            if not isinstance(value, int | float):
                continue
            words = {"at least": option.least, "more than": option.above, "less than": option.below}
            wrong = (
                (option.least is not None and not value >= option.least)
                or (option.above is not None and not value > option.above)
                or (option.below is not None and not value < option.below)
            )
            if wrong:
                expected = " and ".join(f"{word} {bound:g}" for word, bound in words.items() if bound is not None)
                raise JobError(f"{flag}: is out of bounds, expected {expected}; give another")


class PretrainKeywords(TypedDict, total=False):
    """`PretrainOptions`, as the keywords of a function."""

    task: TaskName
    backbone: str
    image_size: int | None
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup: float
    schedule: Schedule
    augment: Augment
    hidden: float
    noise: float
    held_out: float
    seed: int
    limit: int | None
    layout: Layout | None
    labels: str | Path | None
    target: str | None
    shots: int
    draws: int
    tap: Sequence[str] | None
    cache: str | Path | None
    device: str
    workers: int | None
    out: str | Path | None
    progress: bool
