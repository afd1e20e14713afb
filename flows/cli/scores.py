"""Printout of a fit: the candidates, the one honest score, and where its files are."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.flows.output import MOST_ROWS, Console, as_latest, escape, nearby, show_notes, table_of
from headstart.heads.report import (
    MEANING,
    NO_SCORE,
    CandidateRow,
    change_texts,
    decision_gain,
    decision_text,
    decision_title,
    embedding_text,
    fold_rows,
    interval_text,
    params_text,
    score_text,
    stability_text,
)
from headstart.heads.scoring import decided_metrics, metric_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headstart.flows.fit_summary import FitSummary
    from headstart.heads.report import DecisionRows, NestedRows, ScoreRow


def show_fit(summary: "FitSummary") -> None:
    """Print the leaderboard, the one honest score, and where the report is."""
    show_scores(summary)
    show_files(summary)


def show_scores(summary: "FitSummary") -> None:
    """Print the leaderboard, notes and the one honest score."""
    console = Console()
    metric = summary.winner.metric
    best: dict[tuple[str, str, str], CandidateRow] = {}
    for row in summary.leaderboard:
        best.setdefault((row.key, row.tap, row.head), row)
    console.print(
        f"\nChosen by {metric_name(metric)} in {summary.winner.split}, {summary.test.n_train} images to train on:"
    )
    table = table_of("features", "head", metric_name(metric), "95 %")
    for row in list(best.values())[:MOST_ROWS]:
        reached = "failed" if row.error else score_text(metric, row.score)
        params = f" [dim]{escape(params_text(row.params))}[/]" if row.params else ""
        table.add_row(
            embedding_text(row.label, row.tap),
            row.head + params,
            reached,
            escape(interval_text(metric, row.low, row.high)),
        )
    console.print(table)
    if len(best) > MOST_ROWS:
        show_notes([f"{len(best) - MOST_ROWS} more in {nearby(summary.table)}"])
    failed = [row for row in summary.leaderboard if row.error]
    if failed:
        show_notes([f"{len(failed)} candidates failed, first {failed[0].head}: {failed[0].error}"])
    show_notes(summary.notes)
    test = summary.test
    if test.nested:
        _show_folds(console, test.nested, metric)
        console.print(f"Every image scored once, on {test.split} ({test.n_images} images):", highlight=False)
    else:
        console.print(f"Scored once, after the choice, on {test.split} ({test.n_images} images):", highlight=False)
    for place, row in enumerate([replace(summary.winner, scores=test.scores), *summary.controls]):
        score, winning = row.scores[metric], place == 0
        name = f"{embedding_text(row.label, row.tap)} · {row.head}"
        if test.nested:  # what won differs from fold to fold
            name = "the whole procedure" if winning else f"{embedding_text(row.label, row.tap)} alone"
        interval = escape(interval_text(metric, score.low, score.high))
        remark = "" if winning else f" (for comparison{', the likeliest class' if test.decision else ''})"
        line = f"{score_text(metric, score.value):>8} {interval:<14} {escape(name)}{remark}"
        console.print(f"[bold green]{line}[/]" if winning else line, highlight=False, soft_wrap=True)
    _show_beside(console, summary)


def _show_beside(console: Console, summary: "FitSummary") -> None:
    """Print what belongs to the score: what a decision has to do with it, errors of numbers, what nested folds mean."""
    metric, test = summary.winner.metric, summary.test
    if test.decision:
        _show_decision(console, test.decision, metric, nested=test.nested is not None)
    if not summary.class_names:  # a number was predicted: errors in its own unit say more to a person than R² does
        _show_errors(console, metric, test.scores)
    if test.nested:
        console.print(f"[dim]{MEANING}[/]", highlight=False)


def _show_decision(console: Console, decision: "DecisionRows", metric: str, *, nested: bool) -> None:
    """Print how the model decides, and what that costs and wins, class by class."""
    without, score = decision_title(decision), decision.plain.get(metric, NO_SCORE)
    line = f"{score_text(metric, score.value):>8} {interval_text(metric, score.low, score.high):<14} without {without}"
    if metric in decided_metrics():  # others are the same with it
        console.print(escape(line), highlight=False, soft_wrap=True)
    console.print(f"\n{escape(decision_text(decision, nested=nested))}", highlight=False)
    console.print(f"Here: {escape(decision_gain(decision))}", highlight=False)
    table = table_of("class", "images", "recall", "precision")
    changed = sorted(decision.classes, key=lambda one: one.support)
    for one in changed[:MOST_ROWS]:
        table.add_row(escape(one.name), str(one.support), *change_texts(one))
    console.print(table)
    if len(changed) > MOST_ROWS:
        show_notes([f"{len(changed) - MOST_ROWS} more frequent classes; --json lists them all"])


def _show_folds(console: Console, nested: "NestedRows", metric: str) -> None:
    """Print what won without each outer fold, and how it did there."""
    rows = fold_rows(nested, metric)
    console.print(stability_text(nested), highlight=False)
    table = table_of("fold", "chosen without it", metric_name(metric), "95 %", "images")
    for row in rows[:MOST_ROWS]:
        params = f" [dim]{escape(row['params'])}[/]" if row["params"] else ""
        chosen = f"{escape(row['features'])} · {escape(row['head'])}{params}"
        table.add_row(row["fold"], chosen, row["score"], escape(row["interval"]), row["n_images"])
    console.print(table)
    if len(rows) > MOST_ROWS:
        show_notes([f"{len(rows) - MOST_ROWS} more outer folds; --json lists them all"])


def show_files(summary: "FitSummary") -> None:
    """Print where the run is, with its model, the labels that look wrong, the predictions and the report."""
    named = f" ({summary.name})" if summary.name else ""
    lines = {
        "run": f"{nearby(str(Path(summary.model).parent))}{named}",
        "model": _short(summary.model),
        "answers": _short(summary.predictions),
        "labels": summary.suspects and f"{_short(summary.suspects)}   ← those that look wrong",
        "report": summary.report and f"{_short(summary.report)}   ← open this in a browser",
    }
    console = Console()
    console.print()
    for what, line in lines.items():
        if line:
            console.print(f"{what:<7} {escape(line)}", highlight=False, soft_wrap=True)


def _short(path: str) -> str:
    return nearby(str(as_latest(path)))


def _show_errors(console: Console, metric: str, scores: "Mapping[str, ScoreRow]") -> None:
    texts = [
        f"{metric_name(name)} {score_text(name, score.value)} {interval_text(name, score.low, score.high)}"
        for name, score in scores.items()
        if name != metric
    ]
    console.print(escape(f"{'':>8} {', '.join(texts)}"), highlight=False, soft_wrap=True)
