"""The walk in docs/looking.md: from a folder without labels, by the page's own tables, to the end of the page."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.utils import Bunch
from support.source_modules import ROOT

from headstart.flows.cli.app import main
from headstart.flows.demo import pretrain_on_digits, write_digits

PAGE = (ROOT / "docs" / "looking.md").read_text()
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", PAGE, re.DOTALL)
KEPT = 12  # images of each digit that the demonstration leaves
FEW = 330  # digits that there are, of scikit-learn's
THREE = (1, 7, 8)  # of which those are that a block draws


def few_digits(kinds: Iterable[int]) -> Callable[..., Any]:
    """What loads scikit-learn's digits, of which there are more."""

    def load(*, return_X_y: bool = False) -> Any:
        digits = load_digits()
        rows = np.flatnonzero(np.isin(digits.target, list(kinds)))[:FEW]
        few = Bunch(**{name: digits[name][rows] for name in ("data", "target", "images")})
        return (few.data, few.target) if return_X_y else few

    return load


def demo() -> None:
    """Leave what `headstart demo` leaves, but for the results, with fewer digits and an encoder that saw them once."""
    folder = Path("headstart-demo")
    if folder.exists():
        return
    folder.mkdir()
    write_digits(folder)
    for digit in (*folder.glob("source/*"), *folder.glob("target/test/*")):
        for image in sorted(digit.iterdir())[KEPT:]:
            image.unlink()
    pretrain_on_digits(folder / "source", folder / "encoder.safetensors", epochs=2)


def label_as_a_person(table: Path) -> None:
    """Write the table of the newest page that gives one, when each of its images is named by what it shows."""
    truth = {path.name: path.parent.name for path in Path("headstart-demo/target").rglob("*.png")}
    pages = sorted(Path().rglob("*.html"), key=lambda page: page.stat().st_mtime)
    found = [re.search(r'id="label-details">(.*?)</script>', page.read_text(), re.DOTALL) for page in pages]
    data = json.loads([one for one in found if one][-1][1])
    assert data["file"] == table.name
    rows = {"path": data["paths"], data["column"]: [truth[path] for path in data["paths"]]}
    pd.DataFrame(rows).to_csv(table, index=False, encoding="utf-8-sig")


def run(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words == ["headstart", "demo"]:
        demo()
    elif words[0] == "headstart":
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        assert not ended.value.code, line
    elif words[:1] == ["mv"] and words[1].startswith("~/Downloads/"):
        label_as_a_person(Path(Path(words[1]).name))
    else:
        subprocess.run(["sh", "-c", line], check=True)


def test_the_blocks_run_from_images_without_labels_to_the_end_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sklearn.datasets.load_digits", few_digits(range(10)))
    names: dict[str, object] = {}
    for language, text in BLOCKS:
        if language == "python":
            with monkeypatch.context() as patch:
                patch.setattr("sklearn.datasets.load_digits", few_digits(THREE))
                exec(text, names)  # noqa: S102 - our own page
            continue
        for line in text.splitlines():
            run(line)
    out = capsys.readouterr().out
    assert "40 images to label next" in out
    labels = pd.read_csv("photos-labels.csv", dtype=str)
    assert len(labels) == 60
    assert set(labels["label"]) == {"5", "6", "7", "8"}


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
