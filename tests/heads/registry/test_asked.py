"""A head is asked for by its name, with the values to try, as a class, or as an estimator."""

import sys

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from support.model_example import X, Y

from headstart.heads import DataError, OwnHeadError, find_head
from headstart.heads.registry import own_heads
from headstart.heads.registry.asked import AskedHead, read_head, read_heads
from headstart.heads.registry.candidates import FeatureSet, expand, own_code

FEATURES = FeatureSet(features=X, backbone="pixels", tap="raw", key="k")


@pytest.mark.parametrize(
    ("text", "name", "grid"),
    [
        ("logreg", "logreg", None),
        ("logreg(C=0.1,1,10)", "logreg", {"C": (0.1, 1, 10)}),
        (" logreg ( C = 1e-3, 10 ) ", "logreg", {"C": (0.001, 10)}),
        ("logreg(C=[0.1, 1])", "logreg", {"C": (0.1, 1)}),
        ("logreg()", "logreg", {}),
        ("knn(metric=cosine,euclidean, p=5)", "knn", {"metric": ("cosine", "euclidean"), "p": (5,)}),
        ("mlp(sizes=(128,),(512, 64), dropout=0.5)", "mlp", {"sizes": ((128,), (512, 64)), "dropout": (0.5,)}),
        ("sklearn.svm.SVC", "sklearn.svm:SVC", None),
        ("sklearn.svm:SVC", "sklearn.svm:SVC", None),
        (
            "sklearn.svm.SVC(C=1, probability=true, class_weight=None, kernel='rbf,')",
            "sklearn.svm:SVC",
            {"C": (1,), "probability": (True,), "class_weight": (None,), "kernel": ("rbf,",)},
        ),
    ],
)
def test_a_text_is_a_name_and_the_values_to_try_and_is_written_back(text, name, grid):
    asked = read_head(text)
    assert (asked.name, asked.grid) == (name, grid)
    assert read_head(str(asked)) == asked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("logreg(C=0.1", "its bracket is never closed; write it as"),
        ("logreg(0.1)", "'0.1' has no name; write it as"),
        ("logreg(C=1, C=2)", "C is named twice"),
        ("logreg(C=)", "'' is no value"),
        ("logreg(C=open('x'))", "is no value"),
        ("logreg(C=1,,2)", "'' is no value"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_with_the_way_to_write_it(text, message):
    with pytest.raises(DataError, match=message):
        read_head(text)


def test_values_that_are_asked_for_are_tried_in_place_of_the_heads_own_and_each_once():
    candidates = expand([FEATURES], ["logreg(C=0.1,1)", "logreg(C=1,10)", "dummy"])
    assert [(one.head, dict(one.params)) for one in candidates] == [
        ("logreg", {"C": 0.1}),
        ("logreg", {"C": 1}),
        ("logreg", {"C": 10}),
        ("dummy", {}),
    ]


def test_an_unknown_hyper_parameter_names_those_that_there_are():
    with pytest.raises(DataError, match=r"head 'logreg': .*unexpected keyword argument 'c'.* varies: C"):
        expand([FEATURES], ["logreg(c=1)"])


def test_an_estimator_is_its_public_path_with_what_it_was_made_with():
    asked = read_heads([LogisticRegression(C=1, max_iter=300), SVC, "knn"])
    assert asked == [
        AskedHead("sklearn.linear_model:LogisticRegression", {"C": (1,), "max_iter": (300,)}),
        AskedHead("sklearn.svm:SVC"),
        AskedHead("knn"),
    ]
    assert read_heads(SVC()) == [AskedHead("sklearn.svm:SVC", {})]


def test_a_pipeline_is_cloned_for_each_fit_and_gets_the_seed_throughout():
    pipeline = make_pipeline(StandardScaler(), SVC(tol=0.01))
    (candidate,) = expand([FEATURES], read_heads(pipeline))
    made = find_head(candidate.head).make(candidate.params, 7)
    assert made[-1] is not pipeline[-1]
    assert made[-1].random_state == 7
    assert made.fit(X, Y).score(X, Y) > 0.7
    assert not hasattr(pipeline[-1], "classes_")
    parts = ["sklearn.pipeline:Pipeline", "sklearn.preprocessing:StandardScaler", "sklearn.svm:SVC"]
    assert sorted(own_code(candidate)) == parts


def test_a_regressor_is_a_head_for_numbers_and_no_classifier():
    (candidate,) = expand([FEATURES], read_heads(SVR(C=2.0)), task="regress")
    assert find_head(candidate.head, "regress").make(candidate.params, 0).C == 2.0
    with pytest.raises(OwnHeadError, match="makes a SVR, expected a scikit-learn classifier"):
        expand([FEATURES], ["sklearn.svm.SVR"])
    with pytest.raises(OwnHeadError, match="makes a SVC, expected a scikit-learn regressor"):
        expand([FEATURES], ["sklearn.svm.SVC"], task="regress")


def test_what_is_no_head_at_all_is_refused():
    class Hidden(SVC):
        pass

    with pytest.raises(OwnHeadError, match=r"7 is a int, expected a head's name, a scikit-learn estimator"):
        read_heads([7])
    with pytest.raises(OwnHeadError, match="made inside a function"):
        read_heads(Hidden())


def test_a_module_of_the_current_folder_is_found_behind_all_that_is_installed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    for name in ("just_here.py", "sklearn/svm.py", "beside.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("import beside\nfrom sklearn.svm import SVC as MyHead\n" if "just" in name else "")
    try:
        assert find_head("just_here:MyHead").make({"C": 2}, 0).C == 2
        assert own_heads.load_object("sklearn.svm:SVC") is SVC
    finally:
        for name in ("just_here", "beside"):
            sys.modules.pop(name, None)
