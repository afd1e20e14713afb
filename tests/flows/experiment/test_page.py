"""docs/experiment.md names every table and key of an experiment file, as the options of the jobs have them."""

import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from support.source_modules import ROOT

from headstart.extractors.spec import Option, options_of
from headstart.flows.experiment import Experiment, ExtractTable, FitTable, read_experiment
from headstart.flows.experiment.tables import FinetuneTable, ScaleTable, SecurityTable
from headstart.flows.extraction import ExtractOptions
from headstart.flows.options import FinetuneOptions, FitOptions

PAGE = (ROOT / "docs" / "experiment.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
TABLES = {
    "The file itself": Experiment,
    "`[[extract]]`": ExtractTable,
    "`[fit]`": FitTable,
    "`[[finetune]]`": FinetuneTable,
    "`[scale]`": ScaleTable,
    "`[security]`": SecurityTable,
}
OWN = {
    "name",
    "images",
    "cache",
    "out",
    "head",
    "extract",
    "fit",
    "finetune",
    "from",
    "from_layer",
    "scale",
    "security",
    "weights",
    "backbone",
    "tap",
}
"""Keys whose meaning is another than that of an option of the same name."""


def rows_of(section: str) -> list[tuple[str, str, str]]:
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")
    ]
    return [(key.strip("`"), default, meaning) for key, default, meaning in cells]


def options_for(table: type) -> dict[str, Any]:
    """Return the options that keys of a table are made of, by name."""
    holders = {Experiment: [ExtractOptions], FitTable: [FitOptions], FinetuneTable: [FinetuneOptions]}.get(table, [])
    return {one.name: one for holder in holders for one in options_of(holder) if one.name not in OWN}


def toml_of(value: Any) -> str:
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    return text or (f'"{value}"' if isinstance(value, str) else str(value).replace("'", '"'))


def choices_of(kind: Any, option: Option) -> list[str]:
    if option.choices:
        return list(option.choices)
    literals = [one for one in (kind, *get_args(kind)) if get_origin(one) is Literal]
    return [str(name) for one in literals for name in get_args(one)]


def expected_row(name: str, one: Any) -> tuple[str, str, str]:
    option: Option = one.option
    default = option.unset or ("none" if one.default is None else f"`{toml_of(one.default)}`")
    choices = choices_of(one.kind, option)
    meaning = option.help + (f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else "")
    return name, default, meaning


@pytest.mark.parametrize("title", TABLES)
def test_a_table_of_the_page_has_every_key_and_no_other(title: str) -> None:
    keys = [one.alias or name for name, one in TABLES[title].model_fields.items()]
    assert [key for key, _, _ in rows_of(SECTIONS[title])] == keys


@pytest.mark.parametrize("title", TABLES)
def test_a_key_says_what_its_option_says(title: str) -> None:
    shown, options = {row[0]: row for row in rows_of(SECTIONS[title])}, options_for(TABLES[title])
    expected = {name: expected_row(name, options[name]) for name in shown if name in options}
    assert {name: " | ".join(expected[name]) for name in expected if shown[name] != expected[name]} == {}


@pytest.mark.parametrize("title", TABLES)
def test_a_key_of_the_file_alone_shows_its_default(title: str) -> None:
    fields = {name: one for name, one in TABLES[title].model_fields.items() if name not in options_for(TABLES[title])}
    shown = {key: default for key, default, _ in rows_of(SECTIONS[title])}
    wanted = {name: f"`{toml_of(one.default)}`" for name, one in fields.items() if not one.is_required()}
    plain = {name: text for name, text in wanted.items() if text != "`None`" and name != "security"}
    assert {name: shown[name] for name in plain} == plain
    assert all(meaning for _, _, meaning in rows_of(SECTIONS[title]))


def test_the_experiments_on_the_page_can_be_read(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 2
    for number, text in enumerate(blocks):
        (tmp_path / f"{number}.toml").write_text(text)
        experiment = read_experiment(tmp_path / f"{number}.toml")
        assert set(tomllib.loads(text)) <= set(type(experiment).model_fields)
