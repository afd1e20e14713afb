"""Options of a fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from headstart.extractors.spec import Option
from headstart.flows.options.asked import Progress, Task
from headstart.heads.scoring import decided_metrics, metric_names

Sweep = Literal["quick", "standard", "thorough"]
SetMethod = Literal["lac", "aps", "raps"]
OutlierMethod = Literal["mahalanobis", "knn"]
_DECIDED = tuple(decided_metrics())


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Options of a fit, beside the cache and the heads.

    Parameters
    ----------
    sweep : {"quick", "standard", "thorough"}, optional
        Heads and grids of `heads.registry.presets`; ``quick`` where no head is named either.
    grid : mapping of str to mapping, optional
        By head, values to try in place of its own grid: ``{"logreg": {"C": [0.1, 1, 10]}}``; a command has them in
        brackets behind the head.
    labels : path-like, optional
        CSV or Parquet with ``path`` and label columns, in place of the listing's labels.
    target : str, optional
        Label column; by default the only one, or ``label``. `flows.fitting.several.fit_targets` fits several.
    task : {"classify", "regress"}, optional
        Whether the target names classes or is a number to predict; by default the latter for numbers with a fraction,
        or of which there are more than 100 different ones.
    backbone : str or sequence of str, optional
        Use only these backbones of the cache.
    keys : sequence of str, optional
        Use only the embeddings with these key ids.
    metric : str, optional
        What chooses the winner, one of `heads.scoring`'s for the task; by default the accuracy of classes, and R² for
        numbers.
    min_images : int, optional
        Classes with fewer images are left out, with a note; by default those of which the folds cannot have one each.
        With a number, a class that has so many and is too rare for the folds is an error.
    folds, test_size, seed
        Folds of the cross-validation, the share held back, and the seed of splits and heads.
    repeats : int
        Rounds of choosing, each with other folds and another seed of the heads: less of the choice is luck.
    nested : int, optional
        Outer folds: the whole fit is made again without each of them, so that every image is scored once, by a model
        that was chosen and fitted without it. Only of images without val and test; nothing is held back then.
    dask : str
        ``threads``, ``processes``, or the address of a scheduler.
    workers : int, optional
        Threads or processes; by default one a core.
    device : str
        Where the heads train that torch trains: ``cpu``, ``cuda``, ``cuda:1``, or ``auto``, which is CUDA where there
        is one. All others are fitted on the CPU, and every saved head predicts there.
    out : path-like, optional
        Folder for results; by default ``NAME.results`` in the current folder. Every run has a folder of its own in it;
        ``report.html`` and ``model`` beside these are the latest one's.
    name : str, optional
        For the run: it is listed and found by it, and a link of this name beside the run's folder leads there.
    note : str, optional
        For the run: what a person wants to remember.
    few_shot : bool
        Fit the winner on 1, 2, 5, … images of each class too, some hundred times, for the curve in the report.
    calibrate : bool
        Mend the saved head's probabilities by a temperature, fitted on the images that chose it.
    coverage : float, optional
        Save sets of classes with the model that hold the true one with this probability, and a measure of outliers.
    conformal, by_class, outlier, false_alarms
        Kind of these sets, and whether each class is covered by itself (`heads.coverage.conformal`); measure of
        outliers (`heads.coverage.outliers`), and the share of images like those of the fit that it takes for such.
    class_weight : str or mapping of str to float, optional
        How much an image of each class counts: ``balanced``, so that in each fit all classes weigh alike, or by class,
        ``bee=3,ant=1``; one that is not named weighs 1. Heads that cannot weigh are fitted without, and a note says so.
    threshold : str, optional
        Metric for which the winner's decision is chosen on the folds, see `heads.analysis.decide_on_folds`. The saved
        model decides so; its probabilities stay.
    costs : path-like, str or mapping, optional
        The same for the least cost: a CSV file with ``true``, ``predicted`` and ``cost``, ``bee:ant=10``, or
        ``{"bee": {"ant": 10}}``, true class first. What is not given costs 1, a right answer nothing.
    no_report : bool
        Leave out what looks at the winner's images and writes the report, which can take longer than the fit; there
        are neither suspects nor a few-shot curve then.
    views : bool
        Fit on all augmented views of each training image that the cache holds (``extract --views``), and score the
        plain images.
    average_views : bool
        Score an image by the mean over its views; the saved model then answers so, too.
    memory : float, optional
        Bytes that features may take in memory, as float32; by default a quarter of what is free. Where they take more,
        they are read in blocks, by the heads that can.
    progress : bool
        Show a bar on standard error.
    """

    sweep: Annotated[Sweep | None, Option("Try many heads, more or less finely.", unset="quick, without --head")] = None
    grid: Annotated[
        Mapping[str, Mapping[str, Any]] | None, Option("Values to try, by head and parameter.", command=False)
    ] = None
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column.", unset="the only one, or 'label'")] = None
    task: Annotated[Task | None, Option("Classes, or a number to predict.", unset="as the column looks")] = None
    backbone: Annotated[
        str | Sequence[str] | None, Option("Only these backbones of the cache.", unset="all", table=False)
    ] = None
    keys: Annotated[Sequence[str] | None, Option("Only the embeddings of these keys.", command=False, table=False)] = (
        None
    )
    metric: Annotated[
        str | None,
        Option(
            "What chooses the winner.",
            unset="accuracy, or r2 for numbers",
            choices=tuple(metric_names()),
        ),
    ] = None
    min_images: Annotated[
        int | None, Option("Leave classes with fewer images out.", unset="what the folds need", least=1)
    ] = None
    folds: Annotated[int, Option("Folds of the cross-validation.", least=2)] = 5
    repeats: Annotated[int, Option("Rounds of choosing, with other folds and seeds.", least=1)] = 1
    test_size: Annotated[float, Option("Share held back where the images have no splits.", above=0, below=1)] = 0.2
    nested: Annotated[
        int | None,
        Option(
            "Outer folds: each image scored once, by a fit made without it; for few images without splits.",
            unset="none",
            least=2,
        ),
    ] = None
    seed: Annotated[int, Option("Of splits and heads.", least=0, below=2**32)] = 0
    dask: Annotated[str, Option("threads, processes, or the address of a scheduler (tcp://…).")] = "threads"
    workers: Annotated[int | None, Option("Of dask.", unset="one a core", command=False, table=False)] = None
    device: Annotated[str, Option("Where torch trains linear-torch and mlp: cpu, cuda, or auto.")] = "cpu"
    out: Annotated[
        str | Path | None, Option("Folder for the runs and their files.", unset="NAME.results", table=False)
    ] = None
    name: Annotated[str | None, Option("Of this run, to find it by.", table=False)] = None
    note: Annotated[str | None, Option("On this run, to remember it by.")] = None
    few_shot: Annotated[bool, Option("Add accuracy against images per class.")] = False
    calibrate: Annotated[bool, Option("Mend the saved head's probabilities.")] = False
    coverage: Annotated[
        float | None,
        Option("Save sets that hold the true class so often, and outliers.", unset="none", above=0, below=1),
    ] = None
    conformal: Annotated[SetMethod, Option("With --coverage, the kind of sets.")] = "lac"
    by_class: Annotated[bool, Option("With --coverage, hold it for each class.")] = False
    outlier: Annotated[OutlierMethod, Option("With --coverage, how outliers are told.")] = "mahalanobis"
    false_alarms: Annotated[float, Option("With --coverage, their share in what is none.", above=0, below=1)] = 0.05
    class_weight: Annotated[
        str | Mapping[str, float] | None,
        Option("How much images count by class: balanced, or bee=3,ant=1.", unset="all alike"),
    ] = None
    threshold: Annotated[
        str | None,
        Option("Choose on the folds, for this metric, how to decide.", unset="the likeliest class", choices=_DECIDED),
    ] = None
    costs: Annotated[
        str | Path | Mapping[str, Mapping[str, float]] | None,
        Option("The same for the least cost: a CSV of true,predicted,cost, or bee:ant=10,ant:bee=1.", unset="none"),
    ] = None
    no_report: Annotated[bool, Option("Neither look at the images nor write the report.")] = False
    views: Annotated[bool, Option("Fit on the cache's augmented views, too.")] = False
    average_views: Annotated[bool, Option("With them, score and predict by the mean over views.")] = False
    memory: Annotated[float | None, Option("Bytes for features.", command=False, table=False)] = None
    progress: Progress = False


class FitKeywords(TypedDict, total=False):
    """`FitOptions`, as the keywords of a function."""

    sweep: Sweep | None
    grid: Mapping[str, Mapping[str, Any]] | None
    labels: str | Path | None
    target: str | None
    task: Task | None
    backbone: str | Sequence[str] | None
    keys: Sequence[str] | None
    metric: str | None
    min_images: int | None
    folds: int
    repeats: int
    test_size: float
    nested: int | None
    seed: int
    dask: str
    workers: int | None
    device: str
    out: str | Path | None
    name: str | None
    note: str | None
    few_shot: bool
    calibrate: bool
    coverage: float | None
    conformal: SetMethod
    by_class: bool
    outlier: OutlierMethod
    false_alarms: float
    class_weight: str | Mapping[str, float] | None
    threshold: str | None
    costs: str | Path | Mapping[str, Mapping[str, float]] | None
    no_report: bool
    views: bool
    average_views: bool
    memory: float | None
    progress: bool
