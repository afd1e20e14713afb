"""A small fitted head with its card, and ways to put something else in its place."""

import hashlib
import io
import json
import zipfile
from copy import deepcopy
from functools import cache

import numpy as np
from sklearn.datasets import load_digits

from headstart.heads import HEADS
from headstart.heads.registry.table import REGRESSORS
from headstart.heads.saving.card import CARD_FILE
from headstart.heads.saving.model_file import HEAD_FILE

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
NUMBER_CARD = CARD | {"head": "ridge", "class_names": [], "task": "regress"}


def fitted(head="centroid"):
    """Return a fitted head, which may be changed."""
    return deepcopy(_fitted(head))


@cache
def _fitted(head):
    return HEADS[head].make({}, 0).fit(X, Y)


def fitted_on_numbers(head="ridge"):
    return REGRESSORS[head].make({}, 0).fit(X, Y + 0.5)


def plant(folder, content):
    """Put bytes in the place of the head, with the checksum that fits them, as an attacker would."""
    (folder / HEAD_FILE).write_bytes(content)
    change_card(folder, sha256=hashlib.sha256(content).hexdigest())


def change_card(folder, **changes):
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | changes))


def rewritten(folder, change, compression=zipfile.ZIP_STORED):
    """Return the head's archive with its members changed."""
    content = io.BytesIO()
    with zipfile.ZipFile(folder / HEAD_FILE) as old, zipfile.ZipFile(content, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return content.getvalue()


def unchanged(name, data):
    return data


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
