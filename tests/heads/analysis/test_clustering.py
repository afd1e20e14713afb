"""Groups of like images: what k-means and HDBSCAN find in groups that are there."""

import sys
from types import ModuleType

import numpy as np
import pytest

from headstart.heads.analysis import clustering
from headstart.heads.analysis.clustering import (
    NOISE,
    agreement,
    cluster_by_density,
    cluster_by_kmeans,
    project_on_plane,
    reduce_features,
)
from headstart.heads.errors import DataError

SIZES = (60, 45, 30, 25)


def groups(spread=0.15):
    """Return features of four groups of unlike sizes in different directions, and each image's group."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(len(SIZES), 20))
    y = np.repeat(np.arange(len(SIZES)), SIZES)
    return (centres[y] + spread * generator.normal(size=(len(y), 20))).astype(np.float16), y


X, Y = groups()
REDUCED = reduce_features(X, len(Y))


def test_k_means_finds_the_number_of_groups_by_the_silhouette():
    found = cluster_by_kmeans(REDUCED, (2, 3, 4, 5, 8))
    assert found[0].params == {"k": 4}
    assert agreement(found[0].clusters, Y) == (1.0, pytest.approx(1.0))
    assert [one.silhouette for one in found] == sorted((one.silhouette for one in found), reverse=True)
    assert len(found) == 5


def test_hdbscan_finds_the_number_of_groups_and_leaves_strangers_out():
    strangers = np.random.default_rng(1).normal(size=(6, 20))  # two of them look like one of a group
    found = cluster_by_density(reduce_features(np.concatenate([X, strangers]), len(Y) + 6))
    assert found.n_clusters == 4
    assert agreement(found.clusters[: len(Y)], Y)[0] > 0.95
    assert (found.clusters[len(Y) :] == NOISE).sum() == 4
    assert found.n_noise == (found.clusters == NOISE).sum() >= 4


def test_clusters_are_numbered_by_size():
    for one in (cluster_by_kmeans(REDUCED, (4,))[0], cluster_by_density(REDUCED)):
        assert np.bincount(one.clusters).tolist() == list(SIZES)


def test_length_of_an_embedding_does_not_matter():
    longer = X.astype(np.float32) * np.linspace(1, 9, len(Y))[:, None].astype(np.float32)
    np.testing.assert_allclose(np.abs(reduce_features(longer, len(Y))), np.abs(REDUCED), atol=2e-3)


def test_features_are_reduced_to_fifty_dimensions_at_most():
    wide = np.random.default_rng(0).normal(size=(80, 200))
    assert reduce_features(wide, 80).shape == (80, 50)
    assert reduce_features(wide[:10], 10).shape == (10, 10)
    assert reduce_features(wide, 80).dtype == np.float32


def test_ks_that_leave_less_than_two_images_a_cluster_are_passed_over():
    found = cluster_by_kmeans(REDUCED[:9], (2, 4, 5, 50))
    assert sorted(one.params["k"] for one in found) == [2, 4]


def test_many_images_go_in_mini_batches_without_hdbscan(monkeypatch):
    monkeypatch.setattr(clustering, "_MOST_FOR_HDBSCAN", 100)
    monkeypatch.setattr(clustering, "_MOST_FOR_KMEANS", 100)
    monkeypatch.setattr(clustering, "KMeans", None)
    monkeypatch.setattr(clustering, "_MOST_FOR_SILHOUETTE", 80)
    assert cluster_by_density(REDUCED) is None
    assert agreement(cluster_by_kmeans(REDUCED, (3, 4, 6))[0].clusters, Y)[0] > 0.9


def test_images_that_are_all_in_one_cluster_or_none_have_no_silhouette():
    alone = cluster_by_density(np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32), 30)
    assert alone.n_clusters < 2
    assert alone.silhouette is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cluster_by_kmeans(REDUCED, (1, 500)), "k is 1, 500, expected one between 2 and 80"),
        (lambda: cluster_by_density(REDUCED, 1), "min_cluster_size is 1, expected between 2 and 160"),
        (lambda: reduce_features(X[:2], 2), "2 images cannot be put into clusters"),
        (lambda: reduce_features(X * np.nan, len(Y)), "160 of 160 rows hold NaN"),
        (lambda: project_on_plane(REDUCED, "tsne"), "no map is called 'tsne'; expected auto, pca or umap"),
    ],
)
def test_what_cannot_be_done_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_the_map_of_pca_is_its_first_two_axes(monkeypatch):
    monkeypatch.setattr(clustering, "find_spec", lambda _: None)
    points, method = project_on_plane(REDUCED)
    assert method == "pca"
    np.testing.assert_array_equal(points, REDUCED[:, :2])
    assert project_on_plane(REDUCED[:, :1])[0].shape == (len(Y), 2)


def test_umap_that_is_not_installed_is_told_of(monkeypatch):
    monkeypatch.setattr(clustering, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"UMAP is not installed; run 'pip install headstart\[umap\]'"):
        project_on_plane(REDUCED, "umap")


@pytest.mark.parametrize("asked", ["auto", "umap"])
def test_umap_that_is_installed_draws_the_map(monkeypatch, asked):
    class UMAP:
        def __init__(self, **options):
            assert options == {"n_neighbors": 15, "random_state": 0, "n_jobs": 1}

        def fit_transform(self, reduced):
            return reduced[:, 1:3]

    module = ModuleType("umap")
    module.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", module)
    monkeypatch.setattr(clustering, "find_spec", lambda _: module)
    points, method = project_on_plane(REDUCED, asked)
    assert method == "umap"
    np.testing.assert_array_equal(points, REDUCED[:, 1:3])
