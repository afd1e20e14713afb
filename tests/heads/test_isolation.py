import gc
import sys
import threading
import types
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from headstart.heads import isolation
from headstart.heads.isolation import isolated_job, quiet_and_single_threaded, single_threaded_if_small


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two_blas_threads():
    """A process that has more than one BLAS thread, also where the machine has a single core."""
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(2, user_api="blas"):
        yield


def overlapping(inside):
    """Run two jobs in threads: the second enters before the first leaves, and calls `inside` after it has left."""
    first_in, second_in, first_out, seen = threading.Event(), threading.Event(), threading.Event(), []

    def first():
        with isolated_job():
            first_in.set()
            second_in.wait(10)
        first_out.set()

    def second():
        first_in.wait(10)
        with isolated_job() as texts:
            second_in.set()
            first_out.wait(10)
            seen.append((inside(), list(texts)))

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen[0]


@pytest.mark.usefixtures("two_blas_threads")
def test_a_job_has_one_blas_thread_and_gives_the_others_back():
    with isolated_job():
        assert blas_threads() == {1}
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_a_job_that_ends_does_not_free_the_threads_of_one_that_runs():
    with quiet_and_single_threaded():
        assert overlapping(blas_threads)[0] == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_a_fit_has_one_blas_thread_where_its_features_are_few_bytes():
    for n_bytes, n_threads in ((isolation._FEW_BYTES, 1), (isolation._FEW_BYTES + 1, 2)):
        with single_threaded_if_small(n_bytes):
            assert blas_threads() == {n_threads}
    assert blas_threads() == {2}


def test_a_job_in_a_fresh_thread_has_one_torch_thread_and_others_keep_theirs():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert overlapping(torch.get_num_threads)[0] == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_job_may_have_more_threads_of_torch_and_one_of_blas():
    with isolated_job(3):
        assert torch.get_num_threads() == 3
        with isolated_job():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        assert blas_threads() == {1}


def test_a_job_may_start_while_another_thread_is_importing_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))  # as it is then: registered, and empty
    with isolated_job() as texts:
        assert texts == []


def test_the_garbage_collector_looks_as_often_afterwards_as_before():
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        with isolated_job():
            assert gc.get_threshold()[0] > 700
        assert gc.get_threshold() == (700, 10, 10)
    finally:
        gc.set_threshold(*before)


def test_threads_take_turns_more_often_while_a_job_runs_and_then_as_before():
    before = sys.getswitchinterval()
    with isolated_job(), isolated_job():
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_a_convergence_warning_is_collected_once_and_not_raised():
    with isolated_job() as texts:
        for _ in range(2):
            warnings.warn("lbfgs failed\nsecond line", ConvergenceWarning, stacklevel=1)
    assert texts == ["ConvergenceWarning: lbfgs failed"]


def test_each_job_has_its_own_warnings():
    def warn():
        warnings.warn("mine", ConvergenceWarning, stacklevel=1)

    assert overlapping(lambda: (warn(), None)[1])[1] == ["ConvergenceWarning: mine"]


def test_warnings_of_other_threads_go_where_they_went():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with quiet_and_single_threaded():
            warnings.warn("from elsewhere", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in shown] == ["from elsewhere"]


def test_the_filters_are_as_before_afterwards():
    filters, show = list(warnings.filters), warnings.showwarning
    with isolated_job():
        pass
    assert warnings.filters == filters
    assert warnings.showwarning is show
