"""Views: which there are, and that seed, number and content of an image decide a draw and nothing else."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop

from headstart.extractors.errors import SettingsError
from headstart.extractors.spec import EmbeddingKey, Preprocessing, View, ViewOptions

DIGESTS = [sha256(str(number).encode()).hexdigest() for number in range(400)]
SIZE = (500, 375)
PLAIN = EmbeddingKey(backbone="torchvision/resnet18", weights="sha256:1", taps=("a",), preprocessing=Preprocessing())


def test_a_draw_is_the_same_wherever_and_whenever_it_is_made() -> None:
    draw = View(number=2, seed=7).draw(DIGESTS[0], SIZE)
    assert (draw.box, draw.flip) == ((17, 82, 356, 417), False)
    order, values = zip(*draw.jitter, strict=True)
    assert order == ("saturation", "brightness", "contrast", "hue")
    assert values == pytest.approx((0.949608319, 1.007811660, 0.947963873, -0.043733243), abs=1e-9)


@pytest.mark.parametrize("other", [{"number": 3}, {"seed": 8}])
def test_another_number_seed_or_image_is_another_draw(other: dict[str, int]) -> None:
    view = View(number=2, seed=7)
    draws = {view.draw(digest, SIZE) for digest in DIGESTS}
    assert len(draws) == len(DIGESTS)
    assert replace(view, **other).draw(DIGESTS[0], SIZE) not in draws


def test_the_first_views_are_the_same_however_many_there_are() -> None:
    assert ViewOptions(views=8, view_seed=3).drawn[:3] == ViewOptions(views=4, view_seed=3).drawn
    assert ViewOptions().drawn == []
    with pytest.raises(SettingsError, match="views is 0, expected at least 1"):
        _ = ViewOptions(views=0).drawn


@pytest.mark.parametrize("size", [(500, 375), (40, 48), (1, 1), (3000, 2), (2, 3000)])
def test_what_is_cut_out_lies_in_the_image(size: tuple[int, int]) -> None:
    for digest in DIGESTS:
        top, left, height, width = View(number=1).draw(digest, size).box or (-1, -1, -1, -1)
        assert 0 <= top < top + height <= size[1]
        assert 0 <= left < left + width <= size[0]


def test_crops_flips_and_colours_are_spread_as_asked() -> None:
    draws = [View(number=1, crop=0.5, flip=0.25, jitter=0.4).draw(digest, SIZE) for digest in DIGESTS]
    boxes = np.array([draw.box for draw in draws])
    torch.manual_seed(0)
    photo = torch.empty(3, SIZE[1], SIZE[0])
    stock = np.array([RandomResizedCrop.get_params(photo, [0.5, 1.0], [3 / 4, 4 / 3]) for _ in range(2000)])
    assert (boxes[:, 2] * boxes[:, 3]).min() > 0.49 * SIZE[0] * SIZE[1]
    np.testing.assert_allclose(boxes.mean(axis=0), stock.mean(axis=0), atol=6)
    np.testing.assert_allclose(boxes.std(axis=0), stock.std(axis=0), atol=5)
    assert np.mean([draw.flip for draw in draws]) == pytest.approx(0.25, abs=0.05)
    brightness = [dict(draw.jitter)["brightness"] for draw in draws]
    assert (min(brightness), max(brightness)) == (pytest.approx(0.6, abs=0.02), pytest.approx(1.4, abs=0.02))
    assert max(abs(dict(draw.jitter)["hue"]) for draw in draws) == pytest.approx(0.1, abs=0.01)
    assert len({tuple(name for name, _ in draw.jitter) for draw in draws}) == 24


def test_each_part_of_an_augmentation_can_be_left_out() -> None:
    none = View(number=1, crop=1, flip=0, jitter=0).draw(DIGESTS[0], SIZE)
    assert (none.box, none.flip, none.jitter) == (None, False, ())


@pytest.mark.parametrize(
    "wrong", [{"number": 0}, {"seed": -1}, {"crop": 0.0}, {"crop": 1.5}, {"flip": 1.1}, {"jitter": 1.0}]
)
def test_a_value_out_of_its_range_is_told(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="expected a seed of at least 0, a crop above 0"):
        View(**{"number": 1, **wrong})  # type: ignore[arg-type]  # that is the point


def test_a_view_has_a_key_of_its_own_that_reads_back() -> None:
    keys = [replace(PLAIN, view=View(number=number, seed=seed)) for number in (1, 2) for seed in (0, 1)]
    assert len({key.id for key in [PLAIN, *keys]}) == 5
    assert EmbeddingKey.from_dict(keys[0].as_dict()) == keys[0]
    assert keys[0].title == "resnet18, view 1"


def test_whole_numbers_are_the_same_view_however_they_are_written() -> None:
    whole, real = View(number=1, crop=1, flip=0, jitter=0), View(number=1, crop=1.0, flip=0.0, jitter=0.0)
    assert replace(PLAIN, view=whole).id == replace(PLAIN, view=real).id


def test_a_key_without_views_is_called_as_before() -> None:
    assert PLAIN.as_dict()["view"] == "whole"
    assert PLAIN.id == "resnet18-6ebe5d3853689853"


@pytest.mark.parametrize("view", ["half", {"number": 1, "zoom": 2}, {"number": "1"}, {"number": 1, "crop": 7.0}, 3])
def test_a_view_that_a_file_claims_is_checked(view: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        EmbeddingKey.from_dict(PLAIN.as_dict() | {"view": view})
