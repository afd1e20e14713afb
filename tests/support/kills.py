"""A process that is killed between two steps of writing, in the process of the test.

A step is whatever changes names in a folder. When the chosen one is reached, it and all that would come after it fail:
neither an `except` nor a `finally` can tidy up, as after SIGKILL.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

STEPS = ("rename", "replace", "symlink", "link", "unlink", "mkdir", "rmdir", "remove")


class Killed(BaseException):
    """The process is gone."""


class Steps:
    """Count the steps below a folder, and die before number `last`; 0 never does."""

    def __init__(self, folder: Path, last: int) -> None:
        self.folder, self.last, self.taken = str(folder), last, 0

    def wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            if any(str(one).startswith(self.folder) for one in arguments) or "dir_fd" in options:
                self.taken += 1
                if self.last and self.taken >= self.last:
                    raise Killed
            return call(*arguments, **options)

        return step


@contextmanager
def killed_at(folder: Path, last: int) -> Iterator[Steps]:
    """Die before a step below a folder; yields the count of steps, which goes on until the block ends."""
    steps = Steps(folder, last)
    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, steps.wrapped(getattr(os, name)))
        try:
            yield steps
        except Killed:
            return
