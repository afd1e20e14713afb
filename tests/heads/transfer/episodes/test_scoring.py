"""Methods score what fits made one by one score, by inner products alone."""

import numpy as np
import pytest
import torch

from headstart.heads.estimators.cosine import make_cosine
from headstart.heads.transfer.episodes import METHODS, Accuracies, draw_episodes, score_episodes
from headstart.heads.transfer.episodes.transductive import tell_by_laplacian, tell_by_transport, transport

RNG = np.random.default_rng(0)
Y = np.repeat(np.arange(6), 20)
X = (RNG.normal(size=(120, 16)) + 0.9 * RNG.normal(size=(6, 16))[Y] + 2.0).astype(np.float32)
BASE = RNG.normal(size=16)
EPISODES = draw_episodes(Y, np.arange(120), ways=3, shots=(1, 4), queries=5, count=30)
TRUTH = np.repeat(np.arange(3), 5)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_means(seen: np.ndarray, images: np.ndarray, shots: int) -> float:
    means = np.stack([seen[own[:shots]].mean(axis=0) for own in images])
    queries = seen[images[:, 4:].ravel()]
    return float((((queries[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1) == TRUTH).mean())


def found(name: str, shots: int, **options: object) -> np.ndarray:
    methods = [one for one in METHODS if one.name == name]
    scored = score_episodes(X, Y, EPISODES, methods=methods, **options)
    return next(one.shares for one in scored if one.shots == shots)


@pytest.mark.parametrize("shots", [1, 4])
def test_class_means_tell_what_they_tell_image_by_image(shots: int) -> None:
    expected: dict[str, list[float]] = {"plain": [], "l2n": [], "cl2n": [], "source": []}
    for classes, images in zip(EPISODES.classes, EPISODES.images, strict=True):
        others = X[~np.isin(Y, classes)].mean(axis=0)
        expected["plain"].append(by_means(X, images, shots))
        expected["l2n"].append(by_means(unit(X), images, shots))
        expected["cl2n"].append(by_means(unit(X - others), images, shots))
        expected["source"].append(by_means(unit(X - BASE), images, shots))
    for name in ("plain", "l2n", "cl2n"):
        np.testing.assert_allclose(found(name, shots), expected[name], atol=1e-12)
    np.testing.assert_allclose(found("cl2n", shots, base=BASE), expected["source"], atol=1e-12)


@pytest.mark.parametrize("far", [0.0, 20.0])
def test_the_cosine_head_of_all_episodes_tells_what_the_registrys_tells(far: float) -> None:
    seen = X + np.float32(far)  # far from the origin all directions are nearly one
    method = next(one for one in METHODS if one.name == "cosine")
    scored = {one.shots: one.shares for one in score_episodes(seen, Y, EPISODES, methods=[method])}
    for shots in (1, 4):
        shares = []
        for images in EPISODES.images:
            head = make_cosine({}, 0).fit(seen[images[:, :shots].ravel()].astype(float), np.repeat(np.arange(3), shots))
            shares.append((head.predict(seen[images[:, 4:].ravel()].astype(float)) == TRUTH).mean())
        assert np.abs(scored[shots] - shares).mean() < 0.02
        assert scored[shots].mean() == pytest.approx(np.mean(shares), abs=0.01)


def test_where_no_class_is_left_out_what_needs_a_base_is_left_out() -> None:
    all_classes = draw_episodes(Y, np.arange(120), ways=6, shots=(1,), queries=5, count=4)
    assert {one.method for one in score_episodes(X, Y, all_classes)} == {"plain", "l2n", "cosine", "pt-map"}
    assert {one.method for one in score_episodes(X, Y, all_classes, base=BASE)} == {one.name for one in METHODS}


def test_noise_is_told_as_chance_tells_it_and_intervals_cover_that() -> None:
    noise = RNG.normal(size=(120, 16))
    drawn = draw_episodes(Y, np.arange(120), ways=3, shots=(1,), queries=5, count=600)
    for one in score_episodes(noise, Y, drawn):
        assert abs(one.mean - 1 / 3) < 0.04, one.method
        assert 0.003 < one.half_width < 0.02


def test_a_gain_is_of_the_same_episodes() -> None:
    one, other = Accuracies("a", 1, np.array([0.5, 0.7, 0.9])), Accuracies("b", 1, np.array([0.4, 0.6, 0.8]))
    gain, width = one.gain_over(other)
    assert (gain, width) == (pytest.approx(0.1), pytest.approx(0.0))
    assert one.half_width == pytest.approx(1.96 * 0.2 / np.sqrt(3))


def products_of(points: list[list[float]]) -> torch.Tensor:
    rows = torch.tensor(points, dtype=torch.float64)
    return (rows @ rows.T)[None]


def test_neighbours_pull_a_query_that_class_means_tell_wrong() -> None:
    shots = [[1.0, 0.0], [0.0, 1.0]]
    # The first query is a little nearer to the second mean, but its neighbours are the first class's.
    queries = [[0.60, 0.61], [0.9, 0.55], [0.85, 0.52], [0.8, 0.54], [0.1, 1.0], [0.0, 0.9], [0.05, 0.95], [0.1, 0.9]]
    scores = tell_by_laplacian(products_of([*shots, *queries]), 2, 1)[0]
    assert scores.argmax(dim=1).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_transport_gives_each_query_once_and_each_class_as_many() -> None:
    scores = torch.from_numpy(RNG.normal(size=(3, 4, 20)))
    kept = torch.ones(3, 4, 1, dtype=torch.float64)
    for _ in range(20):
        assigned, kept = transport(scores, 5, kept)
    torch.testing.assert_close(assigned.sum(dim=1), torch.ones(3, 20, dtype=torch.float64))
    torch.testing.assert_close(assigned.sum(dim=2), torch.full((3, 4), 5.0, dtype=torch.float64), atol=1e-3, rtol=0)


def test_balanced_queries_help_transport_and_unbalanced_ones_mislead_it() -> None:
    directions = np.eye(4)
    seen = np.concatenate([directions[[0]], directions[[1]]])

    def right(counts: tuple[int, int]) -> float:
        rng = np.random.default_rng(1)
        truth = np.repeat([0, 1], counts)
        queries = directions[truth] + 0.35 * rng.normal(size=(len(truth), 4))
        rows = torch.from_numpy(np.concatenate([seen, queries]))
        scores = tell_by_transport((rows @ rows.T)[None], 2, 1)[0]
        return float((scores.argmax(dim=1).numpy() == truth).mean())

    assert right((15, 15)) > 0.9
    assert right((28, 2)) < right((15, 15)) - 0.1
