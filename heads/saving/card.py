"""The card of a saved model, `model.json`: what it must hold, and reading it from a place that is not trusted."""

import json
import stat
from pathlib import Path
from typing import Any

from headstart.heads.errors import ModelFileError
from headstart.heads.scoring import Decision

FORMAT_VERSION = 1
CARD_FILE = "model.json"
LARGEST_CARD = 16_000_000  # bytes

CARD_FIELDS: dict[str, type] = {
    "format_version": int,
    "class_names": list,
    "head": str,
    "params": dict,
    "embedding": dict,
    "tap": str,
    "weights_name": str,
    "weights_source": str,
    "scores": dict,
    "versions": dict,
    "sha256": str,
}
"""Fields that `model.json` must hold, each with its JSON type; whatever else stands there is kept."""

EMBEDDING_FIELDS: dict[str, type] = {
    "backbone": str,
    "weights": str,
    "taps": list,
    "preprocessing": dict,
    "precision": str,
    "dtype": str,
}
"""Fields that the card's `embedding` must hold, each with its JSON type."""


Card = dict[str, Any]
"""Values of `model.json`, as JSON reads them."""


def read_card(path: Path) -> Card:
    """Read and check a card.

    Raises
    ------
    ModelFileError
        It is missing, damaged, too large, of another format version, or lacks a field.
    """
    try:
        card = json.loads(read_bytes(path, LARGEST_CARD).decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelFileError(f"{path}: no such file; give a folder that 'headstart fit' wrote") from error
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: damaged, it is not JSON ({error}); copy or save the model again") from error
    if not isinstance(card, dict):
        raise ModelFileError(f"{path}: holds a {type(card).__name__}, expected an object; save the model again")
    found = card.get("format_version")
    if found != FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: format version {found!r}, expected {FORMAT_VERSION}; fit again, or load it with the version that "
            "wrote it"
        )
    check_card(card, path)
    return card


def check_card(card: Card, where: Path) -> None:
    """Check that a card holds every field, of its type, and a name of its own for each class, or none for numbers.

    Raises
    ------
    ModelFileError
        It does not.
    """
    _check_fields(card, CARD_FIELDS, "the card", where)
    _check_fields(card["embedding"], EMBEDDING_FIELDS, "the card's 'embedding'", where)
    if card["tap"] not in card["embedding"]["taps"]:
        raise ModelFileError(f"{where}: 'tap' is {card['tap']!r}, expected one of {card['embedding']['taps']!r}")
    names, task = card["class_names"], card.get("task", "classify")
    if task not in ("classify", "regress", "columns"):
        raise ModelFileError(f"{where}: 'task' is {task!r}, expected classify, regress or columns")
    if task == "columns":
        _check_columns(card, where)
        return
    if task == "regress":
        if names:
            raise ModelFileError(f"{where}: 'class_names' is {names!r} in a model that predicts numbers, expected none")
        return
    _check_names(names, where)
    if card.get("decision") is not None:
        try:
            Decision.from_dict(card["decision"], len(names))
        except ValueError as error:
            raise ModelFileError(f"{where}: its 'decision' cannot be read: {error}; fit the model again") from error


def _check_names(names: Any, where: Path) -> None:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ModelFileError(f"{where}: 'class_names' is {names!r}, expected names, one for each class")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelFileError(f"{where}: 'class_names' holds {twice!r} twice, expected another name for each class")


def _check_columns(card: Card, where: Path) -> None:
    """Check the label columns of a shared trunk: each has a name of its own, and names of classes or none."""
    found = card.get("columns")
    columns = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    names = [one.get("name") for one in columns]
    named = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    if not columns or columns != found or not named:
        raise ModelFileError(f"{where}: 'columns' is {found!r}, expected label columns, each with a name of its own")
    for one in columns:
        if one.get("class_names") != []:
            _check_names(one.get("class_names"), where)


def _check_fields(holder: Card, fields: dict[str, type], what: str, where: Path) -> None:
    for name, kind in fields.items():
        if name not in holder:
            raise ModelFileError(f"{where}: {what} has no {name!r}")
        if not isinstance(holder[name], kind):
            raise ModelFileError(f"{where}: {name!r} is {holder[name]!r}, expected {kind.__name__}")


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes.

    Raises
    ------
    ModelFileError
        It is no regular file (a pipe or /dev/zero would never end), or larger.
    FileNotFoundError
        There is none.
    """
    # Asked before it is opened: opening a pipe waits for its writer.
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ModelFileError(f"{path}: is no regular file; give a folder that 'headstart fit' wrote")
    with path.open("rb") as file:
        content = file.read(most + 1) if found.st_size <= most else b""
    if found.st_size > most or len(content) > most:
        raise ModelFileError(f"{path}: has {found.st_size} bytes, expected at most {most}; not read")
    return content
