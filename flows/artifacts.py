"""What a run leaves in Prefect's UI."""

import re
from pathlib import Path

from prefect.artifacts import create_link_artifact, create_table_artifact

from flows.fit_summary import FitSummary
from heads.report_text import interval_text, params_text, score_text


def leave_fit_artifacts(name: str, fitted: FitSummary) -> None:
    """Leave the leaderboard and a link to the report in Prefect's UI."""
    slug = slug_of(name)
    rows = [
        {
            "backbone": row["label"],
            "tap": row["tap"],
            "head": row["head"],
            "parameters": params_text(row["params"]),
            row["metric"]: score_text(row["metric"], row["score"]),
            "95 %": interval_text(row["metric"], row["low"], row["high"]),
        }
        for row in fitted.leaderboard
    ]
    chosen_by = (
        f"Chosen by {fitted.winner['split']}; the winner's score on {fitted.test['split']} stands in the report."
    )
    create_table_artifact(key=f"{slug}-leaderboard", table=rows, description=chosen_by)
    create_link_artifact(
        key=f"{slug}-report", link=Path(fitted.report).resolve().as_uri(), link_text=f"Report of {name}"
    )


def slug_of(name: str) -> str:
    """Make an artifact's key of a name: lowercase letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "experiment"
