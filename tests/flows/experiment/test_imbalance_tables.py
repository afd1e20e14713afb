"""Weights, thresholds and costs of classes in an experiment file."""

from pathlib import Path

import pytest

from headstart.flows.errors import JobError
from headstart.flows.experiment import read_experiment
from headstart.flows.problem import read_costs, read_weights, table_text


def read(folder: Path, *lines: str) -> tuple[object, object, object]:
    file = folder / "birds.toml"
    file.write_text("\n".join(['images = "photos"', "[[extract]]", 'backbone = "resnet18"', "[fit]", *lines]))
    (asked,) = read_experiment(file).fit
    return asked.options.class_weight, asked.options.threshold, asked.options.costs


def test_weights_and_costs_are_a_text_or_a_table(tmp_path: Path) -> None:
    assert read(tmp_path, 'class_weight = "balanced"', 'threshold = "mcc"') == ("balanced", "mcc", None)
    weight, _, costs = read(tmp_path, "class_weight = { bee = 3 }", "costs = { bee = { ant = 10 }, ant = { bee = 2 } }")
    assert read_weights(weight) == {"bee": 3.0} == read_weights("bee=3")
    assert read_costs(costs) == {("bee", "ant"): 10.0, ("ant", "bee"): 2.0} == read_costs(table_text(costs))


def test_a_file_of_costs_stands_beside_the_experiment_and_costs_that_are_written_out_do_not(tmp_path: Path) -> None:
    assert read(tmp_path, 'costs = "costs.csv"')[2] == tmp_path / "costs.csv"
    written = read(tmp_path, 'costs = "bee:ant=10"')[2]
    assert read_costs(written) == {("bee", "ant"): 10.0}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("class_weight = { bee = 'x' }", "class_weight"),
        ("costs = { bee = 3 }", "costs"),
        ("class_weights = 'balanced'", "class_weights: Extra inputs"),
    ],
)
def test_what_is_no_such_value_is_refused_by_its_key(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises((JobError, ValueError), match=message):
        read(tmp_path, line)
