"""Episodes are drawn evenly, and no two images of one are copies or of one group."""

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.transfer.episodes import draw_episodes, one_class_a_group

Y = np.repeat(np.arange(5), [30, 30, 30, 30, 6])
GROUPS = np.concatenate([np.repeat(np.arange(60), 2), np.arange(60, 66)])


def test_an_episode_has_its_classes_shots_and_queries_of_groups_of_their_own() -> None:
    drawn = draw_episodes(Y, GROUPS, ways=3, shots=(5, 1, 1), queries=4, count=200, seed=3)
    assert (drawn.images.shape, drawn.shots, drawn.queries) == ((200, 3, 9), (1, 5), 4)
    assert drawn.eligible.tolist() == [0, 1, 2, 3]  # of the fifth there are six images, and nine are needed
    for classes, images in zip(drawn.classes, drawn.images, strict=True):
        assert len(set(classes.tolist())) == 3
        assert (Y[images] == classes[:, None]).all()
        assert len(set(GROUPS[images].ravel().tolist())) == images.size


def test_each_class_and_each_image_comes_about_as_often() -> None:
    drawn = draw_episodes(Y, GROUPS, ways=2, shots=(1,), queries=2, count=4000)
    of_class = np.bincount(drawn.classes.ravel(), minlength=5) / 4000
    np.testing.assert_allclose(of_class, 2 / 5, atol=0.04)
    as_shot = np.bincount(drawn.images[:, :, 0].ravel(), minlength=120)[:120]
    np.testing.assert_allclose(as_shot / as_shot.mean(), 1, atol=0.5)


def test_the_same_seed_draws_the_same_and_another_others() -> None:
    first, again, other = (draw_episodes(Y, GROUPS, ways=2, shots=(1,), queries=2, count=9, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.images != other.images).any()


def test_too_few_images_are_told_with_what_there_is() -> None:
    with pytest.raises(
        DataError, match=r"5 ways of 3 shots and 4 queries need 5 classes with 7 .* found 4 .*15, 15, 15"
    ):
        draw_episodes(Y, GROUPS, ways=5, shots=(1, 3), queries=4, count=9)
    with pytest.raises(DataError, match="give two ways, one shot, one query and two episodes, or more"):
        draw_episodes(Y, GROUPS, ways=2, shots=(), queries=1, count=9)


def test_of_a_group_of_several_classes_the_commonest_is_kept() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2])
    assert one_class_a_group(np.array([1, 2, 2, 3, 1, 0]), groups).tolist() == [False, True, True, False, True, True]
