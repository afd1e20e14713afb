"""Remarks on images that were decoded: nothing was wrong with them, and a person should know of it all the same."""

import json
import os
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from headstart.extractors.arrays import Array
from headstart.extractors.atomic import write_atomically

Remark = Literal["pages", "beyond", "dark", "profile", "one value", "equal"]

_FILE = "remarks.json"
_MOST = 0.9  # of the pixels: a drawing on white has fewer of its paper
_EVERY = 8  # pixel of a row and of a column is looked at first
_KEPT = 10_000  # images of a remark that are named; more say nothing new
_WORDS: dict[Remark, str] = {
    "pages": "{count} with several pages or frames ({first}): the first is taken",
    "beyond": "{count} with values beyond the range ({first}), which become black or white; --range LOW HIGH sets "
    "another",
    "dark": "{count} of more than 8 bits with values in the lowest eighth of their type ({first}), nearly black; "
    "--range LOW HIGH says what is white",
    "profile": "{count} with another colour profile than sRGB ({first}), taken as stored; --colour srgb converts them",
    "one value": "{count} of which nine tenths and more are one colour ({first}); look whether that is the picture",
    "equal": "{count} with features that another, different image has, too ({first}); look at both",
}


class Remarks:
    """Images by what is to be said of them, filled by many threads.

    Parameters
    ----------
    found : mapping of str to collection of str, optional
        Digests (hex) by remark, to begin with.
    """

    def __init__(self, found: Mapping[str, Collection[str]] | None = None) -> None:
        self._lock = threading.Lock()
        self._found: dict[Remark, set[str]] = {}
        self.update(found or {})

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Remarks that were kept beside the rows of a key; none where the file is missing or damaged."""
        try:
            return cls(json.loads((folder / _FILE).read_bytes()))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return cls()

    def write(self, folder: Path) -> None:
        """Keep it beside the rows of a key, for whoever fits on them."""
        if self._found and os.access(folder, os.W_OK):
            write_atomically(folder / _FILE, json.dumps(self.as_dict()).encode())

    def add(self, remark: Remark, digests: Iterable[str]) -> None:
        """Say something of images."""
        with self._lock:
            held = self._found.setdefault(remark, set())
            held.update(digest for digest in digests if len(held) < _KEPT)

    def update(self, found: Mapping[str, Collection[str]]) -> None:
        """Take up what another process found; what is no remark is left out."""
        for remark in get_args(Remark):
            if remark in found:
                self.add(remark, found[remark])

    def as_dict(self) -> dict[str, list[str]]:
        """Return plain JSON values."""
        with self._lock:
            return {remark: sorted(digests) for remark, digests in self._found.items() if digests}

    def notes(
        self, paths: Mapping[str, str], *, leave_out: Collection[Remark] = (), settled: bool = False
    ) -> list[str]:
        """Say what was found of images, given by their digests, with the first of each as an example.

        Where range and colour are `settled`, as by a model, options that change them are not advised.
        """
        notes = []
        for remark, words in _WORDS.items():
            named = sorted(paths[digest] for digest in self._found.get(remark, ()) if digest in paths)
            if named and remark not in leave_out:
                at_least = "at least " if len(named) >= _KEPT else ""
                count = f"{at_least}{len(named)} image{'s' * (len(named) != 1)}"
                shown = words.partition("; --")[0] if settled else words
                notes.append(shown.format(count=count, first=named[0]))
        return notes


def is_one_value(pixels: npt.NDArray[np.uint8]) -> bool:
    """Tell whether nearly all of (height, width, 3) has one colour: black, mostly, of what was read wrongly."""
    few = pixels[::_EVERY, ::_EVERY].reshape(-1, 3)
    if np.bincount(few[:, 1]).max() < _MOST * len(few):  # as nearly always
        return False
    common = [np.bincount(few[:, channel]).argmax() for channel in range(3)]
    return bool((pixels == common).all(axis=-1).mean() >= _MOST)


def find_equal(parts: Iterable[Array]) -> npt.NDArray[np.bool_]:
    """Tell which rows of features are the very same as another one, over all blocks (n_rows, …) in their order."""
    rows = [hash(row.tobytes()) for part in parts for row in part]
    times = Counter(rows)
    return np.array([times[row] > 1 for row in rows], bool)
