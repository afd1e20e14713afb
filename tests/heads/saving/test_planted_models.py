"""A model file from a stranger is read without running anything that is in it."""

import importlib
import io
import os
import pickle

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from support.model_example import X, Y, fitted, plant, rewritten

from headstart.heads import ModelFileError
from headstart.heads.saving.model_file import load_model


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
