"""Artifacts of a run in Prefect's UI: how far it is, its leaderboard as a table and as a picture, and its report."""

import base64
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from headstart.flows.fit_summary import FitSummary
from headstart.flows.orchestration.tasks import run_logger
from headstart.flows.output import Advance, as_markdown
from headstart.heads.report import interval_text, params_text, score_text
from headstart.heads.report.charts import cost_chart
from headstart.heads.scoring import metric_name

if TYPE_CHECKING:
    from uuid import UUID

_UPDATE_EVERY_S = 5.0  # each is a request to the server: none of them per batch


def leave_fit_artifacts(name: str, fitted: FitSummary) -> None:
    """Leave the leaderboard, its chart, and what the report says first in Prefect's UI."""
    slug = slug_of(name)
    rows = [
        {
            "backbone": row.label,
            "tap": row.tap,
            "head": row.head,
            "parameters": params_text(row.params),
            row.metric: score_text(row.metric, row.score),
            "95 %": interval_text(row.metric, row.low, row.high),
        }
        for row in fitted.leaderboard
    ]
    of_whom = "the score" if fitted.test.nested else "the winner's score"
    chosen_by = f"Chosen by {fitted.winner.split}; {of_whom} on {fitted.test.split} stands in the report."
    create_table_artifact(key=f"{slug}-leaderboard", table=rows, description=chosen_by)
    metric = fitted.winner.metric
    if chart := cost_chart(fitted.leaderboard, metric):
        described = f"{metric_name(metric)} of each candidate against the seconds of its fit."
        create_image_artifact(key=f"{slug}-chart", image_url=_image_url(chart[0]), description=described)
    create_markdown_artifact(key=f"{slug}-report", markdown=report_page(name, fitted), description=f"Report of {name}")


def report_page(name: str, fitted: FitSummary) -> str:
    """Return a report's first lines, as Markdown, and where the whole of it lies: browsers open no ``file://`` link.

    Parameters
    ----------
    name : str
        Of the fit.
    fitted : FitSummary
    """
    winner, test = fitted.winner, fitted.test
    scores = [
        f"| {metric_name(metric)} | {score_text(metric, score.value)} {interval_text(metric, score.low, score.high)} |"
        for metric, score in test.scores.items()
    ]
    params = f" ({params_text(winner.params)})" if winner.params else ""
    lines = [
        f"# {as_markdown(name)}",
        as_markdown(f"{winner.head}{params} on {winner.label}, {winner.tap}, chosen by {winner.split}."),
        "",
        as_markdown(fitted.understood.text if fitted.understood else ""),
        "",
        f"| scored once, on {as_markdown(test.split)} ({test.n_images} images) | |",
        "| --- | --- |",
        *scores,
        "",
        *(f"- {as_markdown(note)}" for note in fitted.notes),
        "",
    ]
    if fitted.report:
        place = f"    {Path(fitted.report).resolve()}"
        lines += ["The whole report is this file, on the machine that fitted:", "", place]
    return "\n".join(lines)


def progress_artifact(name: str, total: int, also: Advance) -> Advance:
    """Leave a progress bar in Prefect's UI; does nothing outside a flow.

    Parameters
    ----------
    name : str
        What gets on, such as ``embedding resnet18``.
    total : int
        When it is done. Nothing is left where nothing is to be done.
    also : callable
        Another one that is to be told, such as the bar in a terminal.

    Returns
    -------
    callable
        To be called with how many more are done, by any thread; it asks the server at most every five seconds, and when
        all is done.
    """
    if not total or FlowRunContext.get() is None:
        return also
    try:
        created = create_progress_artifact(0.0, key=slug_of(name), description=f"{name}: {total} in all")
    except httpx.HTTPError as error:
        run_logger().debug("no progress bar: %s", error)
        return also
    artifact = cast("UUID", created)  # a coroutine only where a flow is asynchronous; none of ours is
    done, updated, one_at_a_time = 0, time.monotonic(), threading.Lock()

    def advance(count: int) -> None:
        nonlocal done, updated
        also(count)
        with one_at_a_time:
            done += count
            now = time.monotonic()
            if now - updated >= _UPDATE_EVERY_S or done >= total:
                updated = now
                _tell(artifact, min(100.0, 100.0 * done / total))

    return advance


def _tell(artifact: "UUID", per_cent: float) -> None:
    """Ask once: Prefect's own retries take a minute, and no image is embedded meanwhile."""
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            update_progress_artifact(artifact, per_cent)
    except httpx.HTTPError as error:  # a bar is not worth a run
        run_logger().debug("progress was not told: %s", error)


def slug_of(name: str) -> str:
    """Make an artifact's key of a name: lowercase letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "experiment"


def _image_url(svg: str) -> str:
    """Write a figure as a ``data:`` URL, which is the picture itself.

    A browser shows no ``file://`` picture in a page that came over http, and Prefect stores URLs and no files.
    """
    # Alone in an <img>, a figure has no page to take its colours and its name spaces from.
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    style = "background:#fff;color:#1f2328;font-family:sans-serif"
    alone = svg.replace("<svg ", f'<svg {spaces} style="{style}" ', 1)
    return "data:image/svg+xml;base64," + base64.b64encode(alone.encode()).decode()
