"""A terminal of its own for a command: what it prints, the keys that it gets, and its closing."""

import os
import select
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from support.forked import Forked
from support.process_trees import still_running, tree_of

_CTRL_C = b"\x03"


class Terminal:
    """Python with these words, as the foreground of a terminal; all that it started ends with the block."""

    def __init__(self, *words: object, env: Mapping[str, str], cwd: Path) -> None:
        # The other end stays open here, too: a terminal that nobody has opened yet reads as one whose user has gone.
        self._ours, self._theirs = os.openpty()
        self.process = Forked(*words, env=env, cwd=cwd, out=Path(os.ttyname(self._theirs)))
        assert self.process.pid is not None
        self.pid: int = self.process.pid
        self._shown: list[bytes] = []
        self._closed = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self.process.poll() is None:
            for one in still_running(tree_of(self.pid)):
                one.kill()
        self.process.wait(timeout=60)
        self.close()

    @property
    def shown(self) -> str:
        return b"".join(self._shown).decode(errors="replace")

    def press_ctrl_c(self) -> None:
        """Let the terminal send SIGINT to all processes in its foreground, as it does."""
        os.write(self._ours, _CTRL_C)

    def close(self) -> None:
        """Close the terminal, as its window or its connection is closed: what runs in it gets SIGHUP."""
        if not self._closed:
            self._closed = True
            self._reader.join()  # a terminal that is being read stays open
            os.close(self._theirs)
            os.close(self._ours)

    def _read(self) -> None:
        while True:
            readable, _, _ = select.select([self._ours], [], [], 0.05)
            if readable:
                self._shown.append(os.read(self._ours, 4096))
            elif self._closed:
                return
