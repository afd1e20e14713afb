"""Results of a fit, for programs and people, and what its images were taken for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from headstart.extractors.results import JobResult
from headstart.heads.report import CandidateRow, TestResult, headline
from headstart.heads.scoring import ClassScore

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from headstart.heads.coverage import MeasuredDoubt

_WIDTH, _LINES = 80, 2
_LONGEST_NAME = 30


@dataclass(frozen=True, kw_only=True)
class Understood:
    """Meaning that the images and their labels were given.

    Attributes
    ----------
    images : int
        Images that can be read.
    column : str or None
        The label column; None where there is none, or it is not clear which is meant.
    other_columns : list of str
        Label columns that were not taken.
    task : {"classify", "regress"} or None
    why, instead : str
        Where the other is plausible, too: why it was not taken, and the option that takes it.
    classes : dict of str to int
        Images of each class; none of numbers.
    numbers : list of float
        The least and the largest; none of classes.
    splits : dict of str to int
        Images of each split that there is.
    without_label : int
    left_out : dict of str to int
        Images of classes that are too rare to be fitted.
    not_listed : int
        Images that a limit left out of the listing.
    passed_over : dict of str to int
        Files by suffix, and folders by name with a slash behind, that are no images of the set.
    """

    images: int
    column: str | None = None
    other_columns: list[str] = field(default_factory=list)
    task: str | None = None
    why: str = ""
    instead: str = ""
    classes: dict[str, int] = field(default_factory=dict)
    numbers: list[float] = field(default_factory=list)
    splits: dict[str, int] = field(default_factory=dict)
    without_label: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    not_listed: int = 0
    passed_over: dict[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The whole in two lines of 80 columns at most, however many classes there are."""
        rest = [one for one in (self._splits(), *self._remarks()) if one]
        names = list(self.classes)
        for n_names in range(min(len(names), _WIDTH), -1, -1):
            text = " · ".join([self._labels(names[:n_names]), *rest])
            if _n_lines(text) <= _LINES:
                return text
        return f"{set_cell_size(text, _LINES * _WIDTH - _LONGEST_NAME).rstrip()} …"  # all of it stands in the JSON

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON has it, with the text."""
        return {**vars(self), "text": self.text}

    def without(self, left_out: Mapping[str, int]) -> "Understood":
        """Return the same without some classes, of which the number of images is given."""
        classes = {name: count for name, count in self.classes.items() if name not in left_out}
        return replace(self, classes=classes, left_out={**self.left_out, **left_out})

    def _labels(self, names: list[str]) -> str:
        named = f"{_short(self.column)}: " if self.column and (self.column != "label" or self.other_columns) else ""
        other = "classes" if self.task == "regress" else "numbers"
        way = f" ({self.why}; {other}: fit {self.instead})" if self.instead else ""
        if self.task == "regress":
            return f"{named}numbers from {self.numbers[0]:g} to {self.numbers[1]:g}{way}"
        if self.task is None:
            return f"{len(self.other_columns)} label columns" if self.other_columns else "no labels"
        shown = [_short(name) for name in names] + (["…"] if len(names) < len(self.classes) else [])
        return f"{named}{_count(len(self.classes), 'class', 'classes')}: {', '.join(shown)}{way}"

    def _splits(self) -> str:
        if not self.splits:
            return f"{_count(self.images, 'image')}, no splits"
        return ", ".join(f"{name} {_number(count)}" for name, count in self.splits.items())

    def _remarks(self) -> list[str]:
        folders = [name for name in self.passed_over if name.endswith("/")]
        files = sum(count for name, count in self.passed_over.items() if name not in folders)
        over = [*(_short(name) for name in folders[:2]), *(["…"] if len(folders) > 2 else [])]
        over += [_count(files, "other file")] if files else []
        columns = ", ".join(map(_short, self.other_columns[:3])) + (", …" if len(self.other_columns) > 3 else "")
        some = self.column is not None
        return [
            f"{_count(self.without_label, 'image')} without a label" if self.without_label and some else "",
            f"{_count(len(self.left_out), 'class', 'classes')} too rare" if self.left_out else "",
            f"not {columns} (--target)" if self.other_columns and some else "",
            f"{columns}: fit --target says which" if self.other_columns and not some else "",
            f"{_number(self.not_listed)} more beyond --limit" if self.not_listed else "",
            f"passed over {', '.join(over)}" if over else "",
        ]


FEW_SHOT = "few_shot.csv"
"""Table of accuracy against images per class, of the winner and other heads, where that was asked for."""


@dataclass(frozen=True, repr=False)
class FitSummary(
    JobResult,
    says="{_headline}\n{leaderboard:n candidate}, chosen by {winner.split}; {model}",
    tables=("leaderboard", "controls", "predictions", "suspects", "few_shot"),
    columns=("label", "tap", "head", "params", "metric", "score", "low", "high", "tied"),
):
    """Results of a fit.

    Attributes
    ----------
    leaderboard : list of CandidateRow
        Best first. These scores chose the winner: they flatter it a little.
    winner : CandidateRow
        The first of the leaderboard.
    test : TestResult
    controls : list of CandidateRow
        The best candidate of every other embedding, scored on the same test images after the choice, for comparison
        only; with nested folds, the best of each fold.
    model, report, table : str
        Model folder, HTML page, and the leaderboard as CSV, in the run's own folder. Until the next fit they are found
        in the folder of results as well. The page is empty where none was asked for.
    class_names, notes : list of str
        The classes, and what a person should know.
    seed : int
        Of splits and heads.
    seconds : float
        Time of the whole fit.
    suspects : str or None
        CSV of the images whose labels are probably wrong, worst first; None where no label looks wrong.
    understood : Understood or None
        What the images and their labels were taken for.
    run : str
        Id of the run, which its files and the history bear.
    predictions : str
        CSV of the winner's predictions for the test images.
    name, note : str or None
        As given to the run.
    classes : list of ClassScore
        The winner's scores on the test images by class, the lowest recall first; none of numbers.
    command : str
        That makes the fit again.
    views : int
        Rows of each training image that were fitted on: 1 without augmented views.
    average_views : bool
        Whether images were scored by the mean over their views, and not by the plain one.
    doubt : MeasuredDoubt or None
        Coverage of sets and false alarms of outliers on the test images, after ``coverage=…``.
    """

    leaderboard: list[CandidateRow]
    winner: CandidateRow
    test: TestResult
    controls: list[CandidateRow]
    model: str
    report: str
    table: str
    class_names: list[str]
    notes: list[str]
    seed: int
    seconds: float
    suspects: str | None = None
    understood: Understood | None = None
    run: str = ""
    predictions: str = ""
    name: str | None = None
    note: str | None = None
    classes: list[ClassScore] = field(default_factory=list)
    command: str = ""
    views: int = 1
    average_views: bool = False
    doubt: "MeasuredDoubt | None" = None

    @property
    def few_shot(self) -> str:
        """CSV of accuracy against images per class, which is there after ``few_shot=True``."""
        return str(Path(self.model).with_name(FEW_SHOT))

    def plot_candidates(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the best candidates' scores with their intervals, the winner's on top; these chose it."""
        from headstart.heads.report.charts import plot_candidates  # noqa: PLC0415 - loads matplotlib

        return plot_candidates(self.leaderboard, ax=ax)

    def plot_confusion(self, ax: "Axes | None" = None) -> "Axes":
        """Draw for which class the winner took each of the test images.

        Raises
        ------
        ValueError
            It predicts numbers.
        """
        from headstart.heads.report.charts import plot_confusion  # noqa: PLC0415 - loads matplotlib

        if not self.class_names:
            raise ValueError("the winner predicts numbers; draw them with plot_predictions()")
        table = self.to_pandas("predictions")
        return plot_confusion(table["true"].tolist(), table["predicted"].tolist(), self.class_names, ax=ax)

    def plot_predictions(self, ax: "Axes | None" = None) -> "Axes":
        """Draw predicted against true numbers of the test images.

        Raises
        ------
        ValueError
            It tells classes apart.
        """
        from headstart.heads.report.charts import plot_numbers  # noqa: PLC0415 - loads matplotlib

        if self.class_names:
            raise ValueError("the winner tells classes apart; draw them with plot_confusion()")
        table = self.to_pandas("predictions")
        return plot_numbers(table["true"].to_numpy(), table["predicted"].to_numpy(), ax=ax)

    def plot_few_shot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw accuracy against images per class.

        Raises
        ------
        ValueError
            The fit did not ask for it.
        """
        from headstart.heads.report.charts import plot_few_shot  # noqa: PLC0415 - loads matplotlib

        if not Path(self.few_shot).exists():
            raise ValueError(f"there is no {self.few_shot}; fit with few_shot=True")
        rows: list[Any] = self.to_pandas("few_shot").to_dict("records")
        return plot_few_shot(rows, self.winner.head, len(self.class_names), ax=ax)

    @property
    def _names(self) -> tuple[str, ...]:
        return ("path", "given", "suggested", "head", *(("true", "predicted") if self.class_names else ()))

    @property
    def _headline(self) -> str:
        return headline(self.winner.metric, self.winner, self.test, self.test.split)


def _count(number: int, one: str, several: str = "") -> str:
    return f"{_number(number)} {one if number == 1 else several or f'{one}s'}"


def _number(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _short(name: str | None) -> str:
    text = "".join(sign if sign.isprintable() else "?" for sign in " ".join(str(name).split()))
    return text if cell_len(text) <= _LONGEST_NAME else f"{set_cell_size(text, _LONGEST_NAME - 1).rstrip()}…"


def _n_lines(text: str) -> int:
    """Count the lines of a terminal, which breaks between words."""
    return len(list(_wrapped(text.split(" "))))


def _wrapped(words: Iterable[str]) -> Iterable[str]:
    line = ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if cell_len(longer) > _WIDTH:
            yield line
            longer = word
        line = longer
    yield line
