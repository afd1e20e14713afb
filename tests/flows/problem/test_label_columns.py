"""Which columns hold classes and which hold numbers, where nobody has said so."""

import numpy as np
import pandas as pd
import pytest

from headstart.flows.errors import JobError
from headstart.flows.problem.label_columns import encode_target

RNG = np.random.default_rng(0)


def test_ids_of_classes_are_classes_however_many() -> None:
    target = encode_target(pd.Series(np.repeat(np.arange(101), 3)), "species")
    assert (target.task, len(target.class_names)) == ("classify", 101)
    assert target.class_names[99:] == ["99", "100"]
    (note,) = target.notes
    assert note.startswith("target 'species' holds 101 different whole numbers without gaps, taken for")
    assert note.endswith("(--task regress: heads predict the number)")


@pytest.mark.parametrize(
    "values",
    [
        RNG.integers(0, 100_000, 300),  # prices, with gaps
        np.repeat(np.arange(1900, 2020), 3),  # years
        np.arange(500),  # every image another
        np.repeat(np.arange(200), 2) * 10,
    ],
    ids=["gaps", "years", "counters", "tens"],
)
def test_many_whole_numbers_that_measure_something_are_numbers(values: np.ndarray) -> None:
    target = encode_target(pd.Series(values), "amount")
    assert target.task == "regress"
    assert "(--task classify: classes)" in target.notes[0]


def test_few_whole_numbers_are_classes_and_a_note_says_how_to_predict_them() -> None:
    target = encode_target(pd.Series([2, 10, 1] * 12), "count")
    assert target.class_names == ["1", "2", "10"]
    assert target.notes[0].endswith("taken for the names of classes (--task regress: heads predict the number)")
    assert encode_target(pd.Series([2, 10, 1] * 12), "count", "classify").notes == []


def test_labels_that_are_written_alike_but_for_a_zero_stay_apart() -> None:
    target = encode_target(pd.Series(["01", "1", "1.10", "1.1"] * 3, dtype=object), "part")
    assert target.class_names == ["01", "1", "1.1", "1.10"]
    assert "numbers that are no plain ones (01, 1, 1.1)" in target.notes[0]


def test_classes_that_a_format_calls_so_are_in_the_order_of_their_numbers() -> None:
    target = encode_target(pd.Series(["10", "9", "2"] * 3, dtype=object), "label")
    assert target.class_names == ["2", "9", "10"]
    assert target.y[:3].tolist() == [2, 1, 0]
    assert target.notes == []


def test_numbers_of_many_spellings_are_predicted_where_that_is_asked_for() -> None:
    values = pd.Series(["1.10", "1.5", "1e1"] * 3, dtype=object)
    assert encode_target(values, "weight", "regress").y[:3].tolist() == [1.1, 1.5, 10.0]
    with pytest.raises(JobError, match="holds text, such as 'heavy'; --task regress wants numbers"):
        encode_target(pd.Series(["1.10", "heavy"], dtype=object), "weight", "regress")


def test_names_that_differ_only_in_unicode_form_are_one_class() -> None:
    target = encode_target(pd.Series(["caf\u00e9", "cafe\u0301", "bar"] * 2, dtype=object), "place")
    assert target.class_names == ["bar", "caf\u00e9"]
    assert target.y[:3].tolist() == [1, 1, 0]


def test_names_that_differ_only_in_case_or_blanks_are_noted() -> None:
    target = encode_target(pd.Series(["Cat", "cat", "dog ", "dog", "owl"], dtype=object), "pet")
    assert len(target.class_names) == 5
    assert target.notes == [
        "target 'pet' has classes that differ only in case or blanks: 'Cat' and 'cat'; 'dog' and 'dog '"
    ]
