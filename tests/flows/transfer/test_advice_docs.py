"""The worked example of advice in docs/transfer.md runs, from digits to sentences."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_digits
from support.source_modules import ROOT

from headstart.flows.cli.app import main
from headstart.flows.demo import pretrain_on_digits, write_digits

SECTION = (ROOT / "docs" / "transfer.md").read_text().split("\n## How similar, how many labels")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```(sh|py)\n(.*?)```", SECTION, re.DOTALL)
FEW = 200  # digits that the demonstration draws from all of scikit-learn's


def few_digits(*, return_X_y: bool) -> Any:
    """Return scikit-learn's digits, of which there are more."""
    pixels, labels = load_digits(return_X_y=return_X_y)
    return pixels[:FEW], labels[:FEW]


def demo() -> None:
    """Leave what `headstart demo` leaves, but for the results, with fewer digits and an encoder that saw them once."""
    folder = Path("headstart-demo")
    folder.mkdir()
    write_digits(folder)
    pretrain_on_digits(folder / "source", folder / "encoder.safetensors", epochs=1)


def test_the_example_of_advice_runs_and_says_what_the_page_says(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.flows.demo.load_digits", few_digits)
    demo()
    names: dict[str, object] = {}
    for language, text in BLOCKS:
        if language == "py":  # `python` are the blocks on the photographs of test_pages
            exec(text, names)  # noqa: S102 - our own page
            continue
        for line in text.splitlines()[1:]:  # behind the demonstration
            with pytest.raises(SystemExit) as ended:
                main(shlex.split(line)[1:])
            assert not ended.value.code, line
    shown = " ".join(capsys.readouterr().out.split())
    assert "5 labelled images a class to fit on, 5 of the rarest: little, by the line of 100 (--enough)." in shown
    assert "The images" in shown
    assert "the control, raw pixels," in shown
