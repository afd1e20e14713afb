"""What the commands show: JSON on standard output for programs, tables that fit one screen of 80 columns for people."""

import dataclasses
import json
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headstart.heads.report.nested_text import MEANING, fold_rows, stability_text
from headstart.heads.report.text import interval_text, metric_name, params_text, score_text

if TYPE_CHECKING:  # each of these loads torch, for which 'headstart --help' should not wait
    from headstart.extractors.backbones.backbone import BackboneInfo
    from headstart.flows.extraction.summary import ExtractionSummary
    from headstart.flows.fit_summary import FitSummary
    from headstart.flows.upkeep.inspection import CacheSummary

_MOST_ROWS = 12  # what prints by default fits a screen


def spread_lists(
    words: Sequence[str], options: Collection[str], flags: Collection[str], n_arguments: int = 1
) -> list[str]:
    """Repeat a list option before each of its values: ``fit C --head a b`` becomes ``fit C --head a --head b``.

    Values are taken only after the command and its `n_arguments` paths, so that ``extract --backbone resnet50 photos/``
    keeps its meaning. `flags` are the options that take no value.
    """
    spread: list[str] = []
    option, n_values, n_paths = "", 0, 0
    for word in words:
        if word.startswith("-"):
            option, n_values = ("" if word in flags or "=" in word else word), 0
        elif option and n_values == 0:
            n_values = 1
        elif option in options and n_paths > n_arguments:
            spread.append(option)
        else:
            n_paths += 1
        spread.append(word)
    return spread


def emit_json(value: Any) -> None:
    """Print one JSON object on standard output; dataclasses become objects, paths strings."""

    def plain(item: Any) -> Any:
        return dataclasses.asdict(item) if dataclasses.is_dataclass(item) and not isinstance(item, type) else str(item)

    sys.stdout.write(json.dumps(value, default=plain, indent=1, allow_nan=False) + "\n")


def fail(message: str) -> NoReturn:
    """Print one clear line on standard error and end with exit status 1."""
    Console(stderr=True, soft_wrap=True).print(
        f"[bold red]headstart:[/] {escape(' '.join(message.split()))}", highlight=False
    )
    raise SystemExit(1)


def show_notes(notes: Sequence[str]) -> None:
    """Print what a person should know, on standard error."""
    for note in notes:
        Console(stderr=True).print(f"[yellow]note:[/] {escape(note)}", highlight=False)


def show_extraction(summary: "ExtractionSummary") -> None:
    """Print what an extraction did."""
    console = Console()
    console.print(
        f"[bold]{escape(summary.cache)}[/]: {summary.images} images, {summary.embedded} embedded, "
        f"{summary.reused} reused, {summary.quarantined} quarantined, {summary.seconds:.1f} s",
        highlight=False,
    )
    table = table_of("backbone", "weights", "precision", "embedded", "reused")
    for key in summary.keys:
        table.add_row(
            _short(key["backbone"]),
            key["weights"],
            key["precision"],
            str(key["embedded"]),
            str(key["reused"]),
        )
    console.print(table)
    for key in summary.keys:
        if key["embedded"]:
            console.print(f"[dim]{escape(_how(key))}[/]", highlight=False)
    notes = [*summary.notes, *(reason for key in summary.keys for reason in key["reasons"])]
    if summary.quarantined:
        notes.append(f"{summary.quarantined} images are in quarantine: headstart inspect {summary.cache}")
    if not summary.embedded:
        notes.append("nothing was new: every image was in the cache already")
    show_notes(notes)


def _how(key: dict[str, Any]) -> str:
    """Say how a key was embedded, and where the time went."""
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in key["stages"].items() if seconds >= 0.05)
    rate = key["embedded"] / max(key["seconds"] - key["stages"]["set up"], 1e-3)
    lines = [f"{_short(key['backbone'])}: {rate:.0f} images/s", f"time: {stages}"]
    if execution := key["execution"]:
        lines[0] += f" in batches of {execution['batch_size']}"
        lines += execution["notes"]
    if fidelity := key["fidelity"]:
        lines.append(
            f"against plain float32: cosine ≥ {fidelity['cosine']:.5f}, relative error ≤ "
            f"{100 * fidelity['relative_error']:.2g} %"
        )
    return "\n  ".join(lines)


def show_cache(summary: "CacheSummary") -> None:
    """Print what a cache holds."""
    console = Console()
    labels = ", ".join(f"{name} ({count} values)" for name, count in summary.labels.items()) or "none"
    splits = ", ".join(f"{split} {count}" for split, count in summary.splits.items()) or "none"
    console.print(
        f"[bold]{escape(summary.cache)}[/]: {summary.images} images of {escape(summary.root)}, "
        f"{summary.distinct} distinct, {size_text(summary.bytes)}\nlabels: {escape(labels)}; splits: {splits}",
        highlight=False,
    )
    table = table_of("backbone", "weights", "taps", "precision", "rows", "missing", "size")
    for key in summary.keys:
        taps = "\n".join(f"{tap} {'×'.join(map(str, key['shape'][tap]))}" for tap in key["taps"])
        row = (_short(key["backbone"]), key["weights"], taps, key["precision"], str(key["rows"]), str(key["missing"]))
        table.add_row(*map(escape, row), size_text(key["bytes"]))
    console.print(table)
    for image in summary.quarantined[:_MOST_ROWS]:
        console.print(f"[yellow]quarantined:[/] {escape(image['path'])}: {escape(image['reason'])}", highlight=False)
    if len(summary.quarantined) > _MOST_ROWS:
        show_notes([f"{len(summary.quarantined) - _MOST_ROWS} more in quarantine; --json lists them all"])


