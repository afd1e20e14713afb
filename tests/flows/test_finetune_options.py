"""An option of fine-tuning is written once: the command, the experiment's table and the task follow it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from headstart.extractors.spec import options_of
from headstart.flows.cli.app import app
from headstart.flows.experiment.tables import Experiment, FinetuneTable
from headstart.flows.options import FinetuneOptions
from headstart.flows.orchestration import finetune_tasks

EXPERIMENT = {"name": "e", "images": "i", "cache": "c", "out": "o", "fit": [{"head": ["knn"]}]}
EXTRACT = [{"backbone": "small_cnn", "weights": "none"}]
SOME: Mapping[str, Any] = {
    "start": "linear",
    "unfreeze": "progressive",
    "learning_rate": [0.1, 0.01],
    "layer_decay": [0.5],
    "block_rates": {"features.8": 0.001},
    "optimizer": "adamw",
    "momentum": 0.8,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "epochs": 3,
    "batch_size": 7,
    "schedule": "cosine",
    "warmup": 2,
    "patience": 4,
    "min_steps": 9,
    "batch_norm": "train",
    "precision": "fp32",
    "class_weight": "balanced",
    "guide": Path("guide.safetensors"),
    "views": True,
    "average_views": True,
    "backbone": "small_cnn",
    "weights": "none",
    "labels": Path("labels.csv"),
    "target": "colour",
    "metric": "log_loss",
    "min_images": 9,
    "folds": 7,
    "test_size": 0.4,
    "seed": 5,
    "device": "cuda",
    "dask": "tcp://head:8786",
    "out": Path("results"),
    "name": "deep",
    "note": "before lunch",
}
"""For each option that a command or a table has, another value than its default."""


def names(where: str) -> list[str]:
    return [one.name for one in options_of(FinetuneOptions) if getattr(one.option, where)]


def test_the_example_has_another_value_for_every_option_that_a_person_can_give() -> None:
    assert set(SOME) == {*names("command"), *names("table")}
    assert [name for name, value in SOME.items() if value == getattr(FinetuneOptions(), name)] == []


def test_a_table_has_every_option_with_its_default_and_bounds() -> None:
    assert set(FinetuneTable.model_fields) == {*names("table"), "name", "from_layer"}
    table = FinetuneTable(**{"from": "features.8"})
    for one in options_of(FinetuneOptions):
        if not one.option.table:
            continue
        assert getattr(table, one.name) == one.default
        limits = [("least", -1), ("above", 0), ("below", 1e12)]
        for _, value in [limit for limit in limits if getattr(one.option, limit[0]) is not None]:
            with pytest.raises(ValidationError, match=r"Input should be (greater|less) than"):
                FinetuneTable(**{"from": "features.8", one.name: int(value) if int in _kinds(one.kind) else value})


def _kinds(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) or (kind,)


def test_every_option_of_a_table_reaches_the_job_through_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(finetune_tasks, "finetune", lambda *given, options: asked.append((given[1:], options)))
    in_table = {name: SOME[name] for name in names("table")}
    experiment = Experiment(**EXPERIMENT, extract=EXTRACT, finetune={"from": ["features.8"], **in_table})
    finetune_tasks.finetune_task.fn(experiment, experiment.finetune[0], ["key"], True)
    settled = FinetuneOptions(**in_table, keys=["key"], out=Path("o/finetune"), progress=True)
    assert asked == [((["features.8"],), settled)]


def test_every_option_of_the_command_reaches_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "headstart.flows.fitting.finetuning.finetune", lambda *given, options: asked.append((*given, options))
    )
    monkeypatch.setattr("headstart.flows.cli.networks.emit_json", lambda _: None)
    words = ["finetune", "c", "--from", "layer3", "--from", "layer4", "--json"]
    for name in names("command"):
        for value in SOME[name] if isinstance(SOME[name], list) else [SOME[name]]:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    app(words, standalone_mode=False)
    ((cache, layers, options),) = asked
    assert (cache, layers) == (Path("c"), ["layer3", "layer4"])
    expected = FinetuneOptions(**{name: SOME[name] for name in names("command")}, progress=True)
    assert options == replace(expected, layer_decay=[0.5])


def test_one_value_may_stand_without_brackets_in_a_table() -> None:
    table = FinetuneTable(**{"from": "layer4", "learning_rate": 0.1, "block_rates": {"fc": 0.2}})
    assert (table.from_layer, table.options.learning_rate, table.options.layer_decay) == (["layer4"], [0.1], [1.0])
    assert table.options.block_rates == {"fc": 0.2}
    with pytest.raises(ValidationError, match=r"Input should be a valid list|at least 1 item"):
        FinetuneTable(**{"from": []})
