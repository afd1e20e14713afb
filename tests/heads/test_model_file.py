import hashlib
import importlib
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from heads import HEADS, ModelFileError
from heads.model_archive import ALLOWED_NODES, LARGEST_SCHEMA
from heads.model_card import CARD_FIELDS, CARD_FILE, EMBEDDING_FIELDS, LARGEST_CARD
from heads.model_file import HEAD_FILE, load_model, save_model

X, Y = (array[:120] for array in load_digits(return_X_y=True))
X = X.astype(np.float32)
CARD = {
    "class_names": [str(digit) for digit in range(10)],
    "head": "centroid",
    "params": {},
    "embedding": {
        "backbone": "resnet18",
        "weights": "9f3a",
        "taps": ["avgpool"],
        "preprocessing": {"crop": 224},
        "precision": "float32",
        "dtype": "float16",
    },
    "tap": "avgpool",
    "weights_name": "IMAGENET1K_V1",
    "weights_source": "default",
    "scores": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}},
    "note": "kept",
}


def fitted(head="centroid"):
    return HEADS[head].make({}, 0).fit(X, Y)


@pytest.fixture
def saved(tmp_path):
    return save_model(tmp_path / "model", fitted(), CARD)


def plant(folder, content):
    """Put bytes in the place of the head, with the checksum that fits them, as an attacker would."""
    (folder / HEAD_FILE).write_bytes(content)
    change_card(folder, sha256=hashlib.sha256(content).hexdigest())


def change_card(folder, **changes):
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | changes))


@pytest.mark.parametrize("head", sorted(HEADS))
def test_every_head_says_the_same_after_a_round_trip(head, tmp_path):
    model = fitted(head)
    loaded, _ = load_model(save_model(tmp_path / "model", model, CARD))
    assert np.array_equal(loaded.predict(X), model.predict(X))
    for method in ("predict_proba", "decision_function"):
        assert hasattr(loaded, method) == hasattr(model, method)
        if hasattr(model, method):
            assert np.array_equal(getattr(loaded, method)(X), getattr(model, method)(X))


def test_the_card_comes_back_with_format_versions_and_checksum(saved):
    _, card = load_model(saved)
    assert {name: card[name] for name in CARD} == CARD
    assert card["format_version"] == 1
    assert set(card["versions"]) == {"python", "headstart", "scikit-learn", "skops", "numpy"}
    assert card["sha256"] == hashlib.sha256((saved / HEAD_FILE).read_bytes()).hexdigest()


def test_a_folder_holds_the_head_and_its_card_and_nothing_is_left_beside_it(saved):
    assert sorted(path.name for path in saved.iterdir()) == [HEAD_FILE, CARD_FILE]
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_saved_model_is_replaced(saved):
    save_model(saved, fitted("dummy"), CARD | {"head": "dummy"})
    assert load_model(saved)[1]["head"] == "dummy"
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_an_empty_folder_is_filled(tmp_path):
    assert load_model(save_model(tmp_path, fitted(), CARD))[1]["head"] == "centroid"


def test_the_old_model_stays_where_the_new_one_cannot_be_moved_in(saved, monkeypatch):
    rename = os.rename

    def failing(source, target, **keywords):
        if str(source).endswith("new"):
            raise OSError("disk full")
        rename(source, target, **keywords)

    monkeypatch.setattr("os.rename", failing)
    with pytest.raises(OSError, match="disk full"):
        save_model(saved, fitted("dummy"), CARD | {"head": "dummy"})
    assert load_model(saved)[1]["head"] == "centroid"
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["photos", "notes.txt"])
def test_what_is_no_model_is_never_replaced(name, tmp_path):
    target = tmp_path / name
    if name == "photos":
        target.mkdir()
        (target / "holiday.jpg").touch()
    else:
        target.touch()
    with pytest.raises(ModelFileError, match="is no saved model; choose another folder"):
        save_model(target, fitted(), CARD)
    assert target.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tap": None}, "'tap' is None, expected str"),
        ({"class_names": []}, r"'class_names' is \[\]"),
        ({"class_names": [1, 2]}, r"'class_names' is \[1, 2\]"),
        ({"class_names": ["ant", "bee", "ant"]}, "'class_names' holds 'ant' twice"),
        ({"embedding": {"backbone": "resnet18"}}, "the card's 'embedding' has no 'weights'"),
        ({"scores": {"accuracy": float("nan")}}, "the card is not JSON"),
        ({"scores": {"accuracy": np.float32(1)}}, "the card is not JSON"),
    ],
)
def test_a_card_that_cannot_be_read_back_is_not_written(changes, message, tmp_path):
    with pytest.raises(ModelFileError, match=message):
        save_model(tmp_path / "model", fitted(), CARD | changes)
    assert list(tmp_path.iterdir()) == []


