"""Brace ranges are counted before they are spread, wherever a pattern is taken."""

from pathlib import Path

import pytest

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.patterns import expand_braces, expand_pattern
from headstart.extractors.images.sources import list_images

LARGE = ["{0..99999999}", "{0..999}{0..999}", "{0..9}" * 40]


@pytest.mark.parametrize("braces", LARGE)
@pytest.mark.parametrize("place", ["{folder}/shard-{braces}.tar", "https://127.0.0.1/shard-{braces}.tar"])
def test_a_range_of_millions_is_refused_unspread(tmp_path: Path, place: str, braces: str) -> None:
    with pytest.raises(ImageSetError, match=r"stands for [0-9]+ names, over the limit of 100000; give a folder"):
        list_images(place.format(folder=tmp_path, braces=braces))


def test_numbers_that_no_file_has_are_refused() -> None:
    with pytest.raises(ImageSetError, match="no files are numbered so far"):
        expand_braces("shard-{0..%s}.tar" % ("9" * 10_000))


def test_what_a_shell_makes_of_ranges() -> None:
    assert expand_braces("a") == ["a"]
    assert expand_braces("{8..11}") == ["8", "9", "10", "11"]
    assert expand_braces("{08..10}-{1..2}x") == [f"{n}-{m}x" for n in ("08", "09", "10") for m in (1, 2)]


def test_a_pattern_of_more_folders_than_there_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageSetError, match="has too many folders"):
        expand_pattern(f"{tmp_path}/{'*/' * 2000}x.tar")
