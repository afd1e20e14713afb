"""Saved heads with class weights, and cards with a decision, which may come from anywhere."""

import numpy as np
import pytest
from support.model_example import CARD, X, Y, change_card

from headstart.heads import HEADS
from headstart.heads.errors import ModelFileError
from headstart.heads.saving import load_model, save_model

WEIGHTS = {digit: 1.0 + digit for digit in range(10)}
BRIEF = {"mlp": {"max_epochs": 2, "min_steps": 0}, "linear-torch": {"max_epochs": 2, "min_steps": 0}}


@pytest.mark.parametrize("head", [name for name, head in HEADS.items() if head.weighs])
def test_a_head_with_class_weights_says_the_same_once_it_is_read_back(head, tmp_path):
    model = HEADS[head].make({**BRIEF.get(head, {}), "class_weight": WEIGHTS}, 0).fit(X, Y)
    save_model(tmp_path / "model", model, CARD | {"head": head})
    read, _ = load_model(tmp_path / "model")
    assert np.array_equal(read.predict(X), model.predict(X))
    assert read[-1].class_weight == WEIGHTS


def test_a_card_keeps_a_decision_and_one_that_cannot_be_is_refused(tmp_path):
    model, decision = HEADS["centroid"].make({}, 0).fit(X, Y), {"by": "mcc", "multipliers": [1.0] * 10}
    save_model(tmp_path / "model", model, CARD | {"decision": decision})
    assert load_model(tmp_path / "model")[1]["decision"] == decision
    for wrong in ({"by": "mcc", "threshold": 0.5}, {"by": "mcc", "multipliers": [1.0]}, "mcc", [0.5], 1):
        change_card(tmp_path / "model", decision=wrong)
        with pytest.raises(ModelFileError, match=r"model.json: its 'decision' cannot be read: .*; fit the model again"):
            load_model(tmp_path / "model")
