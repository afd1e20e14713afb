"""A reduction is scikit-learn's PCA of features at unit length, saved as numbers, and refused where it is damaged."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from headstart.heads.errors import DataError, ModelFileError
from headstart.heads.transfer.reduction import fit_reduction, measure_kept, read_reduction, saved, saved_reduction

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(60, 4)) @ RNG.normal(size=(4, 20)) + 0.1 * RNG.normal(size=(60, 20)) + 1).astype(np.float32)


@pytest.mark.parametrize("n_images", [60, 15], ids=["more images", "more features"])
@pytest.mark.parametrize("whiten", [False, True])
def test_dimensions_are_those_of_pca(n_images: int, whiten: bool) -> None:
    some = X[:n_images]
    reduction = fit_reduction(some, size=5, whiten=whiten)
    pca = PCA(5, whiten=whiten).fit(normalize(some.astype(float)))
    expected = pca.transform(normalize(X.astype(float)))
    if whiten:
        expected *= np.sqrt(n_images / (n_images - 1))  # its spreads are of all images, not of all but one
    found = reduction.apply(X)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-4)
    assert reduction.variance == pytest.approx(pca.explained_variance_ratio_.sum())
    if whiten:
        np.testing.assert_allclose(reduction.apply(some).std(axis=0), 1, rtol=1e-4)


def test_an_image_goes_through_alone_as_it_does_with_others() -> None:
    reduction = fit_reduction(X, size=3)
    np.testing.assert_allclose(reduction.apply(X[7:8]), reduction.apply(X)[7:8], rtol=0, atol=1e-7)


def test_directions_that_do_not_vary_are_not_blown_up() -> None:
    flat = np.concatenate([X, np.zeros((60, 3), np.float32)], axis=1)
    assert fit_reduction(flat[:, :3], size=50, whiten=True).size <= 3
    with pytest.raises(DataError, match="all 5 images have the same features"):
        fit_reduction(np.ones((5, 4)), size=2)
    with pytest.raises(DataError, match="2 images cannot be reduced"):
        fit_reduction(X[:2], size=2)
    with pytest.raises(DataError, match=r"features have shape \(60, 3\), expected \(n_images, 20\)"):
        fit_reduction(X, size=2).apply(X[:, :3])


def test_components_keep_more_neighbours_than_a_random_projection() -> None:
    found = {one.way: one for one in measure_kept(X, np.arange(60), np.arange(60) % 2, size=4)}
    assert found["all features"].neighbours == 1.0
    assert found["pca"].neighbours > found["random projection"].neighbours + 0.1
    assert all(0 <= one.right <= 1 for one in found.values() if one.right is not None)
    assert measure_kept(X[:8], np.arange(8), None, size=2) == []


def test_a_saved_reduction_is_read_as_it_was(tmp_path: Path) -> None:
    for whiten in (False, True):
        reduction = fit_reduction(X, size=3, whiten=whiten)
        for name, content in saved_reduction(reduction, {"tap": "penultimate"}).items():
            (tmp_path / name).write_bytes(content)
        read, about = read_reduction(tmp_path)
        assert about == {"tap": "penultimate"}
        np.testing.assert_array_equal(read.apply(X), reduction.apply(X))
        assert (read.whiten, read.variance) == (whiten, reduction.variance)


def test_what_is_no_reduction_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no transform.json; name a folder that 'headstart reduce' wrote"):
        read_reduction(tmp_path)
    reduction = fit_reduction(X, size=3)
    card, arrays = tmp_path / "transform.json", tmp_path / "transform.safetensors"

    def write(**changed: object) -> None:
        for name, content in saved_reduction(reduction, {}).items():
            (tmp_path / name).write_bytes(content)
        card.write_text(json.dumps(json.loads(card.read_text()) | changed))

    for changed, message in (
        ({"kind": "x"}, "describes no reduction"),
        ({"format": 9}, "format 9, expected 1"),
        ({"sha256": 3}, "'sha256' or 'about' cannot be read"),
        ({"whiten": "no"}, "'whiten' or 'variance' cannot be read"),
        ({"variance": float("nan")}, "'whiten' or 'variance' cannot be read"),
        ({"sha256": "0" * 64}, "damaged"),
    ):
        write(**changed)
        with pytest.raises(ModelFileError, match=message):
            read_reduction(tmp_path)
    card.write_text("[" * 100_000)
    with pytest.raises(ModelFileError, match="is no JSON"):
        read_reduction(tmp_path)
    write()
    arrays.unlink()
    with pytest.raises(ModelFileError, match="no such file; run 'headstart reduce'"):
        read_reduction(tmp_path)
    for broken in (
        replace(reduction, mean=reduction.mean * np.nan),
        replace(reduction, spreads=reduction.spreads * 0),
        replace(reduction, mean=reduction.mean[:4]),
    ):
        for name, content in saved_reduction(broken, {}).items():
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError, match="run 'headstart reduce' on its cache again"):
            read_reduction(tmp_path)


def test_files_that_are_too_large_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in saved_reduction(fit_reduction(X, size=3), {}).items():
        (tmp_path / name).write_bytes(content)
    for limit in ("LARGEST_ARRAYS", "LARGEST_CARD"):
        monkeypatch.setattr(saved, limit, 10)
        with pytest.raises(ModelFileError, match="expected at most 10; not read"):
            read_reduction(tmp_path)
