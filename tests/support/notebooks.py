"""Executes the notebooks under docs/ in this process, without Jupyter: ``python tests/support/notebooks.py``.

Cells run in an empty folder. Of a cell are kept what it prints, its last value and its figures, as Jupyter keeps them.
"""

import ast
import base64
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import matplotlib as mpl

DOCS = Path(__file__).parent.parent.parent / "docs"
NOTEBOOKS = ("fit-and-look.ipynb", "fine-tuning.ipynb")
VARIES = "varies"
"""Tag of a cell whose output is another on another kind of processor, and is shown but not compared."""

_CHANGING = [(r"\d{8}-\d{6}-[0-9a-f]{4}", "RUN"), (r"-?\d+\.\d+(e[+-]?\d+)?|\b1e-\d+\b", "#"), (r"[ \t]+", " ")]
Notebook = dict[str, Any]
Output = dict[str, Any]


def read(name: str) -> Notebook:
    """Return a notebook as it is stored."""
    found: Notebook = json.loads((DOCS / name).read_text())
    return found


def executed(notebook: Notebook) -> Notebook:
    """Return the notebook with the outputs of its code cells made anew."""
    cells, names, number = [], {"__name__": "__main__"}, 0
    with _elsewhere():
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                number += 1
                cells.append(
                    cell | {"outputs": _outputs("".join(cell["source"]), names, number), "execution_count": number}
                )
            else:
                cells.append(cell)
    return notebook | {"cells": cells}


def texts_of(cell: dict[str, Any]) -> list[str]:
    """Return the text outputs of a cell, without run ids and what rounds differently elsewhere."""
    found = [output.get("text") or output["data"].get("text/plain", "") for output in cell["outputs"]]
    texts = ["".join(text) for text in found]
    for pattern, sign in _CHANGING:
        texts = [re.sub(pattern, sign, text) for text in texts]
    return texts


def is_compared(cell: dict[str, Any]) -> bool:
    """Tell whether a cell's output is the same everywhere."""
    return cell["cell_type"] == "code" and VARIES not in cell["metadata"].get("tags", [])


@contextmanager
def _elsewhere() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, mpl.rc_context():
        mpl.use("Agg")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _outputs(source: str, names: dict[str, Any], number: int) -> list[Output]:
    from matplotlib import pyplot as plt

    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        exec(compile(tree, f"cell {number}", "exec"), names)  # noqa: S102 - our own notebooks
        value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names) if last else None  # noqa: S307
    streams = (("stdout", out), ("stderr", err))
    outputs: list[Output] = [
        {"output_type": "stream", "name": name, "text": _lines(text.getvalue())}
        for name, text in streams
        if text.getvalue()
    ]
    if value is not None and not source.rstrip().endswith(";"):
        data = {"text/plain": _lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = _lines(value._repr_html_())
        outputs.append({"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}})
    for figure in map(plt.figure, plt.get_fignums()):
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=72, bbox_inches="tight", metadata={"Software": None})
        data = {"image/png": base64.b64encode(picture.getvalue()).decode()}
        outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
    plt.close("all")
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    for one in NOTEBOOKS:
        (DOCS / one).write_text(json.dumps(executed(read(one)), indent=1, ensure_ascii=False) + "\n")
