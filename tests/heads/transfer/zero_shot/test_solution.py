"""Closed forms of zero-shot learning against direct solvers, and the estimator that is made of them."""

import numpy as np
import pytest
from scipy.linalg import solve_sylvester

from headstart.heads.errors import ModelFileError
from headstart.heads.transfer.zero_shot import ZeroShotClassifier
from headstart.heads.transfer.zero_shot.solution import Solution, eszsl_targets
from headstart.heads.transfer.zero_shot.vectors import equal_pairs, standardise


@pytest.mark.parametrize("n_features", [5, 60])
def test_eszsl_is_what_a_direct_solver_finds(n_features: int) -> None:
    rng = np.random.default_rng(0)
    X, codes, S = rng.normal(size=(40, n_features)), np.arange(40) % 4, rng.normal(size=(4, 3))
    gamma, lam = 0.7, 0.3
    found = Solution(X, codes, 4).weights(gamma, eszsl_targets(S, lam))
    # The least squares that ESZSL states, with all its penalties: ‖Y - X W Sᵀ‖² + g‖W Sᵀ‖² + l‖X W‖² + gl‖W‖².
    Y = 2 * np.eye(4)[codes] - 1
    left = X.T @ X + gamma * np.eye(n_features)
    right = S.T @ S + lam * np.eye(3)
    # as one linear system: (rightᵀ ⊗ left) vec W = vec(Xᵀ Y S)
    direct = np.linalg.solve(np.kron(right.T, left), (X.T @ Y @ S).ravel(order="F")).reshape(n_features, 3, order="F")
    np.testing.assert_allclose(found, direct, atol=1e-9)
    # and as a Sylvester equation, left W + W 0 = Xᵀ Y S right⁻¹
    sylvester = solve_sylvester(left, np.zeros((3, 3)), X.T @ Y @ S @ np.linalg.inv(right))
    np.testing.assert_allclose(found, sylvester, atol=1e-9)


def test_eszsl_makes_its_objective_least() -> None:
    rng = np.random.default_rng(1)
    X, codes, S = rng.normal(size=(30, 4)), np.arange(30) % 3, rng.normal(size=(3, 2))
    Y = 2 * np.eye(3)[codes] - 1

    def objective(W: np.ndarray) -> float:
        parts = ((Y - X @ W @ S.T), 0.5**0.5 * (W @ S.T), 0.2**0.5 * (X @ W), (0.5 * 0.2) ** 0.5 * W)
        return float(sum((part**2).sum() for part in parts))

    found = Solution(X, codes, 3).weights(0.5, eszsl_targets(S, 0.2))
    assert all(objective(found) < objective(found + 1e-3 * rng.normal(size=found.shape)) for _ in range(20))


def test_semantic_ridge_is_least_squares_onto_the_vectors() -> None:
    rng = np.random.default_rng(2)
    X, codes, S = rng.normal(size=(30, 6)), np.arange(30) % 5, rng.normal(size=(5, 3))
    padded = np.vstack([X, 0.4**0.5 * np.eye(6)]), np.vstack([S[codes], np.zeros((6, 3))])
    np.testing.assert_allclose(Solution(X, codes, 5).weights(0.4, S), np.linalg.lstsq(*padded)[0], atol=1e-10)


def test_shares_give_the_scores_of_the_weights() -> None:
    rng = np.random.default_rng(3)
    X, codes, T = rng.normal(size=(20, 30)), np.arange(20) % 4, rng.normal(size=(4, 3))
    solution, new = Solution(X, codes, 4), rng.normal(size=(7, 30))
    np.testing.assert_allclose(
        solution.shares(solution.along(new), 0.1) @ T, new @ solution.weights(0.1, T), atol=1e-10
    )


def test_a_column_that_is_the_same_for_all_seen_classes_is_left_out() -> None:
    scaled = standardise(np.array([[1.0, 5.0], [1.0, 7.0], [900.0, 6.0]]), np.array([0, 1]))
    np.testing.assert_allclose(scaled, [[0.0, -1.0], [0.0, 1.0], [0.0, 0.0]])


def test_equal_vectors_are_found() -> None:
    assert equal_pairs(np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 1]])) == [(0, 2), (1, 3)]


def test_clip_is_a_hundred_cosines_and_needs_no_image() -> None:
    rng = np.random.default_rng(4)
    vectors, X = rng.normal(size=(3, 8)), rng.normal(size=(5, 8))
    model = ZeroShotClassifier(vectors, method="clip").of_texts()
    lengths = np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(vectors, axis=1)
    logits = 100 * X @ vectors.T / lengths
    np.testing.assert_allclose(model.decision_function(X), logits, atol=1e-9)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(X), odds / odds.sum(axis=1, keepdims=True), atol=1e-9)
    fitted = ZeroShotClassifier(vectors, method="clip").fit(X, [0, 1, 0, 1, 1])
    np.testing.assert_allclose(fitted.decision_function(X), logits, atol=1e-9)


def test_what_does_not_fit_together_is_refused() -> None:
    X, y = np.eye(4), [0, 1, 0, 1]
    with pytest.raises(ValueError, match="y holds the classes"):
        ZeroShotClassifier(np.eye(3)[:1]).fit(X, y)
    with pytest.raises(ValueError, match="needs vectors of 4 numbers"):
        ZeroShotClassifier(np.eye(3), method="clip").fit(X, y)
    with pytest.raises(ValueError, match="expected one of eszsl"):
        ZeroShotClassifier(np.eye(3), method="magic").fit(X, y)
    with pytest.raises(ValueError, match="above 0"):
        ZeroShotClassifier(np.eye(3), gamma=0.0).fit(X, y)
    model = ZeroShotClassifier(np.eye(3)).fit(X, y)
    model.offsets_ = np.zeros(7)
    with pytest.raises(ModelFileError, match="do not fit together"):
        model.check_fitted_state()
