"""Values that fine-tuning returns, for programs and people."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.extractors.results import JobResult
from headstart.heads.report import CandidateRow, TestResult, headline, p_phrase
from headstart.heads.scoring import SIGNIFICANCE, Difference, find_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class BlockRow:
    """A block of the tail, its parameters, and the learning rate with which it begins."""

    name: str
    parameters: int
    learning_rate: float


@dataclass(frozen=True, kw_only=True, repr=False)
class FinetuneSummary(
    JobResult,
    says="{_headline}\nepoch {best_epoch} of {history:n epoch}, trained from {layer} on; model {model}",
    tables=("scores", "history", "blocks", "predictions"),
    columns=("head", "tap", "metric", "score", "low", "high"),
):
    """Outcome of fine-tuning.

    Attributes
    ----------
    winner : CandidateRow
        The tail; its scores are of the test images.
    linear : CandidateRow
        The best linear head on the penultimate features, chosen inside train, with its scores on the same images.
    heads : list of CandidateRow
        This and the best of each other linear head, for comparison only.
    candidates : list of CandidateRow
        Of several layers or rates, all that were compared inside train, best first, among the linear heads; else none.
    test : TestResult
    difference : Difference
        The tail's score minus the linear head's on the test images.
    layer, tap : str
        First layer that was trained, and the rows that it was trained on.
    blocks : list of BlockRow
        From that layer up, the classifier last.
    history : list of dict
        An entry an epoch, see `heads.finetuning.Epoch`.
    best_epoch : int
        The one that was kept, from 1.
    batch_norm : str
        ``eval`` where statistics stayed those of the pretraining.
    precision : str
        What layers computed in while they were trained, ``fp32`` or ``bf16``.
    extracted : int
        Images whose maps were embedded for it.
    run : str
        Id of the run.
    model, report, table, predictions : str
        Folder of the model; HTML page; all scores, and what the tail says of each test image, as CSV.
    command : str
        What makes the same again.
    class_names, notes : list of str
    seed : int
    seconds, seconds_an_epoch : float
    """

    winner: CandidateRow
    linear: CandidateRow
    heads: list[CandidateRow]
    candidates: list[CandidateRow]
    test: TestResult
    difference: Difference
    layer: str
    tap: str
    blocks: list[BlockRow]
    history: list[dict[str, float | int | None]]
    best_epoch: int
    batch_norm: str
    precision: str
    extracted: int
    run: str
    model: str
    report: str
    table: str
    predictions: str
    command: str
    class_names: list[str]
    notes: list[str]
    seed: int
    seconds: float
    seconds_an_epoch: float

    @property
    def verdict(self) -> str:
        """Whether the tail is better than the best linear head, as far as the test images tell."""
        return verdict(self.difference)

    @property
    def scores(self) -> list[CandidateRow]:
        """The tail and the linear heads, on the same test images."""
        return [self.winner, *self.heads]

    def plot_history(self, ax: "Axes | None" = None) -> "Axes":
        """Draw training and validation loss over epochs; the epoch that was kept is marked."""
        from headstart.heads.report.charts import plot_curve  # noqa: PLC0415 - loads matplotlib

        return plot_curve(self.history, ax=ax)

    def plot_confusion(self, ax: "Axes | None" = None) -> "Axes":
        """Draw for which class the tail took each of the test images."""
        from headstart.heads.report.charts import plot_confusion  # noqa: PLC0415 - loads matplotlib

        table = self.to_pandas("predictions")
        return plot_confusion(table["true"].tolist(), table["predicted"].tolist(), self.class_names, ax=ax)

    @property
    def _names(self) -> tuple[str, ...]:
        return ("path", "true", "predicted")

    @property
    def _headline(self) -> str:
        return headline(self.winner.metric, self.winner, self.test, self.test.split)


def verdict(difference: Difference) -> str:
    """Say whether the tail is better than the linear head, as far as the test images tell."""
    sure = difference.p_value < SIGNIFICANCE
    if not sure:
        return (
            f"fine-tuning is not better than chance allows (paired test on {difference.n_images} images, "
            f"{p_phrase(difference.p_value)})"
        )
    better = (difference.value > 0) == find_metric(difference.metric).higher_is_better
    return f"fine-tuning is {'better' if better else 'worse'} (paired test, {p_phrase(difference.p_value)})"
