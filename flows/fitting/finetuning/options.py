"""Options of fine-tuning a tail."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from headstart.extractors.spec import Option, shared_values
from headstart.flows.options import FitOptions, Progress

Start = Literal["fresh", "linear"]
Unfreeze = Literal["all", "progressive"]
Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["step", "cosine", "constant"]
BatchNorm = Literal["eval", "train"]


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """Options of fine-tuning, beside the cache and the layer from which the network is trained.

    Parameters
    ----------
    start : {"fresh", "linear"}
        Whether the new classifier begins with drawn weights, or as a logistic regression fitted on the training images.
    unfreeze : {"all", "progressive"}
        Train all blocks at once, or the classifier first and then block after block down to the layer.
    learning_rate, layer_decay, block_rates
        Rate of the classifier, factor from each block to the one below, and rates of single blocks.
    optimizer, momentum, weight_decay, label_smoothing, epochs, batch_size, schedule, warmup, patience
        As usual: the schedule is StepLR(7, 0.1), half a cosine or none, by phase; after so many epochs without a better
        one, training stops.
    batch_norm : {"eval", "train"}
        Whether batch norms keep the statistics of the pretraining, or follow the images.
    views : bool
        Train on the augmented views of the maps that the cache holds, one drawn for each image and epoch.
    average_views : bool
        Score an image by the mean over its views; the saved model then answers so, too.
    backbone, weights : str, optional
        Which backbone of the cache, and where its weights are now.
    labels, target, metric, min_images, folds, test_size, seed, out, name, note
        See `flows.options.FitOptions`; the folds choose the linear head that the tail is compared with.
    progress : bool
    """

    start: Annotated[Start, Option("How the classifier begins; linear: as a logistic regression.")] = "fresh"
    unfreeze: Annotated[Unfreeze, Option("progressive: the classifier first, then block after block.")] = "all"
    learning_rate: Annotated[float, Option("Of the classifier.", above=0)] = 0.003
    layer_decay: Annotated[float, Option("Factor of the rate from block to block below.", above=0)] = 1.0
    block_rates: Annotated[Mapping[str, float] | None, Option("Rates of blocks.", command=False, table=False)] = None
    optimizer: Annotated[Optimizer, Option("What steps.")] = "sgd"
    momentum: Annotated[float, Option("Of sgd.", least=0, command=False)] = 0.9
    weight_decay: Annotated[float, Option("Of all weights.", least=0)] = 0.0
    label_smoothing: Annotated[float, Option("Share of the target that all classes get.", least=0, below=1)] = 0.0
    epochs: Annotated[int, Option("Most epochs, over all phases.", least=1)] = 25
    batch_size: Annotated[int, Option("Images a step.", least=1)] = 32
    schedule: Annotated[Schedule, Option("step: a tenth every 7 epochs.")] = "step"
    warmup: Annotated[int, Option("Epochs over which rates grow at first.", least=0)] = 0
    patience: Annotated[int, Option("Epochs without a better one before it stops.", least=1)] = 10
    batch_norm: Annotated[BatchNorm, Option("eval: statistics stay those of the pretraining.")] = "eval"
    views: Annotated[bool, Option("Draw one of the cache's augmented views for each image and epoch.")] = False
    average_views: Annotated[bool, Option("With them, score and predict by the mean over views.")] = False
    backbone: Annotated[str | None, Option("Which backbone of the cache.", unset="the only one", table=False)] = None
    weights: Annotated[str | None, Option("Where its weights are now, if they were moved.", table=False)] = None
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column.", unset="the only one, or 'label'")] = None
    metric: Annotated[str | None, Option("What it is compared by.", unset="accuracy")] = None
    min_images: Annotated[
        int | None, Option("Leave classes with fewer images out.", unset="what the folds need", least=1)
    ] = None
    folds: Annotated[int, Option("Folds that choose the linear head.", least=2)] = 5
    test_size: Annotated[float, Option("Share held back where the images have no splits.", above=0, below=1)] = 0.2
    seed: Annotated[int, Option("Of splits, classifier and batches.")] = 0
    out: Annotated[
        str | Path | None, Option("Folder for the model and the table.", unset="NAME.results", table=False)
    ] = None
    name: Annotated[str | None, Option("Of this run, to find it by.", table=False)] = None
    note: Annotated[str | None, Option("On this run, to remember it by.", table=False)] = None
    progress: Progress = False

    @property
    def fit_options(self) -> FitOptions:
        """Those that a fit of the same images has, too."""
        return FitOptions(**shared_values(FitOptions, self))

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of `heads.finetuning.TailClassifier`."""
        return {name: getattr(self, name) for name in _OF_TAIL}


_OF_TAIL = (
    *("start", "unfreeze", "learning_rate", "layer_decay", "block_rates", "optimizer", "momentum", "weight_decay"),
    *("label_smoothing", "epochs", "batch_size", "schedule", "warmup", "patience", "batch_norm"),
)


class FinetuneKeywords(TypedDict, total=False):
    """`FinetuneOptions`, as the keywords of a function."""

    start: Start
    unfreeze: Unfreeze
    learning_rate: float
    layer_decay: float
    block_rates: Mapping[str, float] | None
    optimizer: Optimizer
    momentum: float
    weight_decay: float
    label_smoothing: float
    epochs: int
    batch_size: int
    schedule: Schedule
    warmup: int
    patience: int
    batch_norm: BatchNorm
    views: bool
    average_views: bool
    backbone: str | None
    weights: str | None
    labels: str | Path | None
    target: str | None
    metric: str | None
    min_images: int | None
    folds: int
    test_size: float
    seed: int
    out: str | Path | None
    name: str | None
    note: str | None
    progress: bool
