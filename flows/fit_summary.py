"""Results of a fit, for programs and people."""

from dataclasses import dataclass

from headstart.heads.report import CandidateRow, TestResult


@dataclass(frozen=True)
class FitSummary:
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
        Model folder, HTML page, and the leaderboard as CSV.
    class_names, notes : list of str
        The classes, and what a person should know.
    seed : int
        Of splits and heads.
    seconds : float
        Time of the whole fit.
    suspects : str or None
        CSV of the images whose labels are probably wrong, worst first; None where no label looks wrong.
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
