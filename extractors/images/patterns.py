"""Patterns of file names, with braces as webdataset writes them: which texts are one, and what one stands for."""

import re
from pathlib import Path

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.roots import ImageRoot, RemoteRoot

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


_SPECIAL = re.compile(r"[*?\[]|\{\d+\.\.\d+\}")


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
        matches = list(root.glob(expanded))
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
    return root, [archive.relative_to(root).as_posix() for archive in sorted(archives)]


def expand_braces(pattern: str) -> list[str]:
    """Return the names that a shell makes of ranges such as {000..012}: leading zeros keep the width."""
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    first, last = found.groups()
    if int(first) > int(last):
        raise ImageSetError(f"{found.group()}: the range runs backwards; write {{{last}..{first}}}")
    width = max(len(first), len(last)) if "0" in (first[0], last[0]) else 0
    tails = expand_braces(pattern[found.end() :])
    return [
        f"{pattern[: found.start()]}{number:0{width}d}{tail}"
        for number in range(int(first), int(last) + 1)
        for tail in tails
    ]
