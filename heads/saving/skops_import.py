"""The import of skops, which takes a second; a command does without the list that takes most of it."""

import sys
from importlib import import_module
from typing import Any

_lists = True


def list_no_estimators() -> None:
    """Let this process, which is headstart's alone, import skops without what that trusts by itself.

    To name scikit-learn's estimators skops imports all of them, and Dask and pytest with them where these are
    installed. Here `archive` says what is trusted, whatever skops would. But who called `skops.io.load` without us in
    the same process would have to name scikit-learn's types, so that no library may do this for others.
    """
    global _lists  # noqa: PLW0603 - said once, by the command, of its whole process
    _lists = False


def import_skops() -> Any:
    """Import `skops.io`."""
    if _lists or "skops.io" in sys.modules:
        return import_module("skops.io")
    utils: Any = import_module("sklearn.utils")
    all_estimators = utils.all_estimators
    utils.all_estimators = list
    try:
        return import_module("skops.io")
    finally:
        utils.all_estimators = all_estimators
