"""A cluster has a name where its labels leave no doubt of the majority, and none otherwise."""

import numpy as np
import pytest

from headstart.heads.transfer.clusters import name_clusters, tell_left_out

NAMES = ["ant", "bee"]
CLUSTERS = np.repeat([0, 1, 2, -1], [10, 10, 4, 2])
APART = np.arange(26)


def labelled(*pairs: tuple[int, int]) -> np.ndarray:
    labels = np.full(26, -1)
    for row, label in pairs:
        labels[row] = label
    return labels


def test_four_labels_that_agree_name_a_cluster_and_three_do_not() -> None:
    four, three, none = name_clusters(
        CLUSTERS, labelled(*[(row, 1) for row in (0, 1, 2, 3)], *[(row, 0) for row in (10, 11, 12)]), APART, NAMES
    )
    assert (four.name, four.most, four.share, four.labelled, four.images) == ("bee", "bee", 1.0, 4, 10)
    assert four.low == pytest.approx(0.5101, abs=1e-4)  # Wilson's interval of 4 of 4
    assert (three.name, three.most, three.labelled) == (None, "ant", 3)
    assert (none.name, none.most, none.labelled, none.low) == (None, None, 0, None)


def test_labels_that_disagree_name_nothing_and_a_whole_cluster_leaves_nothing_to_chance() -> None:
    mixed = labelled((0, 0), (1, 1), (2, 0), (3, 1), (4, 0), *[(row, 0) for row in (20, 21, 22)], (23, 1))
    first, _, whole = name_clusters(CLUSTERS, mixed, APART, NAMES)
    assert (first.name, first.share) == (None, 0.6)
    assert (whole.name, whole.low, whole.high) == ("ant", 0.75, 0.75)


def test_copies_say_the_same_once() -> None:
    copies = APART.copy()
    copies[:4] = 0
    assert name_clusters(CLUSTERS, labelled(*[(row, 1) for row in range(4)]), copies, NAMES)[0].labelled == 1


def test_left_out_labels_are_told_by_cluster_and_by_the_nearest_of_other_groups() -> None:
    X = np.zeros((26, 2))
    X[:10, 0], X[10:20, 0] = 5, -5
    X[2] = X[11] + 0.01  # far from its cluster: the nearest labelled image says the other label
    labels = labelled((0, 0), (1, 0), (2, 0), (10, 1), (11, 1))
    assert tell_left_out(CLUSTERS, labels, APART, X) == (5, 5, 4)
    copies = APART.copy()
    copies[:3] = 0
    assert tell_left_out(CLUSTERS, labels, copies, X) == (5, 2, 2)
