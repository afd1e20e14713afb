"""Options of guided transfer learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from headstart.extractors.spec import Option
from headstart.flows.options import Progress

Scope = Literal["tensor", "model"]
Focus = Literal["raw", "zero", "normalised", "both"]
Temperature = Literal["freezing", "icy", "room", "warm", "evaporating"]

PIXELS = "pixels"
"""In place of a layer: the whole network, which takes the images themselves."""

_USUAL_STEPS, _STEPS_OF_NETWORK = 400, 100


@dataclass(frozen=True, kw_only=True)
class GuideOptions:
    """Options of guided transfer learning, beside the two caches.

    Parameters
    ----------
    from_layer : str, optional
        First layer of the network that is guided and trained, or ``pixels`` for all of it; by default a perceptron on
        features, whose hidden layers learn the source first.
    clusters : int, optional
        Clusters of k-means that stand in for the classes of the source; by default its labels, or 10 where there are
        none.
    scouts, scout_classes : int
        Sub-problems of the source, and how many of its classes each tells apart.
    scope, focus, temperature
        See `heads.transfer.guidance.GuideRule`.
    shots : int or sequence of int
        Images of each class of the target that are trained on.
    draws : int
        How often each is drawn, with another output layer and order of batches.
    hidden_sizes : sequence of int
        Of the perceptron.
    learning_rate : float, optional
        Of all trainings; by default 0.001 of the perceptron, and 0.003 of a network.
    steps : int, optional
        Steps of a training at least; by default 400 of the perceptron, and 100 of a network.
    tap : str, optional
        Which features of the cache the perceptron takes.
    labels, target : optional
        Labels of the target, as `flows.options.FitOptions` has them.
    source_labels, source_target : optional
        The same of the source.
    backbone, weights : str, optional
        As `flows.options.FinetuneOptions` has them.
    test_size, seed
        See `flows.options.FitOptions`: draws are of the images that such a fit would train on, and its test images are
        scored.
    out : path-like, optional
        Folder for the guide, the table and the page; by default ``NAME.guide`` in the current folder.
    progress : bool
        Show bars on standard error.
    """

    from_layer: Annotated[
        str | None,
        Option("First layer that is trained, or 'pixels' for all.", unset="a perceptron on features", flag="--from"),
    ] = None
    clusters: Annotated[
        int | None, Option("Clusters in place of the source's classes.", unset="its labels, or 10", least=3)
    ] = None
    scouts: Annotated[int, Option("Sub-problems of the source.", least=1)] = 10
    scout_classes: Annotated[int, Option("Classes that each scout tells apart.", least=2)] = 2
    scope: Annotated[Scope, Option("Least and most: of each tensor, or of all.")] = "tensor"
    focus: Annotated[Focus, Option("What movements are divided by and reduced by.")] = "both"
    temperature: Annotated[Temperature, Option("How much is held back, much to none.")] = "room"
    shots: Annotated[int | Sequence[int], Option("Images a class to train on.", least=1)] = (1, 2, 5, 10)
    draws: Annotated[int, Option("How often each is drawn.", least=2)] = 20
    hidden_sizes: Annotated[Sequence[int], Option("Of the perceptron.", least=1)] = (128,)
    learning_rate: Annotated[float | None, Option("Of all trainings.", unset=".001, network .003", above=0)] = None
    steps: Annotated[int | None, Option("Steps of each training at least.", unset="400, network 100", least=1)] = None
    tap: Annotated[str | None, Option("Which features the perceptron takes.", unset="the only ones")] = None
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column.", unset="the only one, or 'label'")] = None
    source_labels: Annotated[str | Path | None, Option("The same for the source.")] = None
    source_target: Annotated[str | None, Option("Label column of the source.", unset="the only one, or 'label'")] = None
    backbone: Annotated[str | None, Option("Which backbone of the caches.", unset="the only one")] = None
    weights: Annotated[
        str | None, Option("Which of its weights, or where they are now.", unset="the only ones, where they were")
    ] = None
    test_size: Annotated[float, Option("Share scored where the images have no splits.", above=0, below=1)] = 0.2
    seed: Annotated[int, Option("Of splits, scouts and draws.", least=0, below=2**31)] = 0
    out: Annotated[str | Path | None, Option("Folder for guide, table and page.", unset="NAME.guide")] = None
    progress: Progress = False

    @property
    def shot_list(self) -> list[int]:
        """Different numbers of images a class, the fewest first."""
        return sorted(set([self.shots] if isinstance(self.shots, int) else self.shots))

    @property
    def perceptron_params(self) -> Mapping[str, float | tuple[int, ...]]:
        """Parameters of `heads.neural.TorchMLPClassifier`."""
        steps = _USUAL_STEPS if self.steps is None else self.steps
        return {
            "hidden_sizes": tuple(self.hidden_sizes),
            "learning_rate": 0.001 if self.learning_rate is None else self.learning_rate,
            "min_steps": steps,
            "max_epochs": min(50, steps),
        }

    @property
    def network_params(self) -> Mapping[str, float]:
        """Parameters of `heads.finetuning.TailClassifier`."""
        steps = _STEPS_OF_NETWORK if self.steps is None else self.steps
        return {
            "learning_rate": 0.003 if self.learning_rate is None else self.learning_rate,
            "min_steps": steps,
            "epochs": min(25, steps),
        }


class GuideKeywords(TypedDict, total=False):
    """`GuideOptions`, as the keywords of a function."""

    from_layer: str | None
    clusters: int | None
    scouts: int
    scout_classes: int
    scope: Scope
    focus: Focus
    temperature: Temperature
    shots: int | Sequence[int]
    draws: int
    hidden_sizes: Sequence[int]
    learning_rate: float | None
    steps: int | None
    tap: str | None
    labels: str | Path | None
    target: str | None
    source_labels: str | Path | None
    source_target: str | None
    backbone: str | None
    weights: str | None
    test_size: float
    seed: int
    out: str | Path | None
    progress: bool
