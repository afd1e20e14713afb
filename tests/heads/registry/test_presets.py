"""Sweeps by name hold heads that exist, with hyper-parameters that they know."""

import pytest

from headstart.heads import HEADS, DataError
from headstart.heads.registry.candidates import FeatureSet, expand
from headstart.heads.registry.presets import PRESETS, find_preset

FEATURES = FeatureSet(features=None, backbone="none", tap="none", key="none")


@pytest.mark.parametrize("name", PRESETS)
def test_every_choice_of_a_sweep_can_be_made(name):
    preset = find_preset(name)
    candidates = expand([FEATURES], list(preset), preset)
    assert {candidate.head for candidate in candidates} == set(preset)
    for candidate in candidates:
        HEADS[candidate.head].make(candidate.params, 0)


def test_each_sweep_tries_more_than_the_one_before():
    sizes = [len(expand([FEATURES], list(preset), preset)) for preset in PRESETS.values()]
    assert sizes == sorted(set(sizes))
    assert list(PRESETS) == ["quick", "standard", "thorough"]


def test_the_thorough_sweep_leaves_out_no_head():
    assert set(PRESETS["thorough"]) == set(HEADS)


def test_every_sweep_has_the_floor_that_others_have_to_beat():
    assert all("dummy" in preset for preset in PRESETS.values())


def test_an_unknown_sweep_names_those_there_are():
    with pytest.raises(DataError, match="no sweep is called 'fast'; expected one of quick, standard, thorough"):
        find_preset("fast")
