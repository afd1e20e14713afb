"""Heads of a user's own: named as `module:Class`, or installed under the entry-point group `headstart.heads`.

A module is imported here only because a person named it, or named a head of a package that they installed: never on the
word of a saved model or a cache.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module, invalidate_caches
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.heads.errors import DuplicateHeadError, OwnHeadError
from headstart.heads.registry.head import Head
from headstart.heads.registry.table import HEADS

if TYPE_CHECKING:
    from types import ModuleType

    from sklearn.base import BaseEstimator

GROUP = "headstart.heads"
"""The entry-point group: name → classifier class, factory `make(params, seed)`, or `Head`."""

_KINDS = {"classify": "classifier", "regress": "regressor"}


def module_and_name(path: str) -> str:
    """Return ``module:Class`` for ``module.Class`` as well; a name without a dot, or of an installed head, as it is."""
    module, dot, name = path.rpartition(".")
    return f"{module}:{name}" if dot and name and ":" not in path and path not in installed_heads() else path


def named_head(path: str, task: str = "classify") -> Head:
    """Return the head of a `module:Class`; its name is the whole path.

    A class or factory may have an attribute `headstart_grid`, which is the head's grid; without it the grid is empty.

    Parameters
    ----------
    path : str
        Leads to a scikit-learn classifier class, a factory `make(params, seed)`, or a `Head`.
    task : {"classify", "regress"}
        For numbers it leads to a regressor class.

    Raises
    ------
    OwnHeadError
        It cannot be imported, is none of these or of another task, or its grid is no mapping of names to values.
    """
    return _as_head(path, path, load_object(path), task)


def installed_heads() -> dict[str, EntryPoint]:
    """Return the entry points of installed heads by name, importing none of them.

    Raises
    ------
    DuplicateHeadError
        Two have one name, or one has the name of a registered head.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in HEADS:
            raise DuplicateHeadError(
                f"{_origin(entry)} brings a head {entry.name!r}, which is registered already; rename or uninstall it"
            )
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise DuplicateHeadError(
                f"{_origin(other)} and {_origin(entry)} both bring a head {entry.name!r}; rename or uninstall one"
            )
    return found


def installed_head(entry: EntryPoint, task: str = "classify") -> Head:
    """Import one of `installed_heads`; its name is the entry point's, all else is as in `named_head`."""
    path = f"{entry.module}:{entry.attr}"
    try:
        return _as_head(entry.name, path, load_object(path), task)
    except OwnHeadError as error:
        raise OwnHeadError(f"head {entry.name!r} of {_origin(entry)}: {error}") from error


def load_object(path: str) -> Any:
    """Import what a `module:name` leads to.

    Raises
    ------
    OwnHeadError
        The path is not of this form, the module cannot be imported, or it has no such name.
    """
    module_name, _, name = module_and_name(path).partition(":")
    if not module_name or not all(part.isidentifier() for part in name.split(".")):
        raise OwnHeadError(f"{path!r} leads to no head; expected module:Class, as in mypackage.heads:MyClassifier")
    try:
        module = _import(module_name)
    except Exception as error:  # whatever the module raises is the reason
        raise OwnHeadError(
            f"{path}: its module cannot be imported ({type(error).__name__}: {error}); install its package, or "
            "stand in the folder that holds it, or put that on PYTHONPATH"
        ) from error
    try:
        return attrgetter(name)(module)
    except AttributeError as error:
        known = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise OwnHeadError(f"{path}: {module_name} has no {name!r}; it has {known or 'nothing to call'}") from error


def _import(module_name: str) -> ModuleType:
    top = module_name.partition(".")[0]
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        here = Path.cwd()
        if error.name != top or str(here) in sys.path or not any((here / one).exists() for one in (f"{top}.py", top)):
            raise
        # Behind all else, so that a folder here hides no library, and for good: it may import its neighbours later.
        sys.path.append(str(here))
        invalidate_caches()
        return import_module(module_name)


def _as_head(name: str, path: str, found: Any, task: str) -> Head:
    kind = _KINDS[task]
    if isinstance(found, Head):
        if found.task != task:
            raise OwnHeadError(f"{path} is a head to {found.task}, expected a {kind}; give --task {found.task}")
        return replace(found, name=name)
    if not callable(found):
        raise OwnHeadError(
            f"{path} is a {type(found).__name__}, expected a scikit-learn {kind} class, a factory "
            "make(params, seed) or a heads.Head"
        )
    grid = getattr(found, "headstart_grid", {})
    if not isinstance(grid, Mapping) or not all(_is_sequence(values) for values in grid.values()):
        raise OwnHeadError(
            f"{path}: headstart_grid is {grid!r}, expected names with the values to try: {{'C': (1, 10)}}"
        )
    lines = (inspect.getdoc(found) or "").splitlines() or [f"Own head {path}."]
    weighs = inspect.isclass(found) and "class_weight" in inspect.signature(found).parameters
    return Head(name=name, summary=lines[0], make=partial(_make, path, task), grid=grid, task=task, weighs=weighs)


def _is_sequence(values: Any) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0


def _make(path: str, task: str, params: Mapping[str, Any], seed: int) -> BaseEstimator:
    """Make an estimator by the path of its maker, which travels to worker processes where the maker may not."""
    from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor  # noqa: PLC0415 - a listing need not wait for it

    maker = load_object(path)
    try:
        if inspect.isclass(maker):
            takes_seed = "random_state" in inspect.signature(maker).parameters
            model = maker(**{**({"random_state": seed} if takes_seed else {}), **params})
            model = _seeded(clone(model), seed) if any(hasattr(one, "get_params") for one in _flat(params)) else model
        else:
            model = maker(params, seed)
    except TypeError:  # an unknown hyper-parameter, which who asked for it reports
        raise
    except Exception as error:  # whatever the maker raises is the reason
        raise OwnHeadError(f"{path}: cannot be made with {dict(params)} ({type(error).__name__}: {error})") from error
    if not isinstance(model, BaseEstimator) or not (is_classifier if task == "classify" else is_regressor)(model):
        kind = _KINDS[task]
        raise OwnHeadError(
            f"{path} makes a {type(model).__name__}, expected a scikit-learn {kind} ({kind.capitalize()}Mixin, "
            "BaseEstimator, or a pipeline that ends in one)"
        )
    return model


def _flat(values: Any) -> Iterator[Any]:
    """Yield what lists, tuples and mappings hold, such as the steps of a pipeline."""
    for value in values.values() if isinstance(values, Mapping) else values:
        if isinstance(value, list | tuple | Mapping):
            yield from _flat(value)
        else:
            yield value


def _seeded(model: BaseEstimator, seed: int) -> BaseEstimator:
    """Give the seed to what an estimator is made of, where that has none."""
    unset = [name for name, value in model.get_params().items() if name.endswith("random_state") and value is None]
    return model.set_params(**dict.fromkeys(unset, seed))


def _origin(entry: EntryPoint) -> str:
    return f"package {entry.dist.name} ({entry.value})" if entry.dist else entry.value
