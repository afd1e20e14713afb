"""How a nested score is told: what it is a number of, and what won without each outer fold."""

from headstart.heads.report.rows import NestedRows, TestResult
from headstart.heads.report.text import embedding_text, interval_text, params_text, score_text

MEANING = (
    "Each image was scored once, by a model that was chosen and fitted without it. The number is that of choosing and "
    "fitting in this way, and not of the very model that is saved: that one was chosen by folds over all images and "
    "fitted on all of them."
)


def fold_rows(nested: NestedRows, metric: str) -> list[dict[str, str]]:
    """Write what won without each outer fold, and its scores.

    Parameters
    ----------
    nested : NestedRows
    metric : str
        What chose the winners.

    Returns
    -------
    list of dict
        ``fold, features, head, params, chosen`` (its score in the folds that chose it), ``score, interval`` (on the
        outer fold), ``n_images`` (of the outer fold).
    """
    return [
        {
            "fold": str(one.fold),
            "features": embedding_text(one.label, one.tap),
            "head": one.head,
            "params": params_text(one.params),
            "chosen": score_text(metric, one.chosen_by),
            "score": score_text(metric, one.score),
            "interval": interval_text(metric, one.low, one.high),
            "n_images": str(one.n_images),
        }
        for one in nested.folds
    ]


def nested_table(test: TestResult, metric: str) -> dict[str, object] | None:
    """Return the content of a report's section on nested folds; None where there are none."""
    if test.nested is None:
        return None
    nested = test.nested
    return {"meaning": nested.meaning, "stability": stability_text(nested), "rows": fold_rows(nested, metric)}


def stability_text(nested: NestedRows) -> str:
    """Say in how many outer folds the choice was that of the saved model."""
    n_folds = len(nested.folds)
    if nested.n_same == n_folds:
        return f"The saved model's choice won in all {n_folds} outer folds."
    won = f"The saved model's choice won in {nested.n_same or 'none'} of {n_folds} outer folds"
    if nested.n_same_head == nested.n_same:
        return f"{won}."
    return f"{won}, and its head, with whatever parameters, in {nested.n_same_head}."
