"""Names of images that are no paths as they stand: with the separators of Windows, or without folder or suffix."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from headstart.extractors.images import IMAGE_SUFFIXES, is_hidden, is_litter, is_url


def with_slashes(paths: Sequence[str], missing: Callable[[str], bool], notes: list[str]) -> list[str]:
    r"""Return paths with slashes where they were written on Windows (a\b.jpg) and name nothing as they stand."""
    written = [path for path in paths if "\\" in path and not is_url(path) and missing(path)]
    changed = {path: str(PurePosixPath(path.replace("\\", "/"))) for path in written}
    if changed:
        path, new = next(iter(changed.items()))
        notes.append(f"{len(changed)} paths have the separators of Windows and were read with slashes: {path} is {new}")
    return [changed.get(path, path) for path in paths]


def files_below(root: Path) -> Iterator[str]:
    """Yield the images below a folder, but for those in hidden ones and in rubbish."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not (is_hidden(name) or is_litter(name))]
        for name in files:
            if name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name):
                yield str(Path(folder, name).relative_to(root))


def find_places(names: Sequence[str], files: Iterable[str], notes: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the one file that each name stands for, and reasons for names that stand for several.

    A name is a path without its suffix, or a file's name without folders, with its suffix or without. A name that
    stands for nothing comes back as it is.

    Parameters
    ----------
    names : sequence of str
        None of them a file's path.
    files : iterable of str
        Paths of all images that may be meant.
    notes : list of str
        Told, where any was found.
    """
    known: dict[str, dict[str, None]] = {}
    for file in files:
        whole = PurePosixPath(file)
        for key in {str(whole.with_suffix("")), whole.name, whole.stem}:
            known.setdefault(key, {})[file] = None
    places, several = list(names), {}
    for number, name in enumerate(names):
        found = list(known.get(name, ()))
        if len(found) == 1:
            places[number] = found[0]
        elif found:
            several[name] = f"several files are called so: {', '.join(found[:3])}{', …' if len(found) > 3 else ''}"
    resolved = [(name, place) for name, place in zip(names, places, strict=True) if name != place]
    if resolved:
        name, place = resolved[0]
        notes.append(f"{len(resolved)} names without folder or suffix were found below: {name} is {place}")
    if several:
        notes.append(f"{len(several)} names stand for several files, first {next(iter(several))}")
    return places, several
