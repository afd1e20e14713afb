"""A user's own classifier is found by `module:Class` or by an entry point, and gets what built-in heads get."""

import importlib
import pickle
import sys

import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from support.model_example import X, Y
from support.own_heads_example import write_module, write_package

from headstart.heads import (
    HEADS,
    DataError,
    DuplicateHeadError,
    Head,
    OwnHeadError,
    UnknownHeadError,
    all_heads,
    find_head,
    register,
)
from headstart.heads.registry import table
from headstart.heads.registry.candidates import FeatureSet, expand
from headstart.heads.splits import plan_splits
from headstart.heads.sweep.final import fit_final
from headstart.heads.sweep.run import Running, sweep


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Make `my_heads` importable for this test."""
    write_module(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield
    sys.modules.pop("my_heads", None)


@pytest.fixture
def install(tmp_path, module):
    """Return a function that installs a package with these entry points."""

    def write(heads, package="their-heads"):
        write_package(tmp_path / "site", package, heads)
        importlib.invalidate_caches()

    return write


def test_a_class_is_found_by_its_path_with_its_grid_and_first_line(module):
    head = find_head("my_heads:Nearest")
    assert (head.name, head.grid) == ("my_heads:Nearest", {"power": (1, 2)})
    assert head.summary == "The class whose mean is nearest, by one of two distances."


def test_a_class_without_a_grid_is_one_candidate():
    head = find_head("sklearn.naive_bayes:GaussianNB")
    assert head.grid == {}
    assert isinstance(head.make({"var_smoothing": 0.5}, 0), GaussianNB)


def test_a_class_gets_parameters_and_the_seed_where_it_takes_one(module):
    model = find_head("my_heads:Nearest").make({"power": 1}, 7)
    assert (model.power, model.random_state) == (1, 7)
    assert find_head("my_heads:Nearest").make({"random_state": 3}, 7).random_state == 3


def test_a_factory_gets_parameters_and_seed(module):
    model = find_head("my_heads:make").make({"power": 1}, 7)
    assert isinstance(model, Pipeline)
    assert (model[-1].power, model[-1].random_state) == (1, 7)


def test_a_whole_head_keeps_all_but_its_name(module):
    head = find_head("my_heads:HEAD")
    assert (head.name, head.summary, head.grid) == ("my_heads:HEAD", "A whole head.", {"power": (1,)})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere:Mine", r"cannot be imported \(ModuleNotFoundError: No module named 'nowhere'\).*PYTHONPATH"),
        ("broken_heads:Mine", r"cannot be imported \(ModuleNotFoundError: No module named 'no_such_library'\)"),
        ("my_heads:Missing", "my_heads has no 'Missing'; it has .*Nearest"),
        ("my_heads:", "leads to no head; expected module:Class"),
        (":Nearest", "leads to no head; expected module:Class"),
        ("my_heads:Nearest()", "leads to no head; expected module:Class"),
        (".my_heads:Nearest", "cannot be imported"),
        ("my_heads:NUMBER", "is a int, expected a scikit-learn classifier class, a factory"),
        ("my_heads:Odd", "headstart_grid is {'power': 2}, expected names with the values to try"),
    ],
)
def test_what_leads_to_no_head_is_refused_with_the_reason(path, message, module):
    with pytest.raises(OwnHeadError, match=message):
        find_head(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("sklearn.preprocessing:StandardScaler", "makes a StandardScaler, expected a scikit-learn classifier"),
        ("my_heads:make_scaler", "makes a StandardScaler, expected a scikit-learn classifier"),
        ("my_heads:Offset", "makes a Offset, expected a scikit-learn classifier"),
        ("my_heads:make_nothing", r"cannot be made with {} \(RuntimeError: no licence\)"),
    ],
)
def test_what_makes_no_classifier_is_refused(path, message, module):
    with pytest.raises(OwnHeadError, match=message):
        find_head(path).make({}, 0)


@pytest.mark.parametrize("path", ["my_heads:NeedsMore", "my_heads:Nearest"])
def test_a_hyper_parameter_that_is_missing_or_unknown_is_told_before_anything_is_fitted(path, module):
    features = FeatureSet(features=X, backbone="pixels", tap="raw", key="k")
    with pytest.raises(DataError, match=r"head 'my_heads:\w+': .*(needed|alpha)"):
        expand([features], [path], {path: {} if "More" in path else {"alpha": [1]}})


def test_an_own_head_is_swept_beside_built_in_ones_and_the_winner_refitted(module):
    features = FeatureSet(features=X, backbone="pixels", tap="raw", key="k")
    plan = plan_splits(Y, folds=3, seed=0)
    candidates = expand([features], ["my_heads:make", "centroid"], {"my_heads:make": {"power": [1, 2]}})
    results = sweep(candidates, Y, plan, running=Running(workers=1))
    assert {(result.candidate.head, result.error) for result in results} == {
        ("my_heads:make", None),
        ("centroid", None),
    }
    own = next(result for result in results if result.candidate.head == "my_heads:make")
    assert own.scores["accuracy"].value > 0.7
    assert fit_final(own.candidate, X, Y, plan)[-1].power == own.candidate.params["power"]


def test_an_own_head_travels_to_a_worker_process_by_its_path(module):
    head = pickle.loads(pickle.dumps(find_head("my_heads:Nearest").make))  # noqa: S301 - what Dask does
    assert head({"power": 1}, 0).power == 1


def test_an_installed_head_is_found_and_listed_beside_the_built_in_ones(install):
    install({"nearest-mean": "my_heads:Nearest", "theirs": "my_heads:HEAD"})
    assert find_head("nearest-mean").grid == {"power": (1, 2)}
    assert find_head("nearest-mean").make({}, 0).fit(X, Y).score(X, Y) > 0.7
    listed = all_heads()
    assert set(listed) == {*HEADS, "nearest-mean", "theirs"}
    assert [listed[name].name for name in listed] == list(listed)


def test_a_known_name_looks_for_no_installed_head(install):
    install({"broken": "broken_heads:Mine"})
    assert find_head("logreg") is HEADS["logreg"]


def test_an_installed_head_that_is_not_asked_for_is_not_imported(install):
    install({"broken": "broken_heads:Mine", "nearest-mean": "my_heads:Nearest"})
    assert find_head("nearest-mean").name == "nearest-mean"


@pytest.mark.parametrize("ask", [lambda: find_head("broken"), all_heads])
def test_an_installed_head_that_cannot_be_imported_names_its_package_and_the_reason(ask, install):
    install({"broken": "broken_heads:Mine"})
    with pytest.raises(OwnHeadError, match=r"head 'broken' of package their-heads .*no_such_library"):
        ask()


@pytest.mark.parametrize("ask", [lambda: find_head("zzz"), all_heads])
def test_an_installed_head_with_the_name_of_a_built_in_one_is_refused(ask, install):
    install({"logreg": "my_heads:Nearest"})
    with pytest.raises(DuplicateHeadError, match=r"package their-heads .* brings a head 'logreg', which is registered"):
        ask()


def test_two_packages_with_one_name_are_refused(install):
    install({"mine": "my_heads:Nearest"})
    install({"mine": "my_heads:make"}, "other-heads")
    with pytest.raises(DuplicateHeadError, match=r"-heads .* and package .*-heads .* both bring a head 'mine'"):
        find_head("mine")


def test_a_nearly_right_name_is_answered_with_an_installed_head(install):
    install({"nearest-mean": "my_heads:Nearest"})
    with pytest.raises(UnknownHeadError, match="did you mean nearest-mean"):
        find_head("nearest-meen")


def test_a_head_registered_in_python_is_found_and_listed(monkeypatch):
    classifiers = table._registered["classify"]
    monkeypatch.setitem(classifiers, "mine", HEADS["ridge"])  # so that the name is forgotten afterwards
    del classifiers["mine"]
    register(Head(name="mine", summary="Mine.", make=HEADS["ridge"].make, grid={}))
    assert find_head("mine") is all_heads()["mine"]