def test_a_head_that_loading_would_refuse_is_not_written(tmp_path):
    with pytest.raises(ModelFileError, match=r"sklearn\.tree\._tree\.Tree.*loading refuses that, so use another"):
        save_model(tmp_path / "model", RandomForestClassifier(2).fit(X, Y), CARD)


# What is planted


class Payload:
    """Writes a module whose import, and whose objects' rebuilding, touch files."""

    def __init__(self, folder, monkeypatch):
        self.touched = [folder / "imported", folder / "rebuilt"]
        source = f"""
            import pathlib
            pathlib.Path({str(self.touched[0])!r}).touch()
            class Planted:
                def __init__(self): self.value = 1
                def __getstate__(self): return {{"value": 1}}
                def __setstate__(self, state): pathlib.Path({str(self.touched[1])!r}).touch()
                def __reduce__(self): return (pathlib.Path.touch, (pathlib.Path({str(self.touched[1])!r}),))
            def planted(X): return X
        """
        (folder / "planted_module.py").write_text("\n".join(line[12:] for line in source.splitlines()))
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(importlib.sys.modules, "planted_module", raising=False)
        self.module = importlib.import_module("planted_module")
        self.monkeypatch = monkeypatch
        self.disarm()

    def disarm(self):
        for path in self.touched:
            path.unlink(missing_ok=True)
        self.monkeypatch.delitem(importlib.sys.modules, "planted_module", raising=False)

    def ran(self):
        return [path.name for path in self.touched if path.exists()]


