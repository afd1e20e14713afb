"""An option is written once: keywords, command, experiment file and task follow it, field by field."""

import ast
import inspect
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import pytest
import typer
from pydantic import ValidationError
from support.source_modules import ROOMS, ROOT

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.spec.key import EmbeddingKey
from headstart.extractors.spec.option import Option, options_of, shared_values
from headstart.extractors.spec.settings import Settings, SettingsKeywords
from headstart.extractors.spec.views import ViewKeywords, ViewOptions
from headstart.flows.cli import clustering as cli_clustering
from headstart.flows.cli import extract as cli_extract
from headstart.flows.cli import fit as cli_fit
from headstart.flows.cli import networks as cli_networks
from headstart.flows.cli import predict as cli_predict
from headstart.flows.cli.app import app
from headstart.flows.experiment.tables import Experiment, FitTable
from headstart.flows.exploring.clustering import cluster
from headstart.flows.exploring.options import (
    ClusterKeywords,
    ClusterOptions,
    NextKeywords,
    NextOptions,
    SimilarKeywords,
    SimilarOptions,
)
from headstart.flows.exploring.similarity import similar
from headstart.flows.extraction import ExtractKeywords, ExtractOptions
from headstart.flows.extraction.job import extract
from headstart.flows.fitting.finetuning import finetune
from headstart.flows.fitting.job import fit
from headstart.flows.fitting.several import fit_targets
from headstart.flows.inference.options import PredictKeywords, PredictOptions
from headstart.flows.inference.prediction import predict
from headstart.flows.options import FinetuneKeywords, FinetuneOptions, FitKeywords, FitOptions
from headstart.flows.orchestration import fit_tasks

EXPERIMENT = {"name": "e", "images": "i", "cache": "c", "out": "o", "extract": [{"backbone": "pixels"}]}
SOME: Mapping[str, Any] = {
    "sweep": "thorough",
    "grid": {"knn": {"n_neighbors": [3]}},
    "labels": Path("labels.csv"),
    "target": "colour",
    "task": "classify",
    "backbone": ["pixels"],
    "metric": "log_loss",
    "min_images": 9,
    "folds": 7,
    "repeats": 2,
    "test_size": 0.4,
    "nested": 6,
    "seed": 5,
    "dask": "processes",
    "device": "cuda",
    "out": Path("results"),
    "name": "baseline",
    "note": "before lunch",
    "few_shot": True,
    "calibrate": True,
    "coverage": 0.8,
    "conformal": "aps",
    "by_class": True,
    "outlier": "knn",
    "false_alarms": 0.1,
    "class_weight": "balanced",
    "threshold": "mcc",
    "costs": Path("costs.csv"),
    "no_report": True,
    "views": True,
    "average_views": True,
}
"""For each option that a command or a table has, another value than its default."""

WORDS: Mapping[str, Any] = {
    "threshold": Literal["accuracy", "balanced_accuracy", "macro_f1", "mcc"] | None,
    "class_weight": str | None,
    "costs": Path | None,
}
"""Types of options of which a command takes less than the field holds: a name, and no table."""

OWN = {(FitOptions, "target")}
"""What a command asks for in its own way: several columns."""

KEYWORDS = [
    (FitOptions, FitKeywords),
    (ExtractOptions, ExtractKeywords),
    (Settings, SettingsKeywords),
    (ViewOptions, ViewKeywords),
    (PredictOptions, PredictKeywords),
    (ClusterOptions, ClusterKeywords),
    (NextOptions, NextKeywords),
    (SimilarOptions, SimilarKeywords),
    (FinetuneOptions, FinetuneKeywords),
]
COMMANDS = [
    (FitOptions, cli_fit.fit),
    (ExtractOptions, cli_extract.extract),
    (PredictOptions, cli_predict.predict),
    (ClusterOptions, cli_clustering.cluster),
    (NextOptions, cli_clustering.next),
    (SimilarOptions, cli_clustering.similar),
    (FinetuneOptions, cli_networks.finetune),
]
HOLDERS = [holder for holder, _ in KEYWORDS]


def names(holder: type, where: str) -> list[str]:
    return [one.name for one in options_of(holder) if getattr(one.option, where)]


def typed(command: str) -> dict[str, Any]:
    """Return the options of a command, as its parser has them."""
    return {one.name: one for one in typer.main.get_command(app).commands[command].params}  # type: ignore[attr-defined]


def test_the_example_has_another_value_for_every_option_that_a_person_can_give() -> None:
    given = {one.name: one.default for one in options_of(FitOptions) if one.option.command or one.option.table}
    assert given.keys() == SOME.keys()
    assert [name for name, default in given.items() if SOME[name] == default] == []


