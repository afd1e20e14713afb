"""A head's archive whose schema says something that no head would is refused before it does harm."""

import io
import json
import zipfile

import numpy as np
import pytest
import skops.io
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from support.model_example import X, Y, crafted, fitted, fitted_on_numbers, last_step, plant, rewritten, unchanged

from headstart.heads import HEADS, ModelFileError
from headstart.heads.finetuning import TailClassifier
from headstart.heads.registry.table import REGRESSORS
from headstart.heads.saving.archive import LARGEST_SCHEMA, allowed_nodes
from headstart.heads.saving.model_file import load_model
from headstart.heads.transfer.multitask import SharedColumns
from headstart.heads.transfer.zero_shot import ZeroShotClassifier


def test_an_archive_rewritten_without_changes_still_loads(saved):
    plant(saved, rewritten(saved, unchanged))
    assert np.array_equal(load_model(saved)[0].predict(X), fitted().predict(X))


def test_a_scikit_learn_estimator_that_no_head_is_made_of_is_refused(saved):
    plant(saved, skops.io.dumps(SVC().fit(X, Y)))
    with pytest.raises(ModelFileError, match=r"could run code or crash: .*sklearn\.svm\._classes\.SVC \(ObjectNode\)"):
        load_model(saved)


def test_scikit_learns_own_neighbours_are_refused(saved):
    plant(saved, skops.io.dumps(KNeighborsClassifier().fit(X, Y)))
    with pytest.raises(ModelFileError, match="KNeighborsClassifier"):
        load_model(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_y": np.full(120, 10**9)}, "labels 1000000000…1000000000 for 10 classes"),
        ({"_y": np.full(120, -1)}, "labels -1…-1 for 10 classes"),
        ({"_y": np.zeros(7, dtype=int)}, r"labels of shape \(7,\)"),
        ({"_fit_X": X[:7]}, r"images of shape \(7, 64\)"),
        ({"weights": "uniform"}, "settings"),
        ({"_fit_method": "kd_tree"}, "settings"),
        ({"effective_metric_": "haversine"}, "settings"),
        ({"n_neighbors": -1}, "asks -1 neighbours"),
    ],
)
def test_planted_neighbours_are_checked_before_compiled_code_reads_them(changes, message, saved):
    model = fitted("knn")
    vars(model[-1]).update(changes)
    plant(saved, skops.io.dumps(model))
    with pytest.raises(ModelFileError, match=rf"head\.skops: knn .*{message}"):
        load_model(saved)


def test_a_pipeline_inside_a_pipeline_is_refused_because_its_steps_would_go_unchecked(saved):
    plant(saved, skops.io.dumps(make_pipeline(fitted("knn"))))
    with pytest.raises(ModelFileError, match="a pipeline inside a pipeline"):
        load_model(saved)


def test_an_array_that_is_referenced_many_times_is_refused(saved):
    def repeat(schema):
        array = {name: value for name, value in last_step(schema)["means_"].items() if name != "__id__"}
        last_step(schema)["extra"] = {
            "__class__": "list",
            "__module__": "builtins",
            "__loader__": "ListNode",
            "content": [{**array, "__id__": number} for number in range(1, 1000)],
        }

    plant(saved, crafted(saved, repeat))
    with pytest.raises(ModelFileError, match="is referenced as more than one array"):
        load_model(saved)


def test_lists_that_hold_each_other_twice_are_refused_before_they_are_walked(saved):
    def nest(schema):
        inner = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [], "__id__": 1}
        for number in range(2, 60):
            outer = {**inner, "content": [inner, {**inner, "content": []}], "__id__": number}
            inner = outer
        last_step(schema)["extra"] = inner

    plant(saved, crafted(saved, nest))
    with pytest.raises(ModelFileError, match="stands in two places"):
        load_model(saved)


@pytest.mark.parametrize("number", [[], "1", 1.5])
def test_a_node_whose_number_is_none_is_refused(number, saved):
    plant(saved, crafted(saved, lambda schema: schema.update(__id__=number)))
    with pytest.raises(ModelFileError, match="expected a whole one"):
        load_model(saved)


def test_a_plain_value_with_the_number_of_a_list_is_refused(saved):
    def disguise(schema):
        node = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [], "__id__": 1}
        value = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "1", "__id__": 1}
        last_step(schema)["extra"] = {**node, "content": [node, value], "__id__": 2}

    plant(saved, crafted(saved, disguise))
    with pytest.raises(ModelFileError, match="stands in two places"):
        load_model(saved)


def test_a_member_that_is_an_archive_itself_is_refused(saved):
    content = io.BytesIO(rewritten(saved, unchanged))
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("planted.npz", b"")
    plant(saved, content.getvalue())
    with pytest.raises(ModelFileError, match=r"holds 'planted\.npz', expected schema\.json and \.npy files alone"):
        load_model(saved)


def test_an_array_of_objects_is_refused(saved):
    plant(saved, crafted(saved, lambda schema: last_step(schema)["means_"].update(type="json", content=[])))
    with pytest.raises(ModelFileError, match=r"expected a \.npy file"):
        load_model(saved)


def test_a_schema_that_is_too_large_is_refused_before_it_is_parsed(saved):
    plant(saved, rewritten(saved, lambda name, data: b" " * (LARGEST_SCHEMA + 1) if name == "schema.json" else data))
    with pytest.raises(ModelFileError, match=f"expected at most {LARGEST_SCHEMA}"):
        load_model(saved)


@pytest.mark.parametrize("schema", ["[]", "{}", "7", '{"content": []}'])
def test_a_schema_of_no_type_is_refused(schema, saved):
    plant(saved, rewritten(saved, lambda name, data: schema if name == "schema.json" else data))
    with pytest.raises(ModelFileError, match="could run code or crash"):
        load_model(saved)


EARLIER = {("sklearn.linear_model._logistic.LogisticRegression", "ObjectNode")}
"""What heads wrote once, and is still read."""


def fitted_tail():
    """Return a tail as it is saved: its one layer takes rows of two numbers."""
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    head = TailClassifier(network, ("0",), epochs=1)
    return head.fit(np.eye(4, 2, dtype=np.float32), np.arange(4) % 2).without_network()


def test_the_list_of_types_holds_nothing_that_no_head_writes():
    def written(node):
        if isinstance(node, dict):
            if "__loader__" in node:
                found.add((f"{node['__module__']}.{node['__class__']}", node["__loader__"]))
            node = list(node.values())
        if isinstance(node, list):
            for part in node:
                written(part)

    found = set()
    weighed = HEADS["logreg"].make({"class_weight": {0: 2.0}}, 0).fit(X, Y)
    unseen = ZeroShotClassifier(np.eye(10)).fit(X, Y)
    shared = SharedColumns([10], seeds=[0], training={"max_epochs": 1}).fit(X, Y[:, None])
    others = [fitted_tail(), weighed, unseen, shared]
    for model in [*map(fitted, HEADS), *map(fitted_on_numbers, REGRESSORS), *others]:
        with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as archive:
            written(json.loads(archive.read("schema.json")))
    scalars = {(f"numpy.{name}", "NdArrayNode") for name in ("bool", "float32", "float64", "int32", "int64")}
    assert found - scalars == allowed_nodes() - scalars - EARLIER


def test_a_compressed_archive_is_refused_before_it_is_unpacked(saved):
    plant(saved, rewritten(saved, unchanged, zipfile.ZIP_DEFLATED))
    with pytest.raises(ModelFileError, match="is compressed"):
        load_model(saved)
