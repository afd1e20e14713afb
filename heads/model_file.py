"""A fitted head on disk: a folder with `head.skops` and `model.json`, read back without pickle.

What is read back may come from anywhere, so loading runs no code of the file's choosing: skops rebuilds objects of
trusted types only, and the trusted types are a fixed list.
"""

import hashlib
import io
import json
import os
import platform
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from heads.errors import ModelFileError

FORMAT_VERSION = 1
HEAD_FILE = "head.skops"
CARD_FILE = "model.json"

TRUSTED_TYPES = (
    "heads.centroid.NearestMeanClassifier",
    "heads.linear_torch.TorchLinearClassifier",
    "heads.mlp.TorchMLPClassifier",
    "heads.ridge.RidgeSoftmaxClassifier",
)
"""Our own estimators: parameters and numpy arrays, and no method that runs anything they hold.

skops itself trusts scikit-learn's estimators, numpy's arrays and Python's plain values; every registered head gets by
with those. Nothing else is ever added here on the word of a file.
"""

CARD_FIELDS: dict[str, type] = {
    "format_version": int,
    "class_names": list,
    "head": str,
    "params": dict,
    "embedding": dict,
    "tap": str,
    "scores": dict,
    "versions": dict,
    "sha256": str,
}
"""What `model.json` must hold, and as which JSON type; whatever else stands there is kept."""


def save_model(folder: str | os.PathLike[str], model: Any, card: dict[str, Any]) -> Path:
    """Write a fitted head and its card; a model that is there already is replaced once the new one is complete.

    Parameters
    ----------
    folder : path
        New, empty, or a saved model.
    model : fitted scikit-learn classifier
        Fitted on class numbers 0 … n_classes - 1.
    card : dict
        JSON values: `class_names` (list of str, by class number), `head`, `params`, `embedding` (the whole key of the
        embedding it was fitted on), `tap`, `scores`, and whatever else is worth keeping.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelFileError
        The card lacks a field or is not JSON, the head holds a type that `load_model` would refuse, or the folder holds
        something else than a model.
    OSError
        The folder cannot be written.
    """
    import skops.io  # noqa: PLC0415 - takes seconds because it loads torch; only who saves or loads should wait

    target = Path(folder).absolute()
    if target.exists() and not (target.is_dir() and ((target / CARD_FILE).is_file() or not any(target.iterdir()))):
        raise ModelFileError(f"{target}: is there already and is no saved model; choose another folder")
    try:
        head = skops.io.dumps(model)
    except Exception as error:  # skops lets through whatever the type that it cannot save raises
        raise ModelFileError(f"{target}: {type(model).__name__} cannot be saved without pickle: {error}") from error
    # Told now, by who can still choose another head, and not when the model is needed.
    refused = sorted(set(skops.io.get_untrusted_types(data=head)) - set(TRUSTED_TYPES))
    if refused:
        raise ModelFileError(f"{target}: the head holds {', '.join(refused)}, which loading refuses; use another head")
    complete = {
        **card,
        "format_version": FORMAT_VERSION,
        "versions": _versions(),
        "sha256": hashlib.sha256(head).hexdigest(),
    }
    _check_card(complete, target)
    try:
        text = json.dumps(complete, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{target}: the card is not JSON ({error}); give str, int, finite floats…") from error
    _replace_folder(target, {HEAD_FILE: head, CARD_FILE: f"{text}\n".encode()})
    return target


def load_model(folder: str | os.PathLike[str]) -> tuple[Any, dict[str, Any]]:
    """Read a saved model; a file from an untrusted place cannot run code here.

    The checksum finds damage, not malice: who plants a file can write a fitting one.

    Returns
    -------
    model : fitted scikit-learn classifier
    card : dict
        As given to `save_model`, with `format_version`, `versions` and `sha256`.

    Raises
    ------
    ModelFileError
        A file is missing or damaged, of another format version, or holds a type that is not trusted.
    """
    source = Path(folder)
    card = _read_card(source)
    path = source / HEAD_FILE
    model = _rebuild(_read_head(path, card["sha256"]), path)
    _check_model(model, card, path)
    return model, card


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / CARD_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelFileError(f"{path}: no such file; give a folder that 'headstart fit' wrote") from error
    except ValueError as error:
        raise ModelFileError(f"{path}: damaged, it is not JSON ({error}); copy or save the model again") from error
    if not isinstance(card, dict):
        raise ModelFileError(f"{path}: holds a {type(card).__name__}, expected an object; save the model again")
    found = card.get("format_version")
    if found != FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: format version {found!r}, expected {FORMAT_VERSION}; fit again, or load it with the version that "
            "wrote it"
        )
    _check_card(card, path)
    return card


def _check_card(card: dict[str, Any], where: Path) -> None:
    for name, kind in CARD_FIELDS.items():
        if name not in card:
            raise ModelFileError(f"{where}: the card has no {name!r}")
        if not isinstance(card[name], kind):
            raise ModelFileError(f"{where}: {name!r} is {card[name]!r}, expected {kind.__name__}")
    if not card["class_names"] or not all(isinstance(name, str) for name in card["class_names"]):
        raise ModelFileError(f"{where}: 'class_names' is {card['class_names']!r}, expected names, one for each class")


def _read_head(path: Path, checksum: str) -> bytes:
    """Return the bytes of the head, if they are those that were saved."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file; this is not a whole model, save it again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != checksum:
        raise ModelFileError(
            f"{path}: damaged, its sha256 is {found[:12]}… and {CARD_FILE} names {checksum[:12]}…; save it again"
        )
    return data


def _rebuild(data: bytes, path: Path) -> Any:
    """Return the object in a skops archive, if all of its types are trusted."""
    import skops.io  # noqa: PLC0415 - as in save_model
    from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415 - likewise

    _refuse_compressed(data, path)
    try:
        return skops.io.loads(data, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise ModelFileError(
            f"{path}: not loaded, because it holds types that are not trusted and could run code: {error}"
        ) from error
    except Exception as error:  # skops lets through whatever a damaged or planted part raises
        raise ModelFileError(f"{path}: cannot be read ({type(error).__name__}: {error}); save it again") from error


def _refuse_compressed(data: bytes, path: Path) -> None:
    """Refuse compressed members: a small file could unpack into all of the memory."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            packed = [member.filename for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
    except zipfile.BadZipFile as error:
        raise ModelFileError(
            f"{path}: is no skops file ({error}); a pickle is never loaded, whatever its name"
        ) from error
    if packed:
        raise ModelFileError(f"{path}: {packed[0]} is compressed, which 'headstart' never writes; not loaded")


def _check_model(model: Any, card: dict[str, Any], path: Path) -> None:
    from sklearn.base import is_classifier  # noqa: PLC0415 - skops has loaded it by now; at the top it costs a second
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415 - likewise

    if not hasattr(type(model), "predict") or not is_classifier(model):
        raise ModelFileError(f"{path}: holds a {type(model).__name__}, expected a classifier")
    try:
        check_is_fitted(model)
        highest = int(max(model.classes_))
    except Exception as error:  # a planted object may lack anything
        raise ModelFileError(f"{path}: holds a {type(model).__name__} that is not fitted on class numbers") from error
    if highest >= len(card["class_names"]):
        raise ModelFileError(
            f"{path}: the head knows class {highest}, and {CARD_FILE} names {len(card['class_names'])} classes"
        )


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
