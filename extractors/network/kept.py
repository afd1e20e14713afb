"""Compiled networks that are kept for the next run. They are code, so they lie in a folder of this user alone.

Not in the cache, which is handed around: whoever may write there could have this user run anything.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from headstart.extractors.atomic import atomic_file, remove_stale_parts
from headstart.extractors.errors import CacheError
from headstart.extractors.network.compilation import CannotCompile, compile_forward, compile_library, load_library
from headstart.extractors.writer_lock import writer_lock

MOST_BYTES = 4 << 30
"""Most that all of them take together; those that were not used for longest make way."""

Compute = Callable[[torch.Tensor], dict[str, torch.Tensor]]


class NotPrivateError(Exception):
    """There is no folder that this user alone can write; the message says why and what to do."""


def private_folder() -> Path:
    """Return the folder for compiled networks, made where it is missing: ``~/.cache/headstart/networks``.

    Raises
    ------
    NotPrivateError
        Somebody else owns it or a folder above, or may write there; or it cannot be made.
    """
    above = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        above = above if above.is_absolute() else Path.home() / ".cache"
        folder = (above / "headstart" / "networks").resolve()
        for place in reversed([folder, *folder.parents]):
            place.mkdir(mode=0o700, exist_ok=True)
        for place in (folder, *folder.parents):
            _refuse_if_shared(place, place.stat(), own=place == folder)
    except (OSError, RuntimeError) as error:
        raise NotPrivateError(f"{above}: {error}; set XDG_CACHE_HOME to a folder of your own") from error
    return folder


def _refuse_if_shared(place: Path, about: os.stat_result, *, own: bool) -> None:
    if about.st_uid not in ({os.geteuid()} if own else {os.geteuid(), 0}):
        raise NotPrivateError(f"{place}: belongs to somebody else; set XDG_CACHE_HOME to a folder of your own")
    # In a sticky folder, such as /tmp, nobody can replace what is another's.
    if about.st_mode & (0o077 if own else 0o022) and (own or not about.st_mode & stat.S_ISVTX):
        raise NotPrivateError(f"{place}: others may write there; run chmod {'go-rwx' if own else 'go-w'} {place}")


class KeptNetwork:
    """A compiled forward pass on the CPU, kept under a name that follows from all that it follows from.

    Parameters
    ----------
    depends_on : mapping of str to plain values
        As `dependencies.all_dependencies` gathers them.
    names : sequence of str
        Of what it computes.
    shape : sequence of int
        Of its batches of pixels.

    Attributes
    ----------
    loaded : bool
        Whether it was there, so that nothing was compiled.
    reason : str
        Why it cannot be kept, for people; empty where it can.
    """

    def __init__(self, depends_on: Mapping[str, Any], names: Sequence[str], shape: Sequence[int]) -> None:
        self._name = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()
        self._names, self._shape = names, shape
        self._folder: Path | None = None
        self._compute: Compute | None = None
        self._network: tuple[Compute, torch.nn.Module] | None = None
        self.loaded, self.reason = False, ""
        try:
            self._folder = private_folder()
        except NotPrivateError as error:
            self.reason = str(error)

    def load(self) -> bool:
        """Load it if it was kept; returns whether it was."""
        path = self._find()
        if path:
            try:
                self._compute = load_library(path, self._names, self._shape)
            except (RuntimeError, OSError) as error:
                self.reason = f"{path}: cannot be loaded ({str(error).splitlines()[0]}), and is compiled anew"
                path.unlink(missing_ok=True)
        self.loaded = self._compute is not None
        return self.loaded

    def make_of(self, function: Compute, module: torch.nn.Module) -> None:
        """Say what to compile where it was not kept: a function, and the frozen module that it calls."""
        self._network = (function, module)

    def compute(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute features of a batch; the first call compiles where it was not kept.

        Raises
        ------
        CannotCompile
            It cannot be compiled here.
        """
        if self._compute is None:
            self._compute = self._made(pixels)
        return self._compute(pixels)

    def _made(self, pixels: torch.Tensor) -> Compute:
        """Compile and keep it, or wait for the process that does; where it cannot be kept, compile for this process."""
        if self._network is None:
            raise RuntimeError("say first what to compile")
        function, module = self._network
        if self._folder:
            try:
                with (
                    writer_lock(self._folder, name="compiling.lock"),
                    TemporaryDirectory(prefix="headstart-") as scratch,
                    _torch_writes_into(self._folder / "torch"),
                ):
                    if self.load() and self._compute:
                        return self._compute
                    library = compile_library(function, module, pixels, Path(scratch))
                    return load_library(self._kept(self._folder, library), self._names, self._shape)
            except (CannotCompile, CacheError, OSError, RuntimeError) as error:
                self.reason = str(error)
        return compile_forward(function)

    def _kept(self, folder: Path, library: Path) -> Path:
        """Keep a library, and return where; one that finds no room stays where it is, to be loaded all the same."""
        remove_stale_parts(folder)
        try:
            with library.open("rb") as made:
                digest = hashlib.file_digest(made, "sha256").hexdigest()
                made.seek(0)
                path = folder / f"{self._name}.{digest}.so"
                with atomic_file(path) as file:
                    os.fchmod(file.fileno(), 0o600)
                    shutil.copyfileobj(made, file, 1 << 20)
        except CacheError as error:
            self.reason = str(error)
            return library
        _make_way(folder, path)
        return path

    def _find(self) -> Path | None:
        """Return the file that was kept; one that bears its name and is not as this user wrote it is removed."""
        for path in sorted(self._folder.glob(f"{self._name}.*.so")) if self._folder else ():
            if _is_as_written(path):
                with suppress(OSError):
                    os.utime(path)  # that it was used: what was not for longest makes way first
                return path
            with suppress(OSError):
                path.unlink()
        return None


@contextmanager
def _torch_writes_into(folder: Path) -> Iterator[None]:
    """Have the compiler's own files, which are code too, in a private folder: torch's is ``/tmp/torchinductor_<user>``.

    There, anybody can make it first.
    """
    variable = "TORCHINDUCTOR_CACHE_DIR"
    if variable in os.environ:
        yield
        return
    os.environ[variable] = str(folder)
    try:
        yield
    finally:
        del os.environ[variable]


def _is_as_written(path: Path) -> bool:
    """Tell whether a file is no link, this user's, nobody else's to write, and has the digest that its name says."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        own = stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o022
        return own and hashlib.file_digest(file, "sha256").hexdigest() == path.name.split(".")[1]


def _make_way(folder: Path, newest: Path) -> None:
    total = 0
    with suppress(OSError):  # another process does the same
        for path in sorted(folder.glob("*.so"), key=lambda path: -path.lstat().st_mtime):
            total += path.lstat().st_size
            if total > MOST_BYTES and path != newest:
                path.unlink()
