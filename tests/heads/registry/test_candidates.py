import numpy as np
import pytest

from headstart.heads.errors import DataError, UnknownHeadError
from headstart.heads.registry.candidates import FeatureSet, expand

RESNET = FeatureSet(features=np.zeros((2, 2)), backbone="resnet18", tap="avgpool", key="k1")
VIT = FeatureSet(features=np.ones((2, 2)), backbone="vit_b_16", tap="encoder", key="k2")


def test_every_combination_becomes_a_candidate_in_order():
    candidates = expand([RESNET, VIT], ["dummy", "knn"])
    assert [(c.backbone, c.tap, c.key, c.head, c.params) for c in candidates] == [
        (source.backbone, source.tap, source.key, head, params)
        for source in (RESNET, VIT)
        for head, params in [("dummy", {}), *[("knn", {"n_neighbors": k}) for k in (1, 5, 20)]]
    ]


def test_candidates_share_the_features_they_came_from():
    assert all(candidate.features is RESNET.features for candidate in expand([RESNET], ["logreg"]))


def test_a_given_grid_replaces_the_heads_own():
    candidates = expand([RESNET], ["logreg", "dummy"], {"logreg": {"C": [2.0], "fit_intercept": [True, False]}})
    assert [c.params for c in candidates] == [{"C": 2.0, "fit_intercept": True}, {"C": 2.0, "fit_intercept": False}, {}]


def test_an_empty_grid_gives_the_heads_defaults_once():
    assert [c.params for c in expand([RESNET], ["logreg"], {"logreg": {}})] == [{}]


def test_a_head_named_twice_is_tried_once():
    assert len(expand([RESNET], ["dummy", "dummy"])) == 1


@pytest.mark.parametrize(
    ("heads", "grid", "error", "message"),
    [
        (["logref"], {}, UnknownHeadError, "did you mean logreg"),
        (["logreg"], {"ridg": {"alpha": [1]}}, UnknownHeadError, "did you mean ridge"),
        (["logreg"], {"logreg": {"c": [1]}}, DataError, r"'logreg'.*unexpected keyword argument 'c'.*grid varies: C"),
        (["logreg"], {"logreg": {"C": []}}, DataError, "no value was given for C"),
        ([], {}, DataError, "nothing to fit: 1 feature sets and 0 heads"),
    ],
)
def test_what_cannot_be_expanded_is_refused(heads, grid, error, message):
    with pytest.raises(error, match=message):
        expand([RESNET], heads, grid)
