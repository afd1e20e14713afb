"""Threads that run a sweep's jobs: in order, each when it has what it waits for, and left at once."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.sweep.threads import Threads


def test_a_job_waits_for_those_that_it_takes_by_themselves_or_in_lists():
    go = threading.Event()
    with Threads(2) as threads:
        first = threads.submit(lambda: go.wait(10) and 1)
        second = threads.submit(lambda: 2)
        both = threads.submit(lambda one, some: (one, some), first, [second, first, "as it is"])
        assert not both.done()
        go.set()
        assert both.result(10) == (1, [2, 1, "as it is"])


def test_of_jobs_that_are_ready_the_first_submitted_runs_first():
    go, order = threading.Event(), []
    with Threads(1) as threads:
        jobs = [threads.submit(go.wait, 10), *(threads.submit(order.append, number) for number in range(20))]
        late = threads.submit(lambda _: order.append("after the first"), jobs[0])
        go.set()
        late.result(10)
    assert order == [*range(20), "after the first"]


def test_results_and_errors_arrive_with_what_they_are_of():
    def fail():
        raise SystemExit("no")

    arrived = {}
    with Threads(2) as threads:
        broken = threads.submit(fail)
        futures = {threads.submit(abs, -1): "a", broken: "b", threads.submit(abs, broken): "c"}
        assert threads.gather(futures, arrived.__setitem__) == []
    assert arrived["a"] == 1
    assert str(arrived["b"]) == str(arrived["c"]) == "no"


def test_what_no_job_waits_for_any_longer_is_gone():
    gc.disable()  # what only a search for cycles frees stays for minutes
    try:
        with Threads(1) as threads:
            part = threads.submit(lambda: np.zeros(5))
            held = weakref.ref(part.result(10))
            whole = threads.submit(lambda parts: float(parts[0].sum()), [part])
            del part
            assert whole.result(10) == 0
            until = time.monotonic() + 10
            while held() is not None and time.monotonic() < until:
                time.sleep(0.001)  # the thread drops it a moment later
            assert held() is None
    finally:
        gc.enable()


def test_whoever_leaves_waits_until_the_threads_have_ended():
    with Threads(3) as threads:
        late = threads.submit(time.sleep, 0.05)
    assert late.done()
    assert not [one for one in threading.enumerate() if one.name.startswith("job ")]


def test_whoever_is_interrupted_waits_for_no_job_and_starts_none():
    running, go, started = threading.Event(), threading.Event(), []
    with pytest.raises(KeyboardInterrupt), Threads(1) as threads:  # noqa: PT012 - the interruption is the block's
        threads.submit(lambda: (running.set(), go.wait(60)))
        threads.submit(started.append, 1)
        running.wait(10)
        raise KeyboardInterrupt
    assert not go.is_set()  # the job is still at work
    go.set()
    workers = [one for one in threading.enumerate() if one.name.startswith("job ")]
    for one in workers:
        one.join(10)
    assert started == []


def test_threads_are_one_at_least():
    with pytest.raises(DataError, match="workers is 0, expected at least 1"):
        Threads(0)
