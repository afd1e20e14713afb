"""The worked example of label columns in docs/transfer.md runs, from digits to predictions."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from support.source_modules import ROOT

from headstart.flows.cli.app import main

SECTION = (ROOT / "docs" / "transfer.md").read_text().split("\n## Several label columns\n")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", SECTION, re.DOTALL)
DIGITS = 600


@pytest.mark.usefixtures("short_grids")
def test_the_example_of_label_columns_runs(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for language, text in BLOCKS:
        if language == "python":
            if "headstart" not in text:  # or tests/flows/test_pages.py runs it
                exec(text, names)  # noqa: S102 - our own page
            continue
        for line in text.splitlines():
            short = " --max-epochs 2 --seeds 2" if line.startswith("headstart multitask") else ""
            with pytest.raises(SystemExit) as ended:
                main(shlex.split(line + short)[1:])
            assert not ended.value.code, line
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 label columns over one trunk, scored once on the test images:" in shown
    assert "path,digit,probability_digit,ink,parity,probability_parity,reason" in shown
    table = pd.read_csv("numerals.multitask/predictions.csv")
    assert len(table) == DIGITS
    assert table["parity"].notna().all()
    assert table["parity_label"].notna().sum() == DIGITS // 4 + DIGITS // 20
