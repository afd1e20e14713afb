"""A terminal of its own for a command: what it prints, the keys that it gets, and its end."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from support.process_trees import still_running, tree_of

_CTRL_C = b"\x03"
_START = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


class Terminal:
    """Python with these words, as the foreground of a terminal; all that it started ends with the block."""

    def __init__(self, *words: object, env: Mapping[str, str], cwd: Path) -> None:
        self._ours, theirs = os.openpty()
        command = [sys.executable, "-c", _START, *map(str, words)]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=cwd)
        os.close(theirs)
        self._shown: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.process.poll() is None:
            for one in still_running(tree_of(self.process.pid)):
                one.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._ours)

    @property
    def shown(self) -> str:
        return b"".join(self._shown).decode(errors="replace")

    def press_ctrl_c(self) -> None:
        """Let the terminal send SIGINT to all processes in its foreground, as it does."""
        os.write(self._ours, _CTRL_C)

    def _read(self) -> None:
        try:
            while block := os.read(self._ours, 4096):
                self._shown.append(block)
        except OSError:  # nobody is at the other end
            return
