"""Digests as arrays: turned from hex and back, sorted as hex is, and told apart by all of their bytes."""

import hashlib

import numpy as np
import pandas as pd
import pytest

import headstart.extractors.cache.digests
from headstart.extractors.cache.digests import as_bytes, as_hex, number_digests, prefixes, sort_digests

HEX = [hashlib.sha256(bytes([number])).hexdigest() for number in range(10)]


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headstart.extractors.cache.digests, "PIECE_ROWS", 4)


@pytest.mark.parametrize("given", [HEX, tuple(HEX), np.array(HEX, object), pd.Series(HEX, range(5, 15))], ids=type)
def test_hex_becomes_the_bytes_that_it_writes(given: object) -> None:
    found = as_bytes(given)
    assert (found.dtype, found.shape) == (np.uint8, (10, 32))
    assert [row.tobytes() for row in found] == [bytes.fromhex(digest) for digest in HEX]


def test_bytes_are_taken_as_they_are_and_written_as_hex() -> None:
    raw = as_bytes(HEX)
    assert as_bytes(raw).base is raw or as_bytes(raw) is raw
    assert as_hex(raw) == HEX
    assert as_hex(raw[:1]) == HEX[:1]


def test_of_no_digests_there_are_none() -> None:
    none = as_bytes([])
    assert none.shape == (0, 32)
    assert as_hex(none) == []
    assert [found.tolist() for found in sort_digests(none)] == [[], []]


@pytest.mark.parametrize("wrong", [["ab"], [HEX[0], HEX[1][:-2]], [*HEX, "x" * 64]], ids=["short", "odd", "no hex"])
def test_what_is_no_digest_is_refused(wrong: list[str]) -> None:
    with pytest.raises(ValueError, match=r"reshape|hexadecimal"):
        as_bytes(wrong)


def test_digests_are_sorted_as_their_hex_is_and_copies_stay_in_order() -> None:
    given = [HEX[number] for number in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3)]
    order, number = sort_digests(as_bytes(given))
    assert order.tolist() == sorted(range(10), key=given.__getitem__)
    assert number.tolist() == pd.factorize(pd.Series(sorted(given)))[0].tolist()
    assert number_digests(as_bytes(given)).tolist() == [sorted(set(given)).index(digest) for digest in given]


@pytest.mark.parametrize("at", [8, 16, 31])
def test_digests_that_begin_alike_are_told_apart_by_the_rest(at: int) -> None:
    raw = np.zeros((6, 32), np.uint8)
    raw[:, at] = [7, 1, 7, 200, 1, 7]
    assert len(np.unique(prefixes(raw))) == 1
    order, number = sort_digests(raw)
    assert order.tolist() == [1, 4, 0, 2, 5, 3]
    assert number.tolist() == [0, 0, 1, 1, 1, 2]
    assert number_digests(raw).tolist() == [1, 0, 1, 2, 0, 1]