@pytest.mark.parametrize(("holder", "keywords"), KEYWORDS)
def test_keywords_for_type_checkers_are_the_options(holder: type, keywords: type) -> None:
    assert get_type_hints(keywords) == get_type_hints(holder)


@pytest.mark.parametrize(("holder", "command"), COMMANDS)
def test_a_command_has_every_option_with_its_name_default_type_and_words(holder: type, command: Any) -> None:
    offered, declared = typed(command.__name__), inspect.signature(command).parameters
    for one in options_of(holder):
        if not one.option.command:
            assert one.name not in offered
            continue
        found, shown = offered[one.name], one.option
        assert found.opts == [shown.flag or f"--{one.name.replace('_', '-')}"]
        assert (found.default or None) == (one.default or None)
        if (holder, one.name) in OWN:
            continue
        assert (found.help, found.show_default) == (shown.help or None, shown.unset or True)
        assert (found.multiple, found.is_flag) == (str(one.kind).startswith("list["), one.kind is bool)
        metric = Literal[shown.choices] | None if one.name == "metric" else one.kind
        assert declared[one.name].annotation == WORDS.get(one.name, metric)
        assert declared[one.name].default.min == shown.least


def test_a_fit_table_has_every_option_with_its_name_default_type_and_bounds() -> None:
    asked = {one.name: one for one in options_of(FitOptions) if one.option.table}
    assert set(FitTable.model_fields) == {*asked, "name", "head"}
    for name, one in asked.items():
        field = FitTable.model_fields[name]
        assert (field.annotation, field.default) == (one.kind, one.default)
        bounds = [
            getattr(limit, kind) for limit in field.metadata for kind in ("ge", "gt", "lt") if hasattr(limit, kind)
        ]
        assert bounds == [end for end in (one.option.least, one.option.above, one.option.below) if end is not None]


def test_every_option_of_a_table_reaches_the_fit_through_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(fit_tasks, "fit", lambda *_, options: asked.append(options))
    in_table = {name: SOME[name] for name in names(FitOptions, "table")}
    experiment = Experiment(**EXPERIMENT, fit=[{"head": ["knn"], **in_table}])
    fit_tasks.fit_task.fn(experiment, experiment.fit[0], ["key"], True)
    settled = FitOptions(**in_table, keys=["key"], out=Path("o"), progress=True)
    assert asked == [settled]


def test_every_option_of_the_command_reaches_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("headstart.flows.fitting.fit", lambda *_, options: asked.append(options))
    monkeypatch.setattr("headstart.flows.cli.fit.emit_json", lambda _: None)
    words = ["fit", "c", "--json"]
    for name in names(FitOptions, "command"):
        flag, value = f"--{name.replace('_', '-')}", SOME[name]
        words += [flag] if value is True else [flag, *map(str, value if isinstance(value, list) else [value])]
    app(words, standalone_mode=False)
    assert asked == [FitOptions(**{name: SOME[name] for name in names(FitOptions, "command")}, progress=True)]


def test_an_option_that_says_nothing_of_how_it_is_asked_for_is_an_error() -> None:
    @dataclass(frozen=True)
    class Silent:
        folds: int = 5

    @dataclass(frozen=True)
    class Required:
        folds: Annotated[int, Option("Folds.")]

    for holder in (Silent, Required):
        with pytest.raises(TypeError, match=rf"{holder.__name__}\.folds has no Option or no default"):
            options_of(holder)


def test_every_option_has_a_default_and_is_explained() -> None:
    for holder in HOLDERS:
        assert not [field.name for field in fields(holder) if field.default is MISSING]
        text = inspect.getdoc(holder) or ""
        assert not [field.name for field in fields(holder) if not _explained(field.name, text)]


def _explained(name: str, text: str) -> bool:
    return any(name in line.partition(" : ")[0].split(", ") for line in text.splitlines())


@pytest.mark.parametrize(
    ("job", "wrong", "nearest"),
    [
        (fit, "fold", "folds"),
        (fit_targets, "test_share", "test_size"),
        (partial(extract, "photos"), "weight", "weights"),
        (partial(predict, "model"), "all_class", "all_classes"),
        (cluster, "min_size", "min_cluster_size"),
        (similar, "all_pair", "all_pairs"),
        (partial(finetune, from_layer="layer4"), "layer_decays", "layer_decay"),
    ],
)
def test_a_misspelt_option_names_the_nearest(job: Any, wrong: str, nearest: str) -> None:
    with pytest.raises(TypeError, match=rf"\(\) has no option '{wrong}'; did you mean '{nearest}'\? It has [a-z_]+, "):
        job("c", **{wrong: 3})


