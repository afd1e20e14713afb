"""From a cache to arrays: labels, classes, groups, and the keys that cover the images."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import draw

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import ImageSetError
from headstart.flows.errors import JobError
from headstart.flows.problem.problem import Problem, pose_problem, unite_groups

Embed = Callable[..., Any]


def pose(embed: Embed, options: dict[str, Any] | None = None, **extract: Any) -> Problem:
    return pose_problem(EmbeddingCache(embed(**extract).cache), **(options or {}))


def manifest(folder: Path, table: dict[str, list[Any]]) -> Path:
    path = folder / "labels.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    return path


def test_folders_give_sorted_classes_and_rows_in_the_listing_s_order(embed: Embed) -> None:
    problem = pose(embed)
    assert problem.class_names == ["cat", "dog", "owl"]
    assert problem.y.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    assert problem.split is None
    assert problem.images.paths([12]) == ["dog/00.png"]
    assert problem.name == "cache"


def test_groups_unite_copies_and_named_groups_along_whole_chains() -> None:
    digests = pd.Series(["a", "a", "b", "c", "c", "d"])
    groups = pd.Series([None, "film", "film", "zoo", None, None])
    # A copy of an image of the film belongs to the film; numbers are given as they first appear.
    assert unite_groups(digests, groups).tolist() == [0, 0, 0, 1, 1, 2]
    assert unite_groups(digests[::-1], groups[::-1]).tolist() == [0, 1, 1, 2, 2, 2]
    assert unite_groups(digests, groups.map(lambda _: None)).tolist() == [0, 0, 1, 2, 2, 3]


def test_copies_of_an_image_share_a_group(embed: Embed, photos: Path) -> None:
    shutil.copy(photos / "cat" / "00.png", photos / "cat" / "zz.png")
    problem = pose(embed)
    paths = problem.images.paths(range(37))
    assert problem.groups[paths.index("cat/00.png")] == problem.groups[paths.index("cat/zz.png")]
    assert len(np.unique(problem.groups)) == 36


def test_images_without_labels_need_a_labels_file(embed: Embed, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    for number in range(4):
        draw(flat / f"{number}.png", number % 2, seed=number)
    with pytest.raises(
        JobError, match=r"the images have no labels; give them with --labels FILE \(columns 'path' and 'label'\)"
    ):
        pose(embed, images=flat)
    labels = manifest(tmp_path, {"path": ["0.png", "1.png", "3.png", "9.png"], "label": ["x", "y", "y", "x"]})
    problem = pose(embed, {"labels": labels}, images=flat)
    assert problem.images.paths(range(3)) == ["0.png", "1.png", "3.png"]
    assert problem.y.tolist() == [0, 1, 1]
    assert problem.notes == [
        f"1 of 4 paths in {labels} are not among the images, first 9.png",
        "1 of 4 images have no label and are left out",
    ]


def test_a_labels_file_of_other_images_shows_how_paths_are_written(embed: Embed, tmp_path: Path) -> None:
    labels = manifest(tmp_path, {"path": ["nowhere.png"], "label": ["x"]})
    with pytest.raises(JobError, match=r"none of its 1 paths is among the images .*for instance cat/00\.png"):
        pose(embed, {"labels": labels})


def test_a_labels_file_without_paths_is_refused(embed: Embed, tmp_path: Path) -> None:
    labels = manifest(tmp_path, {"file": ["cat/00.png"], "label": ["x"]})
    with pytest.raises(ImageSetError, match="no column `path`"):
        pose(embed, {"labels": labels})


def test_absolute_paths_in_a_labels_file_are_understood(embed: Embed, photos: Path, tmp_path: Path) -> None:
    paths = [str(path) for path in sorted(photos.rglob("*.png"))]
    labels = manifest(tmp_path, {"path": paths, "colour": ["red", "blue"] * 18})
    assert pose(embed, {"labels": labels}).class_names == ["blue", "red"]


def test_one_of_several_label_columns_must_be_named(embed: Embed, photos: Path, tmp_path: Path) -> None:
    paths = [str(path.relative_to(photos)) for path in sorted(photos.rglob("*.png"))]
    labels = manifest(tmp_path, {"path": paths, "size": ["s", "l"] * 18, "colour": ["red", "blue", "red"] * 12})
    with pytest.raises(JobError, match=r"which of the label columns is meant.*--target size or --target colour"):
        pose(embed, {"labels": labels})
    assert pose(embed, {"labels": labels, "target": "size"}).class_names == ["l", "s"]
    with pytest.raises(JobError, match="no label column 'weight'; there are size, colour"):
        pose(embed, {"labels": labels, "target": "weight"})


def test_whole_numbers_are_classes_and_measurements_are_numbers(embed: Embed, photos: Path, tmp_path: Path) -> None:
    paths = [str(path.relative_to(photos)) for path in sorted(photos.rglob("*.png"))]
    labels = manifest(tmp_path, {"path": paths, "count": [2, 10, 1] * 12, "weight": [0.5, 1.25, 2.0] * 12})
    assert pose(embed, {"labels": labels, "target": "count"}).class_names == ["1", "2", "10"]
    problem = pose(embed, {"labels": labels, "target": "weight"})
    assert (problem.task, problem.class_names) == ("regress", [])
    assert problem.y.tolist() == [0.5, 1.25, 2.0] * 12
    (note,) = problem.notes
    assert note.startswith("target 'weight' holds 3 different numbers, with a fraction: heads predict the number")
    assert note.endswith("(--task classify: classes)")


def test_large_numbers_and_years_keep_their_digits(embed: Embed, photos: Path, tmp_path: Path) -> None:
    paths = [str(path.relative_to(photos)) for path in sorted(photos.rglob("*.png"))]
    labels = manifest(tmp_path, {"path": paths, "taxon": [1234567, 1234568] * 18})
    assert pose(embed, {"labels": labels, "target": "taxon"}).class_names == ["1234567", "1234568"]


def test_copies_with_different_labels_are_noted(embed: Embed, photos: Path) -> None:
    shutil.copy(photos / "cat" / "00.png", photos / "dog" / "zz.png")
    assert pose(embed).notes == ["2 images have copies with another label, first cat/00.png"]


def test_only_the_keys_asked_for_take_part(embed: Embed) -> None:
    embed(backbone="pixels", weights="default")
    (key,) = embed().keys
    assert [embedded.store.key.id for embedded in pose(embed, {"keys": [key.id]}).embedded] == [key.id]


def test_a_key_that_lacks_images_is_left_out_with_a_note(embed: Embed, photos: Path) -> None:
    embed(backbone="pixels", weights="default")
    draw(photos / "cat" / "new.png", 0, seed=900)
    problem = pose(embed)
    assert [embedded.backbone for embedded in problem.embedded] == ["headstart/small_cnn"]
    (note,) = problem.notes
    assert note.startswith("pixels-")
    assert note.endswith("lacks 1 of 37 images and is left out; run 'headstart extract' again")


def test_without_a_complete_key_nothing_can_be_fitted(embed: Embed) -> None:
    cache = EmbeddingCache(embed().cache)
    shutil.rmtree(cache.stores()[0].path)
    with pytest.raises(JobError, match="no embeddings of any backbone; the cache has none"):
        pose_problem(cache)


def test_only_the_backbones_asked_for_take_part(embed: Embed) -> None:
    embed(backbone="pixels", weights="default")
    problem = pose(embed, {"backbone": ["pixels"]})
    assert [embedded.backbone for embedded in problem.embedded] == ["headstart/pixels"]
    with pytest.raises(
        JobError, match=r"no embeddings of resnet50; the cache has headstart/pixels, headstart/small_cnn"
    ):
        pose(embed, {"backbone": ["resnet50"]})
    with pytest.raises(JobError, match=r"no embeddings of pixel; the cache has headstart/pixels"):
        pose(embed, {"backbone": ["pixels", "pixel"]})


def test_keys_of_one_backbone_are_told_apart_by_their_weights(embed: Embed, tmp_path: Path) -> None:
    from headstart.extractors.backbones.registry import load_backbone
    from headstart.extractors.pretraining.supervised import save_encoder

    save_encoder(load_backbone("small_cnn", weights="none", seed=5).module, tmp_path / "mine.safetensors")
    embed()
    problem = pose(embed, weights=str(tmp_path / "mine.safetensors"))
    assert sorted(embedded.label for embedded in problem.embedded) == ["small_cnn (mine)", "small_cnn (random, seed 0)"]


def test_splits_and_groups_of_a_labels_file_count(embed: Embed, photos: Path, tmp_path: Path) -> None:
    paths = [str(path.relative_to(photos)) for path in sorted(photos.rglob("*.png"))]
    labels = manifest(
        tmp_path,
        {
            "path": paths,
            "label": ["a", "b"] * 18,
            "split": ["train"] * 30 + ["test"] * 6,
            "group": ["g"] * 2 + [""] * 34,
        },
    )
    problem = pose(embed, {"labels": labels})
    assert problem.split is not None
    assert problem.split.tolist() == ["train"] * 30 + ["test"] * 6
    assert problem.groups[0] == problem.groups[1]
    assert len(np.unique(problem.groups)) == 35
