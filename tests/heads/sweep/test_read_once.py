"""Features travel to a process small, and are read there once."""

import pickle
import threading

import numpy as np
import pytest

from headstart.heads.sweep.cluster import as_given
from headstart.heads.sweep.read_once import ReadOnce


class View:
    """As the cache's: a few bytes that become a matrix; counts how often."""

    def __init__(self):
        self.n_reads = 0

    def __array__(self, dtype=None, copy=None):
        self.n_reads += 1
        return np.arange(6000, dtype=np.float16).reshape(1000, 6)


def test_the_matrix_is_that_of_the_view_and_one_for_all():
    source = ReadOnce(View())
    first, second = np.asarray(source), np.asarray(source)
    assert np.array_equal(first, np.asarray(View()))
    assert first.dtype == np.float16
    assert np.shares_memory(first, second)


def test_threads_that_ask_at_once_wait_for_one_reading():
    class Slow(View):
        def __array__(self, dtype=None, copy=None):
            second_asks.wait(10)
            return super().__array__()

    view, second_asks, seen = Slow(), threading.Event(), []
    source = ReadOnce(view)
    threads = [threading.Thread(target=lambda: seen.append(np.asarray(source))) for _ in range(2)]
    for thread in threads:
        thread.start()
    second_asks.set()
    for thread in threads:
        thread.join()
    assert view.n_reads == 1
    assert np.shares_memory(*seen)


def test_a_job_cannot_change_what_others_see():
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(ReadOnce(View()))[0, 0] = 1


def test_another_dtype_is_a_copy():
    assert np.asarray(ReadOnce(View()), dtype=np.float32).dtype == np.float32


def test_what_was_read_stays_behind_when_it_is_pickled():
    source = ReadOnce(View())
    before = len(pickle.dumps(source))
    np.asarray(source)
    assert len(pickle.dumps(source)) == before < 200
    again = pickle.loads(pickle.dumps(source))  # noqa: S301 - what was pickled on this line
    assert np.array_equal(again, np.asarray(View()))


def test_placing_gives_back_the_very_object():
    value = object()
    assert as_given(value) is value
