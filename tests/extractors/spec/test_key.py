"""Any difference that changes the numbers makes another key; nothing else does."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from headstart.extractors.spec.key import LARGEST_SIDE, SMALLEST_SIDE, EmbeddingKey
from headstart.extractors.spec.preprocessing import Preprocessing
from headstart.extractors.spec.views import View

KEY = EmbeddingKey(
    backbone="torchvision/resnet18", weights="sha256:aa", taps=("layer3", "penultimate"), preprocessing=Preprocessing()
)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "torchvision/resnet34"},
        {"weights": "sha256:bb"},
        {"taps": ("penultimate",)},
        {"taps": ("layer3:max", "penultimate")},
        {"preprocessing": Preprocessing(resize=232)},
        {"preprocessing": Preprocessing(resize=(256, 256))},
        {"preprocessing": Preprocessing(crop=(192, 192))},
        {"preprocessing": Preprocessing(interpolation="bicubic")},
        {"preprocessing": Preprocessing(mean=(0.5, 0.5, 0.5))},
        {"preprocessing": Preprocessing(std=(0.5, 0.5, 0.5))},
        {"precision": "bf16"},
        {"dtype": "float16"},
        {"range": (0, 4095)},
        {"colour": "srgb"},
        {"view": View(number=1)},
        {"format_version": 2},
    ],
    ids=str,
)
def test_whatever_changes_the_numbers_changes_the_key(change: dict[str, Any]) -> None:
    assert replace(KEY, **change).id != KEY.id


def test_the_order_of_the_taps_does_not_change_the_key() -> None:
    assert replace(KEY, taps=("penultimate", "layer3", "layer3")).id == KEY.id


def test_a_key_survives_json() -> None:
    assert EmbeddingKey.from_dict(KEY.as_dict()) == KEY


def test_the_id_of_a_key_stays_the_same_between_versions() -> None:
    # A cache would silently be embedded anew if this changed without a change of the format version.
    assert KEY.id == "resnet18-f1e681ecba993d97"


def test_differences_are_named_with_both_values() -> None:
    other = replace(KEY, weights="sha256:bb")
    assert KEY.differences(other) == "weights: sha256:aa here, sha256:bb there"
    assert KEY.differences(KEY) == ""


@dataclass(frozen=True, kw_only=True)
class LaterKey(EmbeddingKey):
    """With a field that another version's keys have not."""

    colours: str = "rgb"


def test_a_range_is_one_key_however_it_is_written_and_survives_json() -> None:
    key = replace(KEY, range=(0, 4095), colour="srgb")
    assert replace(KEY, range=(0.0, 4095.0), colour="srgb") == key == EmbeddingKey.from_dict(key.as_dict())
    assert key.as_dict()["range"] == [0, 4095]
    assert replace(KEY, range=(0, 0.5)).as_dict()["range"] == [0, 0.5]
    assert {"decode", "range", "colour"}.isdisjoint(KEY.as_dict())


def test_a_field_that_one_key_has_not_is_absent_and_only_decoding_is_full_unsaid() -> None:
    later = LaterKey.from_dict(KEY.as_dict())
    assert KEY.differences(later) == "colours: absent here, rgb there"
    assert later.differences(KEY) == "colours: rgb here, absent there"
    assert KEY.differences(replace(KEY, decode="draft")) == "decode: full here, draft there"


def test_a_readable_id_never_leaves_its_folder() -> None:
    assert "/" not in replace(KEY, backbone="my.package:../../build").id


@pytest.mark.parametrize("size", [-1, 0, SMALLEST_SIDE - 1, LARGEST_SIDE + 1, 10**9])
def test_a_size_that_no_network_sees_is_no_key_s(size: int) -> None:
    with pytest.raises(ValueError, match=f"its image_size is {size}, expected 16 to 4096"):
        EmbeddingKey.from_dict(KEY.as_dict() | {"image_size": size})
    assert EmbeddingKey.from_dict(KEY.as_dict() | {"image_size": LARGEST_SIDE}).image_size == LARGEST_SIDE
