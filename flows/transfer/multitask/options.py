"""Options of label columns over a shared trunk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from headstart.extractors.spec import Option
from headstart.flows.options import Progress
from headstart.heads.scoring import metric_names

Weighting = Literal["label", "column"]


@dataclass(frozen=True, kw_only=True)
class MultitaskOptions:
    """Options of label columns over a shared trunk, beside the cache.

    Parameters
    ----------
    labels : path-like, optional
        CSV or Parquet with ``path`` and label columns, in place of the listing's labels; an empty cell is no label.
    target : str or sequence of str
        Label columns, two or more; ``all`` means every one.
    classify, regress : str or sequence of str
        Of these, columns that name classes, and columns of numbers; the others are taken as they look.
    metric : str, optional
        What columns whose task has it are scored by; by default the accuracy of classes, and R² of numbers.
    backbone, key, tap : str, optional
        Which embeddings; needed where the cache has several.
    hidden : sequence of int
        Widths of the layers that the columns share.
    dropout, learning_rate
        Of all networks, see `heads.neural.mlp.Perceptron`.
    max_epochs : int, optional
        Most epochs of each network; by default 50, and more where the images are few.
    weighting : {"label", "column"}
        Whether all labels weigh alike in the loss, or all columns.
    seeds : int
        Networks of each kind, which together answer.
    test_size, seed
        See `flows.options.FitOptions`.
    out : path-like, optional
        Folder for model, tables and page; by default ``NAME.multitask`` in the current folder.
    progress : bool
        Show a bar on standard error.
    """

    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | Sequence[str], Option("Label columns, two or more.", unset="all")] = "all"
    classify: Annotated[
        str | Sequence[str], Option("Of these, those that name classes.", unset="as the columns look")
    ] = ()
    regress: Annotated[str | Sequence[str], Option("Of these, those of numbers.", unset="as the columns look")] = ()
    metric: Annotated[
        str | None,
        Option("What columns are scored by.", unset="accuracy, or r2 for numbers", choices=tuple(metric_names())),
    ] = None
    backbone: Annotated[str | None, Option("Which backbone's embeddings.")] = None
    key: Annotated[str | None, Option("Id of the key, where a backbone has several.")] = None
    tap: Annotated[str | None, Option("Which tap, where there are several.")] = None
    hidden: Annotated[Sequence[int], Option("Widths of the shared layers.", unset="128")] = (128,)
    dropout: Annotated[float, Option("Of what the last shared layer says.", least=0, below=1)] = 0.5
    learning_rate: Annotated[float, Option("Of Adam.", above=0)] = 0.001
    max_epochs: Annotated[int | None, Option("Most epochs.", unset="50, and more of few images", least=1)] = None
    weighting: Annotated[Weighting, Option("What weighs alike in the loss.")] = "label"
    seeds: Annotated[int, Option("Networks of each kind, that answer together.", least=2)] = 5
    test_size: Annotated[float, Option("Share held back where the images have no splits.", above=0, below=1)] = 0.2
    seed: Annotated[int, Option("Of splits and networks.", least=0, below=2**32)] = 0
    out: Annotated[str | Path | None, Option("Folder for model, tables and page.", unset="NAME.multitask")] = None
    progress: Progress = False


class MultitaskKeywords(TypedDict, total=False):
    """`MultitaskOptions`, as the keywords of a function."""

    labels: str | Path | None
    target: str | Sequence[str]
    classify: str | Sequence[str]
    regress: str | Sequence[str]
    metric: str | None
    backbone: str | None
    key: str | None
    tap: str | None
    hidden: Sequence[int]
    dropout: float
    learning_rate: float
    max_epochs: int | None
    weighting: Weighting
    seeds: int
    test_size: float
    seed: int
    out: str | Path | None
    progress: bool
