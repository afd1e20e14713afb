"""Candidates that are scored together get what each gets by itself, from the same resamples."""

import threading

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.scoring import classification as evaluate
from headstart.heads.scoring import resampling as resampled_sums
from headstart.heads.scoring.classification import score_predictions, score_together
from headstart.heads.scoring.metrics import METRICS
from headstart.heads.scoring.resampling import draw_resamples, most_together

ENDS = ("value", "low", "high")


@pytest.fixture(autouse=True)
def no_draws():
    """Let no test find what another one has drawn."""
    resampled_sums._kept_draws.cache_clear()


def candidates_of(n_images, n_classes, n_candidates=5):
    """Return true classes, and of each candidate probabilities and classes; the last has no probabilities."""
    generator = np.random.default_rng(n_images)
    y = generator.integers(n_classes, size=n_images)
    answers = []
    for number in range(n_candidates):
        probability = generator.dirichlet(np.ones(n_classes), size=n_images)
        probability[np.arange(n_images), y] += 0.2 * number
        probability /= probability.sum(axis=1, keepdims=True)
        answers.append((probability if number + 1 < n_candidates else None, probability.argmax(axis=1)))
    return y, answers


def numbers_of(scores):
    return [getattr(score, end) for score in scores.values() if score is not None for end in ENDS]


@pytest.mark.parametrize("bytes_at_once", [2**26, 1])
@pytest.mark.parametrize("group_size", [1, 3])
@pytest.mark.parametrize(("n_images", "n_classes"), [(300, 4), (300, 50), (5000, 10), (2, 2)])
def test_each_gets_what_it_gets_by_itself(n_images, n_classes, group_size, bytes_at_once, monkeypatch):
    y, answers = candidates_of(n_images, n_classes)
    groups = None if group_size == 1 else np.arange(n_images) // group_size
    alone = [score_predictions(y, *one, n_classes, groups=groups, seed=3) for one in answers]
    monkeypatch.setattr(resampled_sums, "_BYTES", bytes_at_once)
    together = score_together(y, answers, n_classes, groups=groups, seed=3)
    silent = [[name for name, score in one.items() if score is None] for one in together]
    few = ["top5"] if n_classes < 6 else []
    needy = [name for name, metric in METRICS.items() if metric.needs_probability]

    assert silent == [few] * 4 + [needy]
    for found, expected in zip(together, alone, strict=True):
        assert list(found) == list(METRICS)
        assert numbers_of(found) == pytest.approx(numbers_of(expected), rel=1e-6)


def test_the_log_loss_needs_the_true_classs_probability_alone():
    y, answers = candidates_of(200, 4)
    probability, predicted = answers[0]
    of_true = probability[np.arange(len(y)), y]
    whole = score_predictions(y, probability, predicted, 4)
    ranks = {name for name, metric in METRICS.items() if metric.basis == "ranks"}
    assert score_predictions(y, of_true, predicted, 4) == whole | dict.fromkeys(ranks)


def test_shapes_of_any_candidate_that_do_not_agree_are_refused():
    y, answers = candidates_of(20, 4)
    with pytest.raises(DataError, match=r"labels have shape \(20,\), predictions \(19,\)"):
        score_together(y, [answers[0], (None, answers[0][1][1:])], 4)


@pytest.mark.parametrize(
    ("n_images", "n_classes", "expected"),
    [(9_900, 10, 52), (100_000, 10, 5), (4_000_000, 10, 1), (50_000, 100, 37), (10, 2, 3264)],
)
def test_no_more_are_multiplied_at_once_than_memory_holds(n_images, n_classes, expected):
    assert most_together(n_images, n_classes) == expected


def test_candidates_beyond_that_wait_for_the_next_product(monkeypatch):
    y, answers = candidates_of(300, 4)
    sizes = []

    def sum_resamples(true, parts, resamples):
        sizes.append(len(parts))
        return resampled_sums.sum_resamples(true, parts, resamples)

    monkeypatch.setattr(evaluate, "sum_resamples", sum_resamples)
    monkeypatch.setattr(evaluate, "most_together", lambda *_: 2)
    score_together(y, answers, 4)
    assert sizes == [2, 2, 1]


def test_threads_that_want_the_same_resamples_at_once_draw_them_once(monkeypatch):
    drawn, begun, both = [], threading.Event(), []

    def draw(*arguments):
        drawn.append(arguments)
        begun.set()
        threading.Event().wait(0.2)  # long enough for the other thread to come
        yield np.ones((1, 5), dtype=np.float32)

    monkeypatch.setattr(resampled_sums, "_draw", draw)
    threads = [threading.Thread(target=lambda: both.append(draw_resamples(5, 0, 1))) for _ in range(2)]
    threads[0].start()
    begun.wait()
    threads[1].start()
    for thread in threads:
        thread.join()
    assert drawn == [(5, 0, 1)]
    assert both[0] is both[1]


def test_a_failed_draw_leaves_the_next_one_free(monkeypatch):
    def fail(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(resampled_sums, "_draw", fail)
        with pytest.raises(MemoryError):
            draw_resamples(5, 0, 1)
    (counts,) = draw_resamples(5, 0, 1)
    assert counts.sum() == 5
