"""Class weights, thresholds and costs of a fit: what is fitted, chosen, saved, said, and refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.array_cache import cache_of

from headstart.extractors.cache import EmbeddingCache
from headstart.flows.cli.scores import show_fit
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting import fit, fit_targets
from headstart.flows.fitting.nested import plan_fit
from headstart.flows.fitting.unfinished import KeptResults
from headstart.flows.history import find_run
from headstart.flows.options import FitOptions
from headstart.flows.output import as_line
from headstart.flows.problem import pose_problem
from headstart.heads.errors import DataError
from headstart.heads.registry import Candidate
from headstart.heads.saving import load_model
from headstart.heads.sweep import Result

SIZES = {"ant": 150, "bee": 26}
THREE = {"ant": 120, "bee": 30, "moth": 24}


def embedded(folder: Path, sizes: dict[str, int], sides: list[str] | None = None, seed: int = 0) -> Path:
    generator = np.random.default_rng(seed)
    labels = np.repeat(list(sizes), list(sizes.values()))
    codes = np.unique(labels, return_inverse=True)[1]
    features = generator.normal(size=(len(codes), 8)) + 1.1 * np.eye(8)[codes]
    order = generator.permutation(len(codes))
    return cache_of(folder, features[order], labels[order].tolist(), sides)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded(tmp_path_factory.mktemp("two"), SIZES)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded(tmp_path_factory.mktemp("three"), THREE)


def quick(cache: Path, heads: Any, out: Path, **options: Any) -> FitSummary:
    return fit(cache, heads, out=out, **{"folds": 3, "workers": 1, "no_report": True, **options})


@pytest.fixture(scope="module")
def plain(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> FitSummary:
    return quick(cache, ["logreg(C=0.1)", "knn"], tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def decided(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> FitSummary:
    out = tmp_path_factory.mktemp("decided")
    return quick(cache, ["logreg(C=0.1)", "knn"], out, threshold="balanced_accuracy", no_report=False)


def card_of(found: FitSummary) -> dict[str, Any]:
    card: dict[str, Any] = load_model(found.model)[1]
    return card


@pytest.mark.parametrize("weight", ["balanced", "bee=6", {"bee": 6, "ant": 1}], ids=str)
@pytest.mark.parametrize("memory", [None, 2000], ids=["in memory", "streamed"])
def test_a_fit_with_class_weights_scores_as_scikit_learn_does_on_the_same_folds(
    cache: Path, tmp_path: Path, weight: Any, memory: float | None
) -> None:
    found = quick(cache, ["logreg(C=0.1)", "ridge(alpha=10)"], tmp_path, class_weight=weight, memory=memory)
    problem = pose_problem(EmbeddingCache(cache))
    plan, _ = plan_fit(problem, FitOptions(folds=3))
    X, y = np.asarray(problem.embedded[0].features, dtype=np.float64), problem.y
    theirs = "balanced" if weight == "balanced" else {0: 1.0, 1: 6.0}
    estimators = {
        "logreg": LogisticRegression(C=0.1, max_iter=1000, class_weight=theirs),
        "ridge": RidgeClassifier(alpha=10, class_weight=theirs),
    }
    for row in found.leaderboard:
        made = make_pipeline(StandardScaler(), estimators[row.head])
        taken = np.concatenate([made.fit(X[fit], y[fit]).predict(X[score]) for fit, score in plan.folds])
        true = np.concatenate([y[score] for _, score in plan.folds])
        assert row.scores["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(true, taken), abs=1e-9)
        assert row.params["class_weight"] == theirs
    assert load_model(found.model)[0][-1].class_weight == theirs


def test_heads_that_cannot_weigh_are_named_and_fitted_as_ever(cache: Path, tmp_path: Path, plain: FitSummary) -> None:
    found = quick(cache, ["logreg(C=0.1)", "knn", "centroid", "dummy"], tmp_path, class_weight="balanced")
    assert "knn, centroid, dummy cannot weigh classes: fitted without --class-weight" in found.notes
    knn = [[one.score for one in each.leaderboard if one.head == "knn"] for each in (found, plain)]
    assert knn[0] == knn[1]
    with pytest.raises(DataError, match="knn cannot weigh classes: leave --class-weight out, or name one of logreg"):
        quick(cache, "knn", tmp_path, class_weight="balanced")


def test_without_weights_nothing_is_said_of_them(plain: FitSummary) -> None:
    assert all("class_weight" not in row.params for row in plain.leaderboard)
    assert plain.test.decision is None
    text = Path(plain.model).with_name("run.json").read_text()
    assert "class_weight" not in text
    assert "threshold" not in text
    assert "decision" not in text
    assert "decision" not in card_of(plain)


def test_a_grid_may_compare_weights_and_a_weight_of_the_fit_does_not_overrule_it(cache: Path, tmp_path: Path) -> None:
    found = quick(cache, "logreg(C=0.1, class_weight=balanced,none)", tmp_path, class_weight="bee=3")
    assert {repr(row.params["class_weight"]) for row in found.leaderboard} == {"'balanced'", "None"}
    assert len({row.scores["balanced_accuracy"].value for row in found.leaderboard}) == 2


def test_an_unfinished_sweep_does_not_mix_weighed_results_with_plain_ones(cache: Path, tmp_path: Path) -> None:
    problem = pose_problem(EmbeddingCache(cache))
    plan, _ = plan_fit(problem, FitOptions(folds=3))
    one = Candidate(features=None, backbone="b", tap="t", key="k", head="logreg", params={"C": 0.1})
    others = [replace(one, params={"C": 0.1, "class_weight": weight}) for weight in ("balanced", {0: 1.0, 1: 3.0})]
    KeptResults(tmp_path, problem, plan, 0).keep(Result(candidate=others[1]))
    read = KeptResults(tmp_path, problem, plan, 0)
    assert [found.candidate for found in read.find([one, *others])] == [others[1]]
    assert not read.find([replace(one, params={"C": 0.1, "class_weight": {0: 1.0, 1: 4.0}})])


def test_the_model_decides_by_the_threshold_and_keeps_its_probabilities(decided: FitSummary, plain: FitSummary) -> None:
    decision, tables = card_of(decided)["decision"], [each.to_pandas("predictions") for each in (decided, plain)]
    assert decision["by"] == "balanced_accuracy"
    assert 0.02 < decision["threshold"] < 0.45
    of_taken = np.where(tables[1]["predicted"] == "bee", tables[1]["probability"], 1 - tables[1]["probability"])
    assert (tables[0]["predicted"] == np.where(of_taken >= decision["threshold"], "bee", "ant")).all()
    assert (tables[0]["predicted"] != tables[1]["predicted"]).sum() > 0
    assert decided.test.scores["log_loss"] == plain.test.scores["log_loss"]
    assert [row.scores for row in decided.leaderboard] == [row.scores for row in plain.leaderboard]


def test_what_it_costs_and_wins_is_told_class_by_class(
    decided: FitSummary, plain: FitSummary, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = decided.test.decision
    assert rows is not None
    assert rows.plain == plain.test.scores
    for one in rows.classes:
        before, after = (each.to_pandas("predictions") for each in (plain, decided))
        for table, right, taken in (
            (before, one.right_before, one.taken_before),
            (after, one.right_after, one.taken_after),
        ):
            assert right == ((table["true"] == one.name) & (table["predicted"] == one.name)).sum()
            assert taken == (table["predicted"] == one.name).sum()
            assert one.support == (table["true"] == one.name).sum()
    assert rows.after == decided.test.scores["balanced_accuracy"].value
    assert rows.before == plain.test.scores["balanced_accuracy"].value
    assert rows.low <= rows.after - rows.before <= rows.high
    assert rows.folds_after > rows.folds_before
    assert 0 < rows.p_value <= 1
    show_fit(decided)
    shown = capsys.readouterr().out
    bee = rows.classes[1]
    assert "without the threshold" in shown
    assert f"Decides: bee where its probability is at least {rows.threshold:.3f}, else ant" in " ".join(shown.split())
    assert f"({bee.right_before} → {bee.right_after})" in shown
    page = Path(decided.report).read_text()
    assert "What the threshold costs and wins" in page
    assert f"({bee.right_before} → {bee.right_after})" in page
    assert f"(of {bee.taken_before} → {bee.taken_after})" in page
    assert 'href="#decision"' in page


def test_a_page_without_a_decision_has_no_such_section(cache: Path, tmp_path: Path) -> None:
    page = Path(quick(cache, "centroid", tmp_path, no_report=False).report).read_text()
    assert 'href="#decision"' not in page
    assert "costs and wins" not in page


def test_no_label_of_a_test_image_takes_part_in_the_choice(tmp_path: Path) -> None:
    sides = ["test" if number % 4 == 0 else "train" for number in range(sum(SIZES.values()))]
    cache = embedded(tmp_path, SIZES, sides)
    problem = pose_problem(EmbeddingCache(cache))
    table = pd.DataFrame({"path": problem.images.paths(np.arange(len(problem.y))), "label": problem.y})
    table["label"] = np.array(problem.class_names)[problem.y]
    test = table["path"].str.startswith("test/")
    table["split"] = np.where(test, "test", "train")
    thresholds = []
    for name in ("true", "turned"):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        found = quick(cache, "logreg(C=0.1)", tmp_path / name, labels=tmp_path / f"{name}.csv", threshold="mcc")
        thresholds.append(card_of(found)["decision"])
        table.loc[test, "label"] = table.loc[test, "label"].map({"ant": "bee", "bee": "ant"})
    assert thresholds[0] == thresholds[1]


def test_costs_of_two_classes_choose_a_threshold_and_are_compared(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "costs.csv"
    file.write_text("true,predicted,cost\nbee,ant,12\n")
    found = [
        quick(cache, "logreg(C=0.1)", tmp_path / str(number), costs=costs)
        for number, costs in enumerate((file, "bee:ant=12", {"bee": {"ant": 12}}))
    ]
    first, *others = [one.test.decision for one in found]
    assert first is not None
    assert [first] * 2 == others
    assert first.costs == {"ant": {"ant": 0.0, "bee": 1.0}, "bee": {"ant": 12.0, "bee": 0.0}}
    table = found[0].to_pandas("predictions")
    cost = sum(first.costs[true][taken] for true, taken in zip(table["true"], table["predicted"], strict=True))
    assert first.after == pytest.approx(cost / len(table))
    assert first.folds_after < first.folds_before
    assert first.low <= first.after - first.before <= first.high


@pytest.mark.parametrize("calibrate", [False, True])
def test_costs_of_several_classes_are_weighed_by_calibrated_probabilities(
    three: Path, tmp_path: Path, calibrate: bool
) -> None:
    found = quick(three, "logreg(C=10)", tmp_path, costs="bee:ant=20,moth:ant=9", calibrate=calibrate)
    decision = card_of(found)["decision"]
    assert decision["costs"] == [[0.0, 1.0, 1.0], [20.0, 0.0, 1.0], [9.0, 1.0, 0.0]]
    assert (decision["temperature"] == 1.0) == calibrate
    rows = found.test.decision
    assert rows is not None
    assert rows.classes[1].right_after > rows.classes[1].right_before


def test_a_metric_of_several_classes_finds_multipliers(three: Path, tmp_path: Path) -> None:
    found = quick(three, "logreg(C=0.01)", tmp_path, threshold="balanced_accuracy")
    rows = found.test.decision
    assert rows is not None
    assert list(rows.multipliers) == ["ant", "bee", "moth"]
    assert rows.multipliers["bee"] > 1.0
    assert rows.after > rows.before


def test_nested_folds_each_choose_their_own_and_all_images_are_told(cache: Path, tmp_path: Path) -> None:
    found = quick(cache, "logreg(C=0.1)", tmp_path, threshold="balanced_accuracy", nested=3)
    rows = found.test.decision
    assert rows is not None
    assert [one.support for one in rows.classes] == [150, 26]
    assert rows.after == found.test.scores["balanced_accuracy"].value
    assert rows.after > rows.before == rows.plain["balanced_accuracy"].value
    assert card_of(found)["decision"]["threshold"] == rows.threshold


def test_the_run_remembers_and_the_command_makes_the_same_fit_again(cache: Path, tmp_path: Path) -> None:
    found = quick(cache, "ridge", tmp_path, class_weight={"bee": 2.5}, costs={"bee": {"ant": 4}})
    settings = find_run(str(Path(found.model).parent), []).run.settings
    assert (settings.class_weight, settings.threshold, settings.costs) == ("bee=2.5", None, "bee:ant=4")
    assert "--class-weight bee=2.5 --costs bee:ant=4" in found.command
    again = quick(cache, "ridge", tmp_path, class_weight="bee=2.5", costs="bee:ant=4")
    assert again.test == found.test


def test_a_class_that_is_too_rare_to_be_fitted_may_have_a_weight_and_a_cost(tmp_path: Path) -> None:
    cache = embedded(tmp_path, {"ant": 60, "bee": 20, "moth": 1})
    found = quick(cache, "ridge", tmp_path / "out", class_weight="moth=9,bee=2", costs="moth:ant=9,bee:ant=3")
    assert "an image counts by its class: ant 1, bee 2" in found.notes
    assert found.test.decision is not None
    assert list(found.test.decision.costs) == ["ant", "bee"]


def test_of_several_columns_each_is_decided_by_itself_and_one_without_the_class_says_so(
    cache: Path, tmp_path: Path
) -> None:
    problem = pose_problem(EmbeddingCache(cache))
    names = np.array(problem.class_names)[problem.y]
    table = pd.DataFrame({"path": problem.images.paths(np.arange(len(names))), "kind": names, "wings": "two"})
    table.loc[::3, "wings"] = "four"
    table.to_csv(tmp_path / "labels.csv", index=False)
    found = fit_targets(
        cache, "logreg(C=0.1)", labels=tmp_path / "labels.csv", folds=3, class_weight="bee=3", threshold="mcc",
        no_report=True, workers=1, out=tmp_path / "out",
    )  # fmt: skip
    kind, wings = found.targets
    assert wings.error is not None
    assert "no class is called 'bee'" in wings.error
    assert found.fits["kind"].test.decision is not None
    assert kind.params == {"C": 0.1, "class_weight": {0: 1.0, 1: 3.0}}


def test_the_json_of_a_fit_holds_the_decision(decided: FitSummary) -> None:
    found = json.loads(as_line(decided))["test"]["decision"]
    assert found["threshold"] == decided.test.decision.threshold
    assert [one["name"] for one in found["classes"]] == ["ant", "bee"]
