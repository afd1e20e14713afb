"""Boosted trees as plain arrays: what scikit-learn's histogram boosting leaves here, and how numpy reads it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from headstart.heads.errors import ModelFileError
from headstart.heads.estimators.weighting import ClassWeight

Doubles = NDArray[np.float64]
Numbers = NDArray[np.int32]

_STEPS = 1_000_000
"""Images times trees that prediction holds at once: some 30 MB."""


class BoostedTrees:
    """Common part of the boosted classifier and the boosted regressor.

    Embeddings have hundreds of smooth features: 31 bins for each and trees of 15 leaves take a sixth of the time of
    scikit-learn's 255 and 31 and score the same. Fitted trees are arrays of numbers here, because scikit-learn's own
    are read by compiled code that trusts them, and a saved model may come from anywhere.

    Parameters
    ----------
    learning_rate : float, default=0.1
    max_iter : int, default=100
        Rounds at most; each grows one tree for every class (a single one for two classes, and for a number).
    max_leaf_nodes : int, default=15
        Leaves of a tree.
    min_samples_leaf : int, default=5
        Images in a leaf.
    l2_regularization : float, default=0.0
    patience : int, default=10
        Rounds without a better validation loss after which training stops.
    validation_fraction : float, default=0.1
        Share of the images that stop training; without it all rounds are run where that share is under ten images.
        Groups are not looked at.
    random_state : int, RandomState or None, default=None
    class_weight : "balanced", mapping of label to float, or None, default=None
        How much an image of each class counts; None of numbers.

    Attributes
    ----------
    roots_ : int32 ndarray of shape (n_rounds, n_trees)
        The first node of each tree; n_trees is n_classes, or 1 for two classes and for a number.
    features_, left_, right_ : int32 ndarray of shape (n_nodes,)
        What each node looks at and where it leads; a leaf leads to itself.
    thresholds_, values_ : float64 ndarray of shape (n_nodes,)
        Up to and with its threshold an image goes left; a leaf's value is added to its class's score, or to the number.
    baseline_ : float64 ndarray of shape (n_trees,)
        The scores before any tree.
    n_iter_ : int
        Rounds run.
    """

    roots_: Numbers
    features_: Numbers
    left_: Numbers
    right_: Numbers
    thresholds_: Doubles
    values_: Doubles
    baseline_: Doubles
    n_iter_: int
    n_features_in_: int

    def __init__(
        self,
        learning_rate: float = 0.1,
        *,
        max_iter: int = 100,
        max_leaf_nodes: int = 15,
        min_samples_leaf: int = 5,
        l2_regularization: float = 0.0,
        patience: int = 10,
        validation_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        class_weight: ClassWeight = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.class_weight = class_weight

    def grow(self, kind: Any, X: NDArray[Any], y: NDArray[Any], *, early_stopping: bool, **of_kind: Any) -> None:
        """Fit scikit-learn's boosting of this `kind` with the parameters here and its own, and keep its trees."""
        fitted = kind(
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            max_bins=31,
            early_stopping=early_stopping,
            n_iter_no_change=self.patience,
            validation_fraction=self.validation_fraction,
            random_state=self.random_state,
            **of_kind,
        ).fit(X, y)
        self._keep(fitted)
        self.n_iter_ = int(fitted.n_iter_)

    def _keep(self, fitted: Any) -> None:
        """Take the trees out of scikit-learn's objects, which have no public reader for them."""
        rounds = fitted._predictors  # noqa: SLF001 - see above
        trees = [tree.nodes for trees_of_round in rounds for tree in trees_of_round]
        starts = np.cumsum([0, *map(len, trees[:-1])])
        nodes, offsets = np.concatenate(trees), np.repeat(starts, list(map(len, trees)))
        leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
        self.roots_ = starts.reshape(len(rounds), -1).astype(np.int32)
        self.features_ = np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32)
        self.left_ = np.where(leaf, own, nodes["left"] + offsets).astype(np.int32)
        self.right_ = np.where(leaf, own, nodes["right"] + offsets).astype(np.int32)
        self.thresholds_ = np.where(leaf, 0.0, nodes["num_threshold"])
        self.values_ = nodes["value"].astype(np.float64)
        self.baseline_ = np.ravel(fitted._baseline_prediction).astype(np.float64)  # noqa: SLF001 - likewise

    def add_up(self, X: NDArray[Any]) -> Doubles:
        """Return the sum of the leaves that each image reaches, (n_images, n_trees)."""
        parts = gen_batches(len(X), max(1, _STEPS // self.roots_.size))
        return np.concatenate([self._add_up_some(X[part]) for part in parts])

    def _add_up_some(self, X: NDArray[Any]) -> Doubles:
        """Lead all images down all trees together, level by level, until every one is in its leaf."""
        images, node = np.arange(len(X))[:, None], np.tile(self.roots_.ravel(), (len(X), 1))
        while True:
            goes_left = X[images, self.features_[node]] <= self.thresholds_[node]
            reached = np.where(goes_left, self.left_[node], self.right_[node])
            if np.array_equal(reached, node):
                return np.asarray(self.values_[node].reshape(len(X), *self.roots_.shape).sum(axis=1) + self.baseline_)
            node = reached

    def check_trees(self, n_trees: int) -> None:
        """Check what was read from a file: a node that leads back would never end, a wrong number fails late.

        Raises
        ------
        ModelFileError
            Arrays do not fit together, or a node leads out of the arrays or back.
        """
        n_nodes, own = len(self.features_), np.arange(len(self.features_))
        numbers = (self.roots_, self.features_, self.left_, self.right_)
        if any(array.dtype != np.int32 for array in numbers) or self.roots_.ndim != 2 or not self.roots_.size:
            raise ModelFileError("boosting holds nodes that are no int32 numbers, or no trees")
        if any(array.shape != (n_nodes,) for array in (*numbers[1:], self.thresholds_, self.values_)):
            raise ModelFileError(f"boosting holds arrays of different lengths for {n_nodes} nodes")
        if self.roots_.shape[1] != n_trees or self.baseline_.shape != (n_trees,):
            raise ModelFileError(f"boosting holds {self.roots_.shape[1]} trees a round, expected {n_trees}")
        if self.roots_.min() < 0 or self.roots_.max() >= n_nodes:
            raise ModelFileError(f"boosting holds a tree that starts outside its {n_nodes} nodes")
        if self.features_.min() < 0 or self.features_.max() >= self.n_features_in_:
            raise ModelFileError(f"boosting holds a node that looks outside its {self.n_features_in_} features")
        for lead in (self.left_, self.right_):
            if (lead < own).any() or (lead >= n_nodes).any():
                raise ModelFileError(f"boosting holds a node that leads back or outside its {n_nodes} nodes")
