"""Patterns of file names, with braces as webdataset writes them: which texts are one, and what one stands for."""

import re
from glob import glob
from itertools import product
from math import prod
from pathlib import Path

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.roots import ImageRoot, RemoteRoot, as_listed

MOST_NAMES = 100_000  # of one pattern: shards have hundreds, and each name is looked for
_MOST_DIGITS = 15
_BRACES = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")
_SPECIAL = re.compile(r"[*?\[]|\{[0-9]+\.\.[0-9]+\}")


def is_pattern(source: str) -> bool:
    """Say whether a source is a glob or a brace range and not a plain path."""
    return _SPECIAL.search(source) is not None


def stands_for_several(place: ImageRoot) -> bool:
    """Tell a pattern of addresses or files from an address, or a file whose name only looks like one."""
    return is_pattern(str(place)) and (isinstance(place, RemoteRoot) or not place.exists())


def expand_pattern(pattern: str) -> tuple[Path, list[str]]:
    """Return the folder before the first special character, and the tar files that a glob or brace range stands for.

    Raises
    ------
    ImageSetError
        Nothing matches, a shard of a brace range is missing, a range runs backwards, or a match is no `.tar` file.
    """
    parts = Path(pattern).absolute().parts
    plain = next(number for number, part in enumerate(parts) if is_pattern(part))
    root = Path(*parts[:plain])
    archives: set[Path] = set()
    missing: list[str] = []
    for expanded in expand_braces("/".join(parts[plain:])):
        try:
            matches = list(root.glob(expanded))
        except RecursionError as error:
            raise ImageSetError(f"{pattern[:40]}…: has too many folders; give the folder itself") from error
        archives.update(matches)
        missing.extend([] if matches else [expanded])
    if missing:
        shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise ImageSetError(
            f"{pattern}: {len(missing)} not found in {root} ({shown}); check the pattern, and that all shards are there"
        )
    strangers = sorted(path.name for path in archives if path.suffix.lower() != ".tar" or not path.is_file())
    if strangers:
        raise ImageSetError(
            f"{pattern}: a pattern stands for .tar files, but {strangers[0]} is none; give a folder or a manifest"
        )
    return root, [as_listed(archive.relative_to(root).as_posix()) for archive in sorted(archives)]


def expand_names(pattern: str) -> list[str]:
    """Return the files and folders of this machine that a glob or brace range stands for, sorted, as it writes them.

    Raises
    ------
    ImageSetError
        Nothing matches, or a range is wrong.
    """
    patterns = expand_braces(pattern)
    found = sorted({name for one in patterns for name in glob(one, recursive=True)})  # noqa: PTH207 - it passes over hidden files, as shells do
    if not found:
        raise ImageSetError(f"{pattern}: no file is called so; check the pattern")
    return found


def expand_braces(pattern: str) -> list[str]:
    """Return the names that a shell makes of ranges such as {000..012}: leading zeros keep the width.

    Raises
    ------
    ImageSetError
        A range runs backwards, or there are more than `MOST_NAMES` names, of which none is made then.
    """
    texts = _BRACES.split(pattern)  # what stands between, first and last of a range, in turn
    ranges = [_range(first, last) for first, last in zip(texts[1::3], texts[2::3], strict=True)]
    n_names = prod(len(numbers) for numbers, _ in ranges)
    if n_names > MOST_NAMES:
        raise ImageSetError(f"{pattern}: stands for {n_names} names, over the limit of {MOST_NAMES}; give a folder")
    widths = [width for _, width in ranges]
    return [
        texts[0] + "".join(f"{n:0{width}d}{text}" for n, width, text in zip(chosen, widths, texts[3::3], strict=True))
        for chosen in product(*(numbers for numbers, _ in ranges))
    ]


def _range(first: str, last: str) -> tuple[range, int]:
    """Return the numbers of a brace range, and the width that they are written in."""
    if max(len(first), len(last)) > _MOST_DIGITS:
        raise ImageSetError(f"{{{first[:9]}..{last[:9]}…}}: no files are numbered so far; check the range")
    if int(first) > int(last):
        raise ImageSetError(f"{{{first}..{last}}}: the range runs backwards; write {{{last}..{first}}}")
    width = max(len(first), len(last)) if "0" in (first[0], last[0]) else 0
    return range(int(first), int(last) + 1), width
