"""The first folders of an image set as splits or as classes, and folders that hold no images of it at all."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Literal

from headstart.extractors.errors import ImageSetError

Layout = Literal["classes", "splits"]

# What file servers and desktops leave beside the images: thumbnails, recycle bins, resource forks.
_LITTER = {
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "@eadir",
    "@recently-snapshot",
    "@recycle",
    "@sharebin",
    "@tmp",
    "__macosx",
    "found.000",
    "lost+found",
    "network trash folder",
    "recycler",
    "system volume information",
    "temporary items",
}
_DRAWN = {"annotation", "annotations", "ground_truth", "groundtruth", "gt", "label", "labels", "mask", "masks"} | {
    "segmentation",
    "segmentations",
}
_DRAWING = re.compile(r"annot|ground.?truth|label|mask|segment|(?<![a-z])(gt|seg)(?![a-z])")
_PHOTOGRAPHED = re.compile(r"image|photo|picture|(?<![a-z])(imgs?|rgb|originals?|inputs?|frames?)(?![a-z])")
_DRAWN_STEM = re.compile(r"[\W_]*(annotations?|ground_?truth|gt|labels?|masks?|segm?(entations?)?)$")
_SPLIT_WORDS = {"train": "train", "training": "train"}
_SPLIT_WORDS |= dict.fromkeys(("validation", "valid", "val", "dev"), "val")
_SPLIT_WORDS |= dict.fromkeys(("test", "testing", "eval", "evaluation"), "test")
_NO_LETTERS = re.compile(r"[\W\d_]+")
_MOSTLY = 0.5  # of the names of one folder, from which on the other holds something about the same images


def split_of(text: str) -> str | None:
    """Return the split that a text names, as train, val or test; None where it names none, or more than one.

    It has the word of a split among its words, which anything but letters separates, in any case: ``Training``,
    ``test1``, ``training_set``. The words are those that the Hugging Face hub looks for in the names of files.
    """
    found = {_SPLIT_WORDS[word] for word in _NO_LETTERS.split(text.lower()) if word in _SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None


def _nearly_split_of(text: str) -> str | None:
    """Return the split that a name could mean in which its word is not delimited, such as TrainSet or testdata."""
    begun = {split for word, split in _SPLIT_WORDS.items() if len(word) > 3 and _glued(text.lower(), word)}
    return split_of(text) or (begun.pop() if len(begun) == 1 else None)


def _glued(text: str, word: str) -> bool:
    return text.startswith(word) or text.endswith(word)


def is_litter(folder: str) -> bool:
    """Tell a folder of thumbnails or deleted files by its name; what is in it is passed over."""
    return folder.lower() in _LITTER


def split_folders(paths: Iterable[str], layout: Layout | None = None, where: object = "") -> Mapping[str, str]:
    """Return first folder → split where the first folders are splits, or {} where they are classes.

    They are splits where all of them are called so, where two are called different splits, or where one is that has
    folders of its own. One that has none, among others, is a class: a train is a thing to photograph, too.

    Parameters
    ----------
    paths : iterable of str
        Of all images, relative to the folder.
    layout : {"classes", "splits"}, optional
        What a person has said.
    where : object
        The folder, for messages.

    Raises
    ------
    ImageSetError
        It is not clear which, one folder holds masks or annotations of another, or no folder is called a split where
        `layout` says so.
    """
    if layout == "classes":
        return {}
    below: dict[str, set[str]] = {}
    folders: dict[str, set[str]] = {}
    for path in paths:
        first, slash, rest = path.partition("/")
        if slash:
            below.setdefault(first, set()).add(str(PurePosixPath(rest).with_suffix("")))
            folders.setdefault(first, set()).update({rest.partition("/")[0]} if "/" in rest else set())
    splits = {name: split for name in below if (split := split_of(name))}
    nearly = {name: split for name in below if (split := _nearly_split_of(name))}
    if layout == "splits":
        splits = nearly
        if not splits:
            raise ImageSetError(
                f"{where}: none of its folders is called a split ({_named(below)}); call them train, val and test, or "
                "give a manifest with a column `split`"
            )
        return splits
    _refuse_masks(below, where)
    _refuse_doubt(splits, folders, where)
    if not splits and len(nearly) == len(below) and len(set(nearly.values())) > 1:
        raise ImageSetError(
            f"{where}: {_named(nearly)} look like splits ({_named(set(nearly.values()))}) and are not quite called so; "
            "say --layout splits, or --layout classes, or call them train, val and test"
        )
    company = len(set(splits.values())) > 1 or len(splits) == len(below)
    if not company and not any(folders[name] for name in splits):
        return {}
    _refuse_masks(_without_splits(below, splits), where)
    return splits


def _without_splits(below: Mapping[str, set[str]], splits: Mapping[str, str]) -> dict[str, set[str]]:
    """Names in the folders below the splits, all splits together."""
    inside: dict[str, set[str]] = {}
    for split in splits:
        for path in below[split]:
            first, slash, rest = path.partition("/")
            if slash:
                inside.setdefault(first, set()).add(f"{split}/{rest}")
    return inside


def _refuse_masks(below: Mapping[str, set[str]], where: object) -> None:
    for drawn in (name for name in below if _DRAWING.search(name.lower())):
        stems = {_DRAWN_STEM.sub("", path.lower()) for path in below[drawn]}
        for photographs in (name for name in below if name != drawn):
            # People with masks and people without are two classes: those are called otherwise than photographs.
            if drawn.lower() not in _DRAWN and not _PHOTOGRAPHED.search(photographs.lower()):
                continue
            if len(stems & {path.lower() for path in below[photographs]}) > _MOSTLY * len(stems):
                raise ImageSetError(
                    f"{where}: {drawn} holds files of the same names as {photographs}, as masks or annotations of "
                    f"photographs do; give the folder {photographs} alone, a manifest, or say --layout classes if "
                    "these are two classes"
                )


def _refuse_doubt(splits: Mapping[str, str], folders: Mapping[str, set[str]], where: object) -> None:
    """Refuse one split beside a folder of another name that has the same classes: it could be meant as another split.

    Two folders that are called different splits settle it, and what lies beside them has no split.
    """
    if len(set(splits.values())) != 1:
        return
    (split,) = set(splits.values())
    alike = [name for name in folders if name not in splits and any(folders[name] & folders[one] for one in splits)]
    if alike:
        raise ImageSetError(
            f"{where}: {_named(splits)} is called a split ({split}), and {_named(alike)} has the same folders and is "
            "not; rename it to train, val or test, or say --layout classes or --layout splits, or give a manifest"
        )


def _named(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:5]) + (f", … ({len(listed)})" if len(listed) > 5 else "")