@pytest.fixture
def payload(tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Payload(folder, monkeypatch)


def with_planted_attribute(payload):
    model = fitted()
    model[-1].extra = make_object(payload)
    return model


def make_object(payload):
    planted = payload.module.Planted()
    del type(planted).__reduce__  # skops saves what has a state; the reduce is for pickle
    return planted


def skops_object(payload):
    return skops.io.dumps(make_object(payload))


def skops_object_inside_a_head(payload):
    return skops.io.dumps(with_planted_attribute(payload))


def skops_function(payload):
    return skops.io.dumps(make_pipeline(FunctionTransformer(payload.module.planted), StandardScaler()).fit(X, Y))


PLANTED = [skops_object, skops_object_inside_a_head, skops_function]


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_type_is_named_and_does_not_run(planted, payload, saved):
    plant(saved, planted(payload))
    payload.disarm()
    with pytest.raises(ModelFileError, match=r"not trusted and could run code.*planted_module\.[Pp]lanted"):
        load_model(saved)
    assert payload.ran() == []


@pytest.mark.parametrize("planted", PLANTED)
def test_the_planted_types_would_run_where_they_are_trusted(planted, payload):
    """The test above could not fail if the payloads were duds."""
    content = planted(payload)
    payload.disarm()
    skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
    assert payload.ran() == (["imported"] if planted is skops_function else ["imported", "rebuilt"])


def test_os_system_is_refused(saved):
    plant(saved, skops.io.dumps(make_pipeline(FunctionTransformer(os.system))))
    with pytest.raises(ModelFileError, match=r"could run code.*\.system"):
        load_model(saved)


def test_a_pickle_by_another_name_is_refused_and_does_not_run(payload, saved):
    content = pickle.dumps(payload.module.Planted())
    pickle.loads(content)  # noqa: S301 - shows that it is no dud
    assert payload.ran() == ["rebuilt"]
    payload.disarm()
    plant(saved, content)
    with pytest.raises(ModelFileError, match=r"is no skops file.*a pickle is never loaded"):
        load_model(saved)
    assert payload.ran() == []


def test_a_pickle_inside_an_array_is_refused_and_does_not_run(payload, saved):
    pickled = io.BytesIO()
    np.save(pickled, np.array([payload.module.Planted()], dtype=object), allow_pickle=True)
    payload.disarm()
    plant(saved, rewritten(saved, lambda name, data: pickled.getvalue() if name.endswith(".npy") else data))
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_model(saved)
    assert payload.ran() == []


def rewritten(folder, change, compression=zipfile.ZIP_STORED):
    """Return the head's archive with its members changed."""
    content = io.BytesIO()
    with zipfile.ZipFile(folder / HEAD_FILE) as old, zipfile.ZipFile(content, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return content.getvalue()


def unchanged(name, data):
    return data


def test_an_archive_rewritten_without_changes_still_loads(saved):
    plant(saved, rewritten(saved, unchanged))
    assert np.array_equal(load_model(saved)[0].predict(X), fitted().predict(X))


def crafted(folder, change):
    """Return the head's archive with its schema changed."""

    def edit(name, data):
        if name != "schema.json":
            return data
        schema = json.loads(data)
        return json.dumps(change(schema) or schema)

    return rewritten(folder, edit)


def last_step(schema):
    return schema["content"]["content"]["steps"]["content"][-1]["content"][1]["content"]["content"]


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
    for head in HEADS:
        with zipfile.ZipFile(io.BytesIO(skops.io.dumps(fitted(head)))) as archive:
            written(json.loads(archive.read("schema.json")))
    scalars = {(f"numpy.{name}", "NdArrayNode") for name in ("bool", "float32", "float64", "int32", "int64")}
    assert found - scalars == ALLOWED_NODES - scalars


def test_a_compressed_archive_is_refused_before_it_is_unpacked(saved):
    plant(saved, rewritten(saved, unchanged, zipfile.ZIP_DEFLATED))
    with pytest.raises(ModelFileError, match="is compressed"):
        load_model(saved)


# What is damaged


def flip_a_bit(folder):
    content = bytearray((folder / HEAD_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / HEAD_FILE).write_bytes(content)


def link(path, target):
    path.unlink()
    path.symlink_to(target)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


DAMAGE = {
    "no card": (lambda folder: (folder / CARD_FILE).unlink(), "model.json: no such file; give a folder"),
    "no head": (lambda folder: (folder / HEAD_FILE).unlink(), "head.skops: no such file; this is not a whole model"),
    "half a card": (lambda folder: (folder / CARD_FILE).write_text('{"head": '), "damaged, it is not JSON"),
    "binary card": (lambda folder: (folder / CARD_FILE).write_bytes(b"\xff\xfe\x00"), "damaged, it is not JSON"),
    "a list": (lambda folder: (folder / CARD_FILE).write_text("[]"), "holds a list, expected an object"),
    "another format": (lambda folder: change_card(folder, format_version=2), "format version 2, expected 1; fit again"),
    "no format": (lambda folder: (folder / CARD_FILE).write_text("{}"), "format version None, expected 1"),
    "a deep card": (lambda folder: (folder / CARD_FILE).write_text("[" * 200_000), "damaged, it is not JSON"),
    "a large card": (
        lambda folder: os.truncate(folder / CARD_FILE, LARGEST_CARD + 1),
        f"expected at most {LARGEST_CARD}",
    ),
    "an endless card": (lambda folder: link(folder / CARD_FILE, "/dev/zero"), "model.json: is no regular file"),
    "an endless head": (lambda folder: link(folder / HEAD_FILE, "/dev/zero"), "head.skops: is no regular file"),
    "a pipe": (lambda folder: pipe(folder / HEAD_FILE), "head.skops: is no regular file"),
    "a huge head": (lambda folder: os.truncate(folder / HEAD_FILE, 4_000_000_001), "expected at most 4000000000"),
    "one name twice": (lambda folder: change_card(folder, class_names=["0"] * 10), "'class_names' holds '0' twice"),
    "bit flip": (flip_a_bit, "head.skops: damaged, its sha256 is"),
    "fewer names": (lambda folder: change_card(folder, class_names=["0"]), "knows class 9, and model.json names 1"),
    "not a head": (lambda folder: plant(folder, skops.io.dumps({"a": 1})), "holds a dict, expected a classifier"),
    "not fitted": (lambda folder: plant(folder, skops.io.dumps(HEADS["logreg"].make({}, 0))), "that is not fitted"),
    "a scaler": (lambda folder: plant(folder, skops.io.dumps(StandardScaler().fit(X))), "expected a classifier"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_refused_with_what_and_where(damage, saved):
    damaged, message = DAMAGE[damage]
    damaged(saved)
    with pytest.raises(ModelFileError, match=message):
        load_model(saved)


@pytest.mark.parametrize("field", sorted(set(CARD_FIELDS) - {"format_version"}))
def test_every_field_of_the_card_is_checked(field, saved):
    change_card(saved, **{field: 7})
    with pytest.raises(ModelFileError, match=f"'{field}' is 7, expected {CARD_FIELDS[field].__name__}"):
        load_model(saved)


@pytest.mark.parametrize("field", sorted(EMBEDDING_FIELDS))
def test_every_field_of_the_cards_embedding_is_checked(field, saved):
    change_card(saved, embedding=CARD["embedding"] | {field: 7})
    with pytest.raises(ModelFileError, match=f"'{field}' is 7, expected {EMBEDDING_FIELDS[field].__name__}"):
        load_model(saved)


def test_what_is_no_folder_is_told(tmp_path):
    with pytest.raises(ModelFileError, match="no such file; give a folder that 'headstart fit' wrote"):
        load_model(tmp_path / "nowhere")
