"""A model's doubt on disk: it judges as before, and what is damaged, planted or of another model is refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import save
from support.model_example import CARD

from headstart.heads.coverage import saved
from headstart.heads.coverage.conformal import SET_METHODS, fit_sets
from headstart.heads.coverage.doubt import Doubt
from headstart.heads.coverage.outliers import OUTLIER_METHODS, fit_outliers
from headstart.heads.coverage.saved import DOUBT_FILE, read_doubt, saved_doubt
from headstart.heads.errors import ModelFileError

GENERATOR = np.random.default_rng(0)
Y = GENERATOR.integers(0, len(CARD["class_names"]), 60)
X = (np.eye(12)[Y] + 0.3 * GENERATOR.normal(size=(60, 12))).astype(np.float32)
PROBABILITY = GENERATOR.dirichlet(np.ones(len(CARD["class_names"])), 60)
DRAWS = GENERATOR.random(60)


def doubt(method="lac", outlier="mahalanobis", n_images=60, **changes):
    sets = fit_sets(Y, PROBABILITY, DRAWS, coverage=0.8, method=method)
    given = {"threshold": 2.5, "false_alarms": 0.1, "temperature": 1.7}
    outliers = fit_outliers(X[:n_images], Y[:n_images], method=outlier)
    return Doubt(sets=sets, outliers=outliers, **(given | changes))


def write(folder, found):
    entry, data = saved_doubt(found)
    (folder / DOUBT_FILE).write_bytes(data)
    return CARD | {"doubt": json.loads(json.dumps(entry))}


@pytest.mark.parametrize("n_images", [60, 8], ids=["more images than features", "fewer"])
@pytest.mark.parametrize("outlier", OUTLIER_METHODS)
@pytest.mark.parametrize("method", SET_METHODS)
def test_what_is_read_back_judges_as_what_was_saved(tmp_path, method, outlier, n_images):
    before = doubt(method, outlier, n_images)
    after = read_doubt(tmp_path, write(tmp_path, before))
    for name, values in vars(before.judge(PROBABILITY, X, DRAWS)).items():
        np.testing.assert_array_equal(getattr(after.judge(PROBABILITY, X, DRAWS), name), values)


def test_a_model_without_doubt_has_none(tmp_path):
    assert read_doubt(tmp_path, CARD) is None


def test_sets_are_those_of_the_probabilities_before_the_temperature():
    raw, tempered = doubt(temperature=1.0), doubt(temperature=2.0)
    warmer = PROBABILITY**0.5 / (PROBABILITY**0.5).sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(tempered.judge(warmer, X, DRAWS).sets, raw.judge(PROBABILITY, X, DRAWS).sets)
    assert (raw.judge(warmer, X, DRAWS).sets != raw.judge(PROBABILITY, X, DRAWS).sets).any()


@pytest.mark.parametrize(
    "changes",
    [
        {"thresholds": [0.5]},
        {"thresholds": "high"},
        {"thresholds": [float("nan")] * len(CARD["class_names"])},
        {"sets": "all"},
        {"outlier": "__reduce__"},
        {"temperature": 0},
        {"temperature": "1"},
        {"threshold": True},
        {"coverage": None},
    ],
    ids=str,
)
def test_an_odd_entry_of_the_card_is_refused(tmp_path, changes):
    card = write(tmp_path, doubt())
    with pytest.raises(ModelFileError, match=r"'doubt' .*; fit the model again"):
        read_doubt(tmp_path, card | {"doubt": card["doubt"] | changes})


@pytest.mark.parametrize("entry", [[], "yes", {}, 3])
def test_an_entry_that_is_none_is_refused(tmp_path, entry):
    with pytest.raises(ModelFileError, match="'doubt' cannot be read"):
        read_doubt(tmp_path, CARD | {"doubt": entry})


def test_a_missing_or_damaged_file_is_refused(tmp_path):
    card = write(tmp_path, doubt())
    content = (tmp_path / DOUBT_FILE).read_bytes()
    (tmp_path / DOUBT_FILE).write_bytes(content[:-1] + b"!")
    with pytest.raises(ModelFileError, match="damaged, it is not the file that its card names"):
        read_doubt(tmp_path, card)
    (tmp_path / DOUBT_FILE).unlink()
    with pytest.raises(ModelFileError, match="no such file; this is not a whole model"):
        read_doubt(tmp_path, card)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    card = write(tmp_path, doubt())
    monkeypatch.setattr(saved, "LARGEST_DOUBT", 99)
    with pytest.raises(ModelFileError, match="bytes, expected at most 99; not read"):
        read_doubt(tmp_path, card)


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"images": np.zeros((3, 4), np.float32)}, "holds images, expected means, spread"),
        ({"means": np.zeros((3, 4), np.float32), "spread": np.zeros((3, 5), np.float32)}, "of one width"),
        ({"means": np.zeros((3, 4), np.float32), "spread": np.zeros(4, np.float32)}, "float32 matrices"),
        ({"means": np.zeros((3, 4)), "spread": np.zeros((3, 4))}, "float32 matrices"),
        ({"means": np.zeros((0, 4), np.float32), "spread": np.zeros((3, 4), np.float32)}, "float32 matrices"),
        ({"means": np.full((3, 4), np.inf, np.float32), "spread": np.zeros((3, 4), np.float32)}, "not finite"),
    ],
)
def test_planted_arrays_are_refused(tmp_path, arrays, match):
    import hashlib

    card, data = write(tmp_path, doubt()), save(arrays)
    (tmp_path / DOUBT_FILE).write_bytes(data)
    entry = card["doubt"] | {"sha256": hashlib.sha256(data).hexdigest()}
    with pytest.raises(ModelFileError, match=match):
        read_doubt(tmp_path, card | {"doubt": entry})


def test_what_is_no_safetensors_is_refused(tmp_path):
    import hashlib

    card, data = write(tmp_path, doubt()), b"\x80\x04}."  # a pickle
    (tmp_path / DOUBT_FILE).write_bytes(data)
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_doubt(tmp_path, card | {"doubt": card["doubt"] | {"sha256": hashlib.sha256(data).hexdigest()}})
