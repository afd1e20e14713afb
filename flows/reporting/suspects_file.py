"""The list of labels that look wrong, as a file that a person can work through."""

from pathlib import Path

import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.flows.problem import Problem
from headstart.flows.reporting.analysis import Analysis

SUSPECTS_FILE = "suspects.csv"


def write_suspects(out: Path, problem: Problem, found: Analysis) -> str | None:
    """Write ``suspects.csv`` into `out`: ``path, given, suggested, probability, margin``, worst first.

    Returns
    -------
    str or None
        Where it is; None where no label looks wrong, and then there is no such file, nor one of an earlier fit.
    """
    file = out / SUSPECTS_FILE
    if not found.suspects:
        file.unlink(missing_ok=True)
        return None
    table = pd.DataFrame([vars(one) for one in found.suspects])
    names = pd.Series(problem.class_names, dtype=object)
    table = pd.DataFrame(
        {
            "path": problem.images.paths(table["row"].to_numpy()),
            "given": names.to_numpy()[table["given"]],
            "suggested": names.to_numpy()[table["suggested"]],
            "probability": table["probability"].round(4),
            "margin": table["score"].round(4),
        }
    )
    write_atomically(file, table.to_csv(index=False, errors="backslashreplace").encode(errors="backslashreplace"))
    return str(file)
