"""Types allowed in a `head.skops`: those that the table of heads names, checked before anything is built.

skops alone trusts all of scikit-learn's estimators. Some of these index C arrays by numbers from the file, so that a
planted one ends the process or reads memory that is not its own. Here only what the registered heads write passes.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.heads.errors import ModelFileError
from headstart.heads.registry import HEADS_OF

OF_SCIKIT_LEARN = (
    "sklearn.dummy.DummyClassifier",
    "sklearn.dummy.DummyRegressor",
    "sklearn.linear_model._logistic.LogisticRegression",  # of models saved before there was one of our own
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.Normalizer",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.svm._classes.LinearSVC",
)
_OF_NO_ROW = (  # of the table
    "headstart.heads.finetuning.tail.TailClassifier",  # which is not fitted on features
    "headstart.heads.transfer.zero_shot.classifier.ZeroShotClassifier",  # which is fitted for classes without images
    "headstart.heads.transfer.multitask.estimator.SharedColumns",  # which tells several columns
)
_NUMPY_TYPES = ("ndarray", "bool", "float32", "float64", "int32", "int64")

_PLAIN_NODES = frozenset(
    {
        ("builtins.dict", "DictNode"),
        ("builtins.int", "TypeNode"),  # the type of a dict's keys: weights of classes go by their numbers
        ("builtins.list", "ListNode"),
        ("builtins.str", "JsonNode"),  # None, numbers and strings alike: skops names them all str
        ("builtins.str", "TypeNode"),  # the type of a dict's keys
        ("builtins.tuple", "TupleNode"),
        *((name, "ObjectNode") for name in OF_SCIKIT_LEARN),
        *((f"numpy.{name}", "NdArrayNode") for name in _NUMPY_TYPES),
    }
)


def trusted_types() -> list[str]:
    """Return the estimators that rows of the table of heads name, and those of no row, as "module.Class".

    Nothing is ever added here on the word of a file.
    """
    of_vectors = {head.estimator for heads in HEADS_OF.values() for head in heads.values() if head.estimator}
    return sorted(of_vectors | {*_OF_NO_ROW})


def allowed_nodes() -> frozenset[tuple[str, str]]:
    """Return (type, skops' way of building it) of everything that a registered head is made of."""
    return _PLAIN_NODES | {(name, "ObjectNode") for name in trusted_types()}


def _earlier_modules() -> dict[str, str]:
    """Return where our own types stand now, by where they stood when models were first saved."""
    modules = {name.rpartition(".")[0] for name in trusted_types()}
    return {f"heads.{module.rpartition('.')[2]}": module for module in modules if not module.endswith(".stock")}


SCHEMA_FILE = "schema.json"
LARGEST_SCHEMA = 20_000_000  # bytes; a head's is some 20 kB, and 4 kB more for each epoch of a training curve


def with_names_of_today(data: bytes, where: Path) -> bytes:
    """Return an archive whose types bear the names that they have now: a model outlives a move of its modules.

    Raises
    ------
    ModelFileError
        It is no archive that `check_archive` could take.
    """
    schema = _read_schema(data, where)
    now = _earlier_modules()
    moved = [node for node in _nodes(schema) if str(node.get("__module__")) in now]
    if not moved:
        return data
    for node in moved:
        node["__module__"] = now[node["__module__"]]
    renamed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(renamed, "w") as copy:
        for member in archive.infolist():
            content = json.dumps(schema) if member.filename == SCHEMA_FILE else archive.read(member)
            copy.writestr(member.filename, content)
    return renamed.getvalue()


def check_archive(data: bytes, where: Path, own: frozenset[str] = frozenset()) -> None:
    """Check a skops archive by its table of contents and its schema, building nothing.

    Parameters
    ----------
    data : bytes
    where : Path
        For messages.
    own : frozenset of str
        Types beyond `allowed_nodes` that a person has named, as "module.Class": objects of Python with a state.

    Raises
    ------
    ModelFileError
        It is no such archive, is compressed, unfolds to more than its own size, or holds a type that is not allowed.
    """
    schema, allowed = _read_schema(data, where), allowed_nodes()
    refused: set[str] = set()
    containers: dict[int, bool] = {}
    owners: dict[str, int] = {}
    for node in _nodes(schema):
        loader = str(node.get("__loader__"))
        name = f"{node.get('__module__')}.{node.get('__class__')}"
        if (name, loader) not in allowed and not (loader == "ObjectNode" and name in own):
            refused.add(f"{name} ({loader})")
            continue
        if loader == "NdArrayNode":
            _check_array(node, owners, where)
        _check_number(node, name, containers, where)
    if refused:
        raise ModelFileError(
            f"{where}: holds types that are not trusted and could run code or crash: {', '.join(sorted(refused))}; "
            "for a head of your own name it: own=['module:Class'], or --trust module:Class"
        )


def _read_schema(data: bytes, where: Path) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_members(members, len(data), where)
            return json.loads(archive.read(SCHEMA_FILE))
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ModelFileError(
            f"{where}: is no skops file ({error}); a pickle is never loaded, whatever its name"
        ) from error
    except (KeyError, ValueError, RecursionError, RuntimeError, EOFError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{where}: its {SCHEMA_FILE} cannot be read ({error}); save the model again") from error


def _check_members(members: list[zipfile.ZipInfo], n_bytes: int, where: Path) -> None:
    """Refuse what could unpack into more memory than the file is large."""
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:
            raise ModelFileError(f"{where}: {member.filename} is compressed, which 'headstart' never writes")
        if member.filename != SCHEMA_FILE and not member.filename.endswith(".npy"):
            raise ModelFileError(f"{where}: holds {member.filename!r}, expected {SCHEMA_FILE} and .npy files alone")
        if member.filename == SCHEMA_FILE and member.file_size > LARGEST_SCHEMA:
            raise ModelFileError(
                f"{where}: its {SCHEMA_FILE} has {member.file_size} bytes, expected at most {LARGEST_SCHEMA}"
            )
    if sum(member.file_size for member in members) > n_bytes:
        raise ModelFileError(f"{where}: damaged, its parts are larger together than the file; save the model again")


_Node = dict[str, Any]  # of the archive's schema


def _nodes(schema: Any) -> Iterator[_Node]:
    """Yield every JSON object that skops would build something from, without recursion."""
    waiting = [schema]
    if not isinstance(schema, dict) or "__loader__" not in schema:
        waiting = [{"__loader__": None}]  # an object of no type: refused
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "__loader__" in value or "__class__" in value or "__module__" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_array(node: _Node, owners: dict[str, int], where: Path) -> None:
    """Refuse an array that is not a file of its own: a file read a thousand times takes a thousand times the memory."""
    file, number = node.get("file"), node.get("__id__")
    if node.get("type") != "numpy" or not isinstance(file, str) or not file.endswith(".npy"):
        raise ModelFileError(f"{where}: holds an array in {file!r} ({node.get('type')!r}), expected a .npy file")
    if not isinstance(number, int) or owners.setdefault(file, number) != number:
        raise ModelFileError(f"{where}: {file} is referenced as more than one array, which 'headstart' never writes")


def _check_number(node: _Node, name: str, containers: dict[int, bool], where: Path) -> None:
    """Refuse a container in two places: what skops has built under a number it takes for every node of that number.

    It walks into a repeated container each time: fifty lists that hold the next one twice would never end.
    """
    number = node.get("__id__")
    if number is None:
        return
    if not isinstance(number, int):
        raise ModelFileError(f"{where}: a {name} has the number {number!r}, expected a whole one")
    contains = node["__loader__"] in ("DictNode", "ListNode", "ObjectNode", "TupleNode")
    if number in containers and (contains or containers[number]):
        raise ModelFileError(f"{where}: a {name} stands in two places, which 'headstart' never writes")
    containers[number] = contains