def show_backbones(found: "Sequence[BackboneInfo]", pattern: str) -> None:
    """Print the backbones that match a pattern."""
    if not found:
        fail(f"no backbone matches {pattern!r}; 'headstart backbones' lists them all")
    table = table_of("name", "params", "GFLOPs", "features", "input", "top-1", "on disk")
    for row in found:
        table.add_row(
            row.name if row.source != "torchvision" else _short(row.name),
            f"{row.parameters / 1e6:.1f} M" if row.parameters is not None else "",
            f"{row.gflops:.2f}" if row.gflops is not None else "",
            str(row.feature_size or ""),
            "×".join(map(str, dict.fromkeys(row.input_size))),
            f"{row.top1:.1f} %" if row.top1 is not None else "",
            "yes" if row.weights_on_disk else "",
        )
    Console().print(table)


def show_fit(summary: "FitSummary") -> None:
    """Print the leaderboard, the one honest score, and where the report is."""
    show_scores(summary)
    show_files(summary)


def show_scores(summary: "FitSummary") -> None:
    """Print the leaderboard, notes and the one honest score."""
    console = Console()
    metric = summary.winner["metric"]
    best: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in summary.leaderboard:
        best.setdefault((row["key"], row["tap"], row["head"]), row)
    console.print(
        f"\nChosen by {metric_name(metric)} in {summary.winner['split']}, {summary.test['n_train']} images to train on:"
    )
    table = table_of("features", "head", metric_name(metric), "95 %")
    for row in list(best.values())[:_MOST_ROWS]:
        score = "failed" if row["error"] else score_text(metric, row["score"])
        params = f" [dim]{escape(params_text(row['params']))}[/]" if row["params"] else ""
        table.add_row(
            _features(row), row["head"] + params, score, escape(interval_text(metric, row["low"], row["high"]))
        )
    console.print(table)
    if len(best) > _MOST_ROWS:
        show_notes([f"{len(best) - _MOST_ROWS} more in {nearby(summary.table)}"])
    failed = [row for row in summary.leaderboard if row["error"]]
    if failed:
        show_notes([f"{len(failed)} candidates failed, first {failed[0]['head']}: {failed[0]['error']}"])
    show_notes(summary.notes)
    test = summary.test
    if nested := "nested" in test:
        _show_folds(console, test, metric)
        console.print(f"Every image scored once, on {test['split']} ({test['n_images']} images):", highlight=False)
    else:
        console.print(
            f"Scored once, after the choice, on {test['split']} ({test['n_images']} images):", highlight=False
        )
    for row, scores in [(summary.winner, test["scores"]), *((row, row["scores"]) for row in summary.controls)]:
        score, winning = scores[metric], row is summary.winner
        name = f"{_features(row)} · {row['head']}"
        if nested:  # what won differs from fold to fold
            name = "the whole procedure" if winning else f"{_features(row)} alone"
        interval = escape(interval_text(metric, score["low"], score["high"]))
        remark = "" if winning else " (for comparison)"
        line = f"{score_text(metric, score['value']):>8} {interval:<14} {escape(name)}{remark}"
        console.print(f"[bold green]{line}[/]" if winning else line, highlight=False, soft_wrap=True)
    if not summary.class_names:  # a number was predicted: errors in its own unit say more to a person than R² does
        _show_errors(console, metric, test["scores"])
    if nested:
        console.print(f"[dim]{MEANING}[/]", highlight=False)


def _show_folds(console: Console, test: dict[str, Any], metric: str) -> None:
    """Print what won without each outer fold, and how it did there."""
    rows = fold_rows(test, metric)
    console.print(stability_text(test), highlight=False)
    table = table_of("fold", "chosen without it", metric_name(metric), "95 %", "images")
    for row in rows[:_MOST_ROWS]:
        params = f" [dim]{escape(row['params'])}[/]" if row["params"] else ""
        chosen = f"{escape(row['features'])} · {escape(row['head'])}{params}"
        table.add_row(row["fold"], chosen, row["score"], escape(row["interval"]), row["n_images"])
    console.print(table)
    if len(rows) > _MOST_ROWS:
        show_notes([f"{len(rows) - _MOST_ROWS} more outer folds; --json lists them all"])


def show_files(summary: "FitSummary") -> None:
    """Print where the model, the labels that look wrong and the report are."""
    console = Console()
    console.print(f"\nmodel   {escape(nearby(summary.model))}", highlight=False, soft_wrap=True)
    if summary.suspects:
        suspects = escape(nearby(summary.suspects))
        console.print(f"labels  {suspects}   ← those that look wrong", highlight=False, soft_wrap=True)
    report = escape(nearby(summary.report))
    console.print(f"report  {report}   ← open this in a browser", highlight=False, soft_wrap=True)


def _show_errors(console: Console, metric: str, scores: dict[str, Any]) -> None:
    told = [
        f"{metric_name(name)} {score_text(name, score['value'])} {interval_text(name, score['low'], score['high'])}"
        for name, score in scores.items()
        if name != metric
    ]
    console.print(escape(f"{'':>8} {', '.join(told)}"), highlight=False, soft_wrap=True)


def nearby(path: str) -> str:
    """Write a path as seen from the current folder where it lies below it."""
    here, there = Path.cwd(), Path(path).absolute()
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(there)


def _features(row: dict[str, Any]) -> str:
    """Name an embedding as shortly as it can be told apart: the tap only where it is not the usual one."""
    return str(row["label"]) if row["tap"] == "penultimate" else f"{row['label']} · {row['tap']}"


def table_of(*columns: str) -> Table:
    """Make a table whose second column gives way on a narrow screen; names to copy and numbers never break."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number != 1)
    return table


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def size_text(n_bytes: int) -> str:
    """Write a number of bytes as people read it: ``1.2 MB``."""
    size, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}"
