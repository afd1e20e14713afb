"""Folders that are no cache, or a cache without anything in it."""

from contextlib import ExitStack, suppress
from difflib import get_close_matches
from pathlib import Path

from filelock import FileLock


def advise(path: Path, marker: str) -> str:
    """Say what is meant by a folder that is no cache: one beside it, images to embed, or one that is to be made.

    Parameters
    ----------
    path : Path
    marker : str
        Name of the file that makes a folder a cache.
    """
    beside = path.with_name(f"{path.name}.headstart")
    if (beside / marker).is_file():
        return f"the one of these images is {beside}"
    caches = [one.parent.name for one in path.absolute().parent.glob(f"*/{marker}")]
    if near := get_close_matches(path.name, caches, n=1, cutoff=0.7):
        return f"did you mean {path.with_name(near[0])}?"
    if path.exists():
        return f"if these are images, embed them first: 'headstart extract {path} --backbone NAME' makes {beside.name}"
    return f"make one with 'headstart extract IMAGES --cache {path}'"


def remove_if_empty(path: Path, marker: str = "cache.json") -> None:
    """Remove a cache in which nothing was listed or embedded, as a command that failed leaves it.

    One that another process has in hand, as a lock shows, is left.
    """
    with ExitStack() as held, suppress(OSError):  # of which one is that another process has just put something there
        for file in path.glob("*.lock"):
            held.enter_context(FileLock(file, timeout=0))
        names = [found.name for found in path.iterdir()]
        if all(name == marker or name.endswith(".lock") for name in names):
            for name in names:
                (path / name).unlink()
            path.rmdir()
