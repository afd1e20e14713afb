"""A fitted head on disk: a folder with `head.skops` and `model.json`, read back without pickle.

What is read back may come from anywhere, so loading runs no code of the file's choosing: skops rebuilds objects of
the types that the table of heads names only (`archive`), and what the card says is checked (`card`). A user's
own types pass where the user names them, at each load again.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from headstart.heads.errors import ModelFileError, OwnHeadError
from headstart.heads.registry import find_head, load_object, module_and_name
from headstart.heads.saving.archive import OF_SCIKIT_LEARN, check_archive, trusted_types, with_names_of_today
from headstart.heads.saving.card import CARD_FILE, FORMAT_VERSION, Card, check_card, read_bytes, read_card
from headstart.heads.saving.skops_import import import_skops

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEAD_FILE = "head.skops"
LARGEST_HEAD = 4_000_000_000  # bytes


def save_model(
    folder: str | os.PathLike[str],
    model: Any,
    card: Card,
    *,
    own: Sequence[str] = (),
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> Path:
    """Write a fitted head and its card; a model that is there already is replaced once the new one is complete.

    Parameters
    ----------
    folder : path
        New, empty, or a saved model.
    model : fitted scikit-learn classifier or regressor
        Fitted on class numbers 0 … n_classes - 1, or on numbers to predict.
    card : dict
        JSON values: `class_names` (list of str, by class number; none of a regressor), `task` ("classify", which may be
        left out, "regress", or "columns" of several, each in `columns` with `name` and `class_names`), `head`,
        `params`, `embedding` (the whole key of the embedding it was fitted on), `tap`, `weights_name`,
        `weights_source`, `scores`, and whatever else is worth
        keeping.
    own : sequence of str
        Heads (`module:Class`, or a name that `find_head` knows) and classes whose types the model may hold beside those
        of the built-in heads; `load_model` has to be given the same.
    beside : mapping of str to bytes
        Further files by name; the card should hold their digests.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelFileError
        The card lacks a field or is not JSON, the head holds a type that `load_model` would refuse, or the folder holds
        something else than a model.
    OwnHeadError, UnknownHeadError
        What `own` names cannot be imported or found.
    OSError
        The folder cannot be written.
    """
    own_types = type_names(own)

    target = Path(folder).absolute()
    if target.exists() and not (target.is_dir() and ((target / CARD_FILE).is_file() or not any(target.iterdir()))):
        raise ModelFileError(f"{target}: is there already and is no saved model; choose another folder")
    try:
        head = import_skops().dumps(model)
    except Exception as error:  # skops lets through whatever the type that it cannot save raises
        raise ModelFileError(f"{target}: {type(model).__name__} cannot be saved without pickle: {error}") from error
    try:
        # Told now, by who can still choose another head, and not when the model is needed.
        check_archive(head, target, own_types)
        if own_types:  # types that no test here has ever rebuilt
            _rebuild(head, target, own_types)
    except ModelFileError as error:
        raise ModelFileError(f"{error}; loading refuses that, so use another head") from error
    complete = {
        **card,
        "format_version": FORMAT_VERSION,
        "versions": _versions(),
        "sha256": hashlib.sha256(head).hexdigest(),
    }
    check_card(complete, target)
    try:
        text = json.dumps(complete, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{target}: the card is not JSON ({error}); give str, int, finite floats…") from error
    _replace_folder(target, {**beside, HEAD_FILE: head, CARD_FILE: f"{text}\n".encode()})
    return target


def load_model(folder: str | os.PathLike[str], *, own: Sequence[str] = ()) -> tuple[Any, Card]:
    """Read a saved model; a file from an untrusted place cannot run code here.

    The checksum finds damage, not malice: who plants a file can write a fitting one.

    Parameters
    ----------
    folder : path
    own : sequence of str
        As given to `save_model`. The types named are trusted with whatever state the file gives them; other types are
        refused as ever, and no module is imported that is not named here.

    Returns
    -------
    model : fitted scikit-learn classifier, or regressor where the card's `task` is "regress"
    card : dict
        As given to `save_model`, with `format_version`, `versions` and `sha256`.

    Raises
    ------
    ModelFileError
        A file is missing, damaged, too large or of another format version, or holds a type that is not trusted.
    OwnHeadError, UnknownHeadError
        What `own` names cannot be imported or found.
    """
    source = _where_it_is(Path(folder))
    card = read_card(source / CARD_FILE)
    path = source / HEAD_FILE
    model = _rebuild(_read_head(path, card["sha256"]), path, type_names(own))
    _check_model(model, card, path)
    return model, card


def _where_it_is(folder: Path) -> Path:
    """Follow links once: head and card are then of one model, though another run becomes the latest meanwhile."""
    card = (folder / CARD_FILE).resolve()
    return card.parent if card.name == CARD_FILE else folder


def _read_head(path: Path, checksum: str) -> bytes:
    """Return the bytes of the head, if they are those that were saved."""
    try:
        data = read_bytes(path, LARGEST_HEAD)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file; this is not a whole model, save it again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != checksum:
        raise ModelFileError(
            f"{path}: damaged, its sha256 is {found[:12]}… and {CARD_FILE} names {checksum[:12]}…; save it again"
        )
    return data


def _rebuild(data: bytes, path: Path, own: frozenset[str]) -> Any:
    """Return the object in a skops archive, if all of its types are trusted."""
    skops_io = import_skops()
    from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415 - imports skops.io, as `import_skops` must first

    data = with_names_of_today(data, path)
    check_archive(data, path, own)
    try:
        return skops_io.loads(data, trusted=[*trusted_types(), *OF_SCIKIT_LEARN, *own])
    except UntrustedTypesFoundException as error:
        raise ModelFileError(
            f"{path}: not loaded, because it holds types that are not trusted and could run code: {error}"
        ) from error
    except Exception as error:  # skops lets through whatever a damaged or planted part raises
        raise ModelFileError(f"{path}: cannot be read ({type(error).__name__}: {error}); save it again") from error


def _check_model(model: Any, card: Card, path: Path) -> None:
    from sklearn.base import is_classifier, is_regressor  # noqa: PLC0415 - skops has loaded it; at the top it is slow
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415 - likewise

    if card.get("task") == "columns":
        _check_trunk(model, card, path)
        return
    is_expected, expected = (
        (is_regressor, "regressor") if card.get("task") == "regress" else (is_classifier, "classifier")
    )
    if not hasattr(type(model), "predict") or not is_expected(model):
        raise ModelFileError(f"{path}: holds a {type(model).__name__}, expected a {expected}")
    try:
        check_is_fitted(model)
        highest = int(max(model.classes_)) if expected == "classifier" else -1
        for part in [step for _, step in model.steps] if hasattr(model, "steps") else [model]:
            _check_part(part)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except Exception as error:  # a planted object may lack anything
        what = "class numbers" if expected == "classifier" else "numbers"
        raise ModelFileError(f"{path}: holds a {type(model).__name__} that is not fitted on {what}") from error
    if highest >= len(card["class_names"]):
        raise ModelFileError(
            f"{path}: the head knows class {highest}, and {CARD_FILE} names {len(card['class_names'])} classes"
        )


def _check_trunk(model: Any, card: Card, path: Path) -> None:
    """Check the steps of a trunk that several label columns share, and that it tells as many classes of each."""
    expected = [len(one["class_names"]) for one in card["columns"]]
    try:
        for _, step in model.steps:
            _check_part(step)
        found = list(model.steps[-1][1].n_classes)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except Exception as error:  # a planted object may lack anything
        raise ModelFileError(f"{path}: holds a {type(model).__name__} that is no trunk of label columns") from error
    if found != expected:
        raise ModelFileError(
            f"{path}: the trunk tells {found} classes column by column, and {CARD_FILE} names {expected}"
        )


def _check_part(part: Any) -> None:
    if hasattr(part, "steps"):
        raise ModelFileError("holds a pipeline inside a pipeline, which 'headstart' never writes")
    if hasattr(part, "check_fitted_state"):
        part.check_fitted_state()


def _versions() -> dict[str, str]:
    """Return the versions that matter when the model is read elsewhere."""
    found = {"python": platform.python_version()}
    for name in ("headstart", "scikit-learn", "skops", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a checkout that is not installed
            found[name] = "unknown"
    return found


def _replace_folder(target: Path, files: dict[str, bytes]) -> None:
    """Write the files beside `target`, then move them into its place; an old model is removed last."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as room:
        new, old = Path(room, "new"), Path(room, "old")
        new.mkdir()
        for name, content in files.items():
            with (new / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if not target.exists():
            new.rename(target)
            return
        try:
            target.rename(old)
            new.rename(target)
        except BaseException:  # Ctrl-C too: the old model must not go with the temporary folder
            if not target.exists():
                old.rename(target)
            raise


def type_names(own: Sequence[str]) -> frozenset[str]:
    """Return the types, as skops names them, of classes and of what heads make.

    Parameters
    ----------
    own : sequence of str
        `module:Class` of any class, or whatever `find_head` finds: then the types of the estimator that the head makes,
        and of its steps where it is a pipeline.

    Raises
    ------
    OwnHeadError, UnknownHeadError
        One cannot be imported or found.
    """
    types: set[type] = set()
    for name in map(module_and_name, own):
        found = load_object(name) if ":" in name else None
        if inspect.isclass(found):
            types.add(found)
        else:
            model = _made_by_default(name)
            types |= {type(part) for part in [model, *(step for _, step in getattr(model, "steps", ()))]}
    return frozenset(f"{found.__module__}.{found.__name__}" for found in types)


def _made_by_default(name: str) -> Any:
    try:
        return find_head(name).make({}, 0)
    except TypeError as error:
        raise OwnHeadError(
            f"{name}: makes nothing without hyper-parameters ({error}); name its class instead"
        ) from error
