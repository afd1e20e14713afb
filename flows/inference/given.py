"""Images as people give them: a place of any kind, several, or pixels at hand; they become image sets, in order."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images import (
    ImageSet,
    count_by_suffix,
    displayable,
    expand_names,
    has_own_scheme,
    is_image_name,
    is_pattern,
    is_url,
    list_files,
    list_images,
    parse_root,
    place_named,
    place_of,
    source_at,
    split_place,
)
from headstart.flows.inference.pixels import encoded_pixels, in_memory


@dataclass(frozen=True)
class Given:
    """Part of what was given: an image set, and what its images are called in answers, one name a row."""

    images: ImageSet
    names: list[str]


def images_given(images: Any, folder: Path) -> list[Given]:
    """Return the given images as image sets, in order.

    Parameters
    ----------
    images : path-like, bytes, PIL image, array, or several of these
        A path is a single file, whatever it is called, a glob, or what `extractors.images.sources.list_images` takes.
        Of arrays see `flows.inference.pixels.encoded_pixels`.
    folder : Path
        Takes what lies in no file yet.

    Raises
    ------
    ImageSetError
        Nothing was given, the only place given is not there, or a folder, archive or pattern holds no images.
    JobError
        Something is no image.
    """
    places: list[tuple[str, str]] = []  # and what it is called
    for number, one in enumerate(in_memory(images)):
        if isinstance(one, str | os.PathLike):
            places += [(place, displayable(place)) for place in _spread(os.fspath(one))]
            continue
        data, name = encoded_pixels(one, number)
        (folder / f"{number}").write_bytes(data)
        places.append((str(folder / f"{number}"), name))
    if not places:
        raise ImageSetError("no image was given; name a file, a folder or a pattern")
    given: list[Given] = []
    files: list[tuple[str, str]] = []
    for place, name in places:
        if _is_single(place, alone=len(places) == 1):
            files.append((place, name))
            continue
        given += _as_files(files)
        files = []
        given.append(_as_set(place, alone=len(places) == 1))
    return given + _as_files(files)


def notes_on(given: Iterable[Given]) -> list[str]:
    """Say how many files of the folders and archives given are no images, if any."""
    ignored: dict[str, int] = {}
    for part in given:
        for suffix, n_files in part.images.ignored.items():
            ignored[suffix] = ignored.get(suffix, 0) + n_files
    counted = f"passed over {sum(ignored.values())} files that are no images ({count_by_suffix(ignored)})"
    return [counted] if ignored else []


def _spread(place: str) -> list[str]:
    """Return the files that a pattern stands for; one of tar shards is an image set by itself."""
    plain = is_url(place) or not is_pattern(place) or place.lower().endswith(".tar")
    return [place] if plain or _is_there(place) else expand_names(str(Path(place).expanduser()))


def _is_there(place: str) -> bool:
    return os.path.lexists(Path(place).expanduser())


def _is_single(place: str, *, alone: bool) -> bool:
    """Tell a single file, or what is not there, from a place that is listed."""
    if is_url(place):
        return is_image_name(place) and not has_own_scheme(place)
    try:
        source_at(place_named(place))
    except ImageSetError:
        if alone and not _is_there(place):
            raise
        return True
    return False


def _as_files(files: list[tuple[str, str]]) -> list[Given]:
    if not files:
        return []
    places = [place if is_url(place) else str(Path(place).expanduser()) for place, _ in files]
    return [Given(list_files(places), [name for _, name in files])]


def _as_set(place: str, *, alone: bool) -> Given:
    there = place_named(place)
    # No label or split of theirs is looked at, so that folders of any names will do.
    found = list_images(place, layout="classes" if source_at(there).lays_out else None)
    paths: list[str] = found.rows["path"].tolist()
    if not alone:  # two folders may hold files of the same names
        above = parse_root(place.rstrip("/")) if is_url(place) else Path(place)
        above = above if found.root == there else split_place(above)[0]
        paths = [displayable(place_of(above, path)) for path in paths]
    return Given(found, paths)
