"""Options of fine-tuning a tail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from headstart.extractors.spec import Option
from headstart.heads.scoring import METRICS_OF

Start = Literal["fresh", "linear"]
Unfreeze = Literal["all", "progressive"]
Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["step", "cosine", "constant"]
BatchNorm = Literal["eval", "train"]
TailPrecision = Literal["auto", "fp32", "bf16"]


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
        Rate of the classifier, factor from each block to the one below, and rates of single blocks. Several of the
        first two are candidates, as several layers are: folds, or val, choose among them.
    optimizer, momentum, weight_decay, label_smoothing, epochs, batch_size, schedule, warmup, patience
        As usual: the schedule is StepLR(7, 0.1), half a cosine or none, by phase; after so many epochs without a better
        one, training stops.
    min_steps : int
        Steps at least, over all epochs: of few images, an epoch goes over them several times.
    batch_norm : {"eval", "train"}
        Whether batch norms keep the statistics of the pretraining, or follow the images.
    precision : {"auto", "fp32", "bf16"}
        bf16: layers compute in bfloat16, and weights stay in float32; ``auto`` does so where the processor multiplies
        it in hardware, convolutions have most of the work, and the logits agree.
    class_weight : str or mapping of str to float, optional
        How much an image of each class counts in the loss, as `flows.options.FitOptions` has it; the linear heads
        beside the tail are weighed alike.
    guide : path-like, optional
        Guide that ``headstart guide --from LAYER`` wrote: the share of each step that each weight takes.
    views : bool
        Train on the augmented views of the maps that the cache holds, one drawn for each image and epoch.
    average_views : bool
        Score an image by the mean over its views; the saved model then answers so, too.
    backbone, weights : str, optional
        Which backbone of the cache, and which of its weights, or where they are now.
    keys : sequence of str, optional
        Use only the embeddings with these key ids.
    device : str
        Where tails train: ``cpu``, ``cuda``, ``cuda:1``, or ``auto``, which is CUDA where there is one. What is saved
        predicts where its network is.
    dask : str, optional
        Address of a scheduler, such as ``tcp://head:8786``: its workers, which see the cache under the same path, train
        the candidates of a sweep at once. The chosen one is trained here.
    labels, target, metric, min_images, folds, test_size, seed, out, name, note
        See `flows.options.FitOptions`; the folds choose the linear head that the tail is compared with.
    progress : bool
    """

    start: Annotated[Start, Option("How the classifier begins; linear: as a logistic regression.")] = "fresh"
    unfreeze: Annotated[Unfreeze, Option("progressive: the classifier first, then block after block.")] = "all"
    learning_rate: Annotated[float | Sequence[float], Option("Of the classifier; several are candidates.", above=0)] = (
        0.003
    )
    layer_decay: Annotated[
        float | Sequence[float],
        Option("Factor of the rate from block to block below; several are candidates.", above=0),
    ] = 1.0
    block_rates: Annotated[Mapping[str, float] | None, Option("Rates of blocks.", command=False)] = None
    optimizer: Annotated[Optimizer, Option("What steps.")] = "sgd"
    momentum: Annotated[float, Option("Of sgd.", least=0)] = 0.9
    weight_decay: Annotated[float, Option("Of all weights.", least=0)] = 0.0
    label_smoothing: Annotated[float, Option("Share of the target that all classes get.", least=0, below=1)] = 0.0
    epochs: Annotated[int, Option("Most epochs, over all phases.", least=1)] = 25
    batch_size: Annotated[int, Option("Images a step.", least=1)] = 32
    schedule: Annotated[Schedule, Option("step: a tenth every 7 epochs.")] = "step"
    warmup: Annotated[int, Option("Epochs over which rates grow at first.", least=0)] = 0
    patience: Annotated[int, Option("Epochs without a better one before it stops.", least=1)] = 10
    min_steps: Annotated[int, Option("Steps at least: few images are gone over more often.", least=1)] = 100
    batch_norm: Annotated[BatchNorm, Option("eval: statistics stay those of the pretraining.")] = "eval"
    precision: Annotated[TailPrecision, Option("auto: bf16 where it is fast and agrees.")] = "auto"
    class_weight: Annotated[
        str | Mapping[str, float] | None,
        Option("How much images count by class: balanced, or bee=3,ant=1.", unset="all alike"),
    ] = None
    guide: Annotated[
        str | Path | None,
        Option("File of 'headstart guide': the share of a step by weight.", unset="none", table=False),
    ] = None
    views: Annotated[bool, Option("Draw one of the cache's augmented views for each image and epoch.")] = False
    average_views: Annotated[bool, Option("With them, score and predict by the mean over views.")] = False
    backbone: Annotated[str | None, Option("Which backbone of the cache.", unset="the only one")] = None
    weights: Annotated[
        str | None, Option("Which of its weights, or where they are now.", unset="the only ones, where they were")
    ] = None
    keys: Annotated[Sequence[str] | None, Option("Only the embeddings of these keys.", command=False, table=False)] = (
        None
    )
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column.", unset="the only one, or 'label'")] = None
    metric: Annotated[
        str | None, Option("What it is compared by.", unset="accuracy", choices=tuple(METRICS_OF["classify"]))
    ] = None
    min_images: Annotated[
        int | None, Option("Leave classes with fewer images out.", unset="what the folds need", least=1)
    ] = None
    folds: Annotated[int, Option("Folds that choose the linear head, and among several candidates.", least=2)] = 5
    test_size: Annotated[float, Option("Share held back where the images have no splits.", above=0, below=1)] = 0.2
    seed: Annotated[int, Option("Of splits, classifier and batches.", least=0, below=2**32)] = 0
    device: Annotated[str, Option("Where it trains: cpu, cuda, or auto.")] = "cpu"
    dask: Annotated[
        str | None, Option("Train candidates on the workers of a scheduler (tcp://…).", unset="one by one, here")
    ] = None
    out: Annotated[
        str | Path | None, Option("Folder for the model and the table.", unset="NAME.results", table=False)
    ] = None
    name: Annotated[str | None, Option("Of this run, to find it by.", table=False)] = None
    note: Annotated[str | None, Option("On this run, to remember it by.")] = None
    progress: Annotated[bool, Option("Show bars on standard error.", command=False, table=False)] = False

    @property
    def rates(self) -> list[dict[str, float]]:
        """Each `learning_rate` with each `layer_decay`, as a candidate has them."""
        return [
            {"learning_rate": rate, "layer_decay": decay}
            for rate in _as_numbers(self.learning_rate)
            for decay in _as_numbers(self.layer_decay)
        ]

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameters of `heads.finetuning.TailClassifier` but for those of `rates`."""
        return {name: getattr(self, name) for name in _OF_TAIL}


_OF_TAIL = (
    *("start", "unfreeze", "block_rates", "optimizer", "momentum", "weight_decay", "label_smoothing", "epochs"),
    *("batch_size", "schedule", "warmup", "patience", "min_steps", "batch_norm"),
)


def _as_numbers(value: float | Sequence[float]) -> list[float]:
    return list(value) if isinstance(value, Sequence) else [value]


class FinetuneKeywords(TypedDict, total=False):
    """`FinetuneOptions`, as the keywords of a function."""

    start: Start
    unfreeze: Unfreeze
    learning_rate: float | Sequence[float]
    layer_decay: float | Sequence[float]
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
    min_steps: int
    batch_norm: BatchNorm
    precision: TailPrecision
    class_weight: str | Mapping[str, float] | None
    guide: str | Path | None
    views: bool
    average_views: bool
    backbone: str | None
    weights: str | None
    keys: Sequence[str] | None
    labels: str | Path | None
    target: str | None
    metric: str | None
    min_images: int | None
    folds: int
    test_size: float
    seed: int
    device: str
    dask: str | None
    out: str | Path | None
    name: str | None
    note: str | None
    progress: bool