def test_options_are_given_as_one_object_or_by_name(embed: Any, tmp_path: Path) -> None:
    cache = embed().cache
    options = FitOptions(folds=3, seed=1, out=tmp_path / "one")
    one = fit(cache, ["centroid", "knn"], options=options)
    named = fit(cache, ["centroid", "knn"], folds=3, seed=1, out=tmp_path / "named")
    both = fit(cache, ["centroid", "knn"], options=replace(options, folds=5), folds=3, out=str(tmp_path / "both"))
    scores = [
        [(row.head, row.params, row.split, row.scores) for row in summary.leaderboard] for summary in (one, named, both)
    ]
    assert scores[0] == scores[1] == scores[2]
    assert one.winner.split == "3-fold CV"
    assert [Path(summary.model).parent.parent.name for summary in (one, named, both)] == ["one", "named", "both"]


def test_a_field_of_the_key_with_an_option_is_asked_for_kept_and_told(photos: Path, tmp_path: Path) -> None:
    in_key = {"precision": "fp32", "decode": "draft", "range": (0, 4095), "colour": "srgb", "dtype": "float16"}
    in_key |= {"exact": True, "image_size": 16}
    # Which view a key is of follows from how many are asked for, see tests/flows/extraction/test_views.py; layers are
    # of one network, and a table may have several, see tests/extractors/tuning/test_mixed.py.
    assert in_key.keys() | {"view", "in_float32"} == shared_values(Settings, EmbeddingKey).keys()
    assert set(in_key) < set(names(ExtractOptions, "command")) & set(Experiment.model_fields)
    (noted,) = extract(photos, "small_cnn", options=ExtractOptions(weights="none", cache=tmp_path / "c", **in_key)).keys
    key = EmbeddingCache(tmp_path / "c").stores()[0].key
    assert in_key == {name: getattr(noted, name) for name in in_key} == {name: getattr(key, name) for name in in_key}
    assert Settings.for_key(key, device="cpu", workers=3) == Settings(device="cpu", workers=3, **in_key)


def test_an_experiment_has_every_setting_with_its_name_default_type_and_bounds() -> None:
    experiment = Experiment(**EXPERIMENT, fit=[{"head": ["knn"]}])
    assert experiment.settings == Settings()
    for one in [*options_of(ViewOptions), *(one for one in options_of(Settings) if one.option.table)]:
        field = Experiment.model_fields[one.name]
        assert (field.annotation, field.default) == (one.kind, one.default)
        bounds = [("ge", one.option.least), ("lt", one.option.below)]
        found = [(name, getattr(limit, name)) for limit in field.metadata for name, _ in bounds if hasattr(limit, name)]
        assert found == [(name, bound) for name, bound in bounds if bound is not None]
    with pytest.raises(ValidationError, match="Input should be 'auto', 'full' or 'draft'"):
        Experiment(**EXPERIMENT, fit=[{"head": ["knn"]}], decode="nvjpeg")
    others = {"precision": "bf16", "decode": "full", "range": (0, 255), "colour": "as-stored", "compile": "on"}
    others |= {"device": "cpu", "dtype": "float16", "batch_size": 3, "workers": 2, "image_size": 96}
    alone = {"exact": True}  # excludes a batch size and compilation
    assert {*others, *alone} == set(names(Settings, "table"))
    for given in (others, alone):
        assert Experiment(**EXPERIMENT, fit=[{"head": ["knn"]}], **given).settings == Settings(**given)


@pytest.mark.parametrize(
    "wing", ["cli", "experiment", "exploring", "extraction", "fitting", "inference", "orchestration"]
)
def test_options_travel_as_one_object(wing: str) -> None:
    found = {}
    for module in (one for one in ROOMS if one.parent == Path("flows", wing)):
        for node in ast.walk(ast.parse((ROOT / module).read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                given = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                given += [one.arg for one in (node.args.vararg, node.args.kwarg) if one]
                found[f"{module}: {node.name}"] = len([name for name in given if name not in ("self", "cls")])
    assert {name: count for name, count in found.items() if count > 8} == {}


def test_one_target_is_no_option_where_several_are_fitted(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path / "c", create=True)
    with pytest.raises(TypeError, match="fits the columns of 'targets'; name 'colour' there, not as 'target'"):
        fit_targets(tmp_path / "c", "knn", target="colour")
