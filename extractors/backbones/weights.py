"""Weights: where they lie, how they are fetched, read without running code, and told apart by their hash."""

import contextlib
import difflib
import hashlib
import http.client
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch

from headstart.extractors.backbones.torch_files import read_torch_file
from headstart.extractors.errors import WeightsError
from headstart.extractors.spec import SUFFIXES

# Long enough for a slow line to answer, short enough that a machine without network gets its error soon.
CONNECT_SECONDS = 10.0

_MOST_LEVELS = 4  # of dicts in dicts in which weights are looked for


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, as they stand in a file.

    Parameters
    ----------
    entries : mapping of str to mapping of str to torch.Tensor
        Each dict in the file that holds tensors, by the names that lead to it, with dots between ("" for the whole
        file); the tensors on the CPU, in the file's dtypes. At least one.
    digest : str
        "sha256:<hex of the file>".
    source : str
        Where it was read, for messages.
    """

    entries: Mapping[str, Mapping[str, torch.Tensor]]
    digest: str
    source: str


def unknown_weights(backbone: str, weights: str, known: Iterable[str]) -> WeightsError:
    """Return the error for a `weights` that is neither "default", "none", a published name nor a file."""
    choices = [*known, "default", "none"]
    nearest = difflib.get_close_matches(weights, choices, n=1, cutoff=0.4)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return WeightsError(
        f"{backbone}: no weights are called {weights!r}; found no such file either. Known: {', '.join(choices)}, "
        f"or the path of a {' / '.join(SUFFIXES)} file.{hint}"
    )


def sha256_of_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_state(state: Mapping[str, torch.Tensor]) -> str:
    """Return the hexadecimal SHA-256 over names, dtypes, shapes and bytes of all tensors, in the order of the names.

    Raises
    ------
    WeightsError
        An entry is no tensor (a module with extra state of its own).
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        if not isinstance(tensor, torch.Tensor):
            raise WeightsError(
                f"{name!r} in the state dict is a {type(tensor).__name__}, not a tensor: cannot be hashed"
            )
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what `torch.save` or safetensors wrote, told by its first bytes; nothing in it can run code.

    Raises
    ------
    WeightsError
        The file is missing, empty, damaged, of another kind, or holds no tensors by name.
    """
    if not path.exists():
        raise WeightsError(f"{path}: no such file; --weights takes the path of a {' / '.join(SUFFIXES)} file")
    if not path.is_file():
        raise WeightsError(f"{path} is a folder; --weights takes one file ({', '.join(SUFFIXES)})")
    try:
        if path.stat().st_size == 0:
            raise WeightsError(f"{path} is empty (0 bytes): the copy or download did not finish; fetch it again")
        content = _reader_of(path)(path)
        digest = sha256_of_file(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error}") from error
    return Checkpoint(_entries_of(content, path), f"sha256:{digest}", str(path))


def _reader_of(path: Path) -> Callable[[Path], object]:
    """Return the function that reads a file, as its first bytes tell; the suffix decides only where they do not."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[6:] == b"\0\0{":  # behind the length of the header, which may begin with any byte
        return _read_safetensors
    if start.startswith((b"PK", b"\x80")):
        return read_torch_file
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors
    if path.name.lower().endswith(SUFFIXES):
        return read_torch_file
    raise WeightsError(f"{path}: found the suffix {path.suffix!r}, expected one of {', '.join(SUFFIXES)}")


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError  # noqa: PLC0415 - only such a file needs it
    from safetensors.torch import load_file  # noqa: PLC0415 - likewise

    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        raise WeightsError(f"{path}: no readable safetensors file, damaged or cut short? ({error})") from error


def _entries_of(content: object, path: Path) -> dict[str, Mapping[str, torch.Tensor]]:
    """Find the dicts in a file that hold tensors, the outer before the inner."""
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: found a {type(content).__name__}, expected a state dict (names → tensors)")
    if not content:
        raise WeightsError(f"{path}: the state dict is empty; save model.state_dict() again")
    entries: dict[str, Mapping[str, torch.Tensor]] = {}
    level, seen = {"": content}, {id(content)}  # a dict may stand in a crafted file a million times
    for _ in range(_MOST_LEVELS):
        deeper: dict[str, dict[object, object]] = {}
        for place, found in level.items():
            tensors = {name: value for name, value in found.items() if _is_named(name, value, torch.Tensor)}
            if tensors:  # the dict itself, where it holds nothing else, for its version metadata
                entries[place] = found if len(tensors) == len(found) else tensors
            for name, value in found.items():
                if _is_named(name, value, dict) and id(value) not in seen:
                    seen.add(id(value))
                    deeper[f"{place}.{name}".lstrip(".")] = value
        level = deeper
    if not entries:
        shown = ", ".join(f"{name!r}: {type(value).__name__}" for name, value in list(content.items())[:3])
        raise WeightsError(f"{path}: no tensors by name in it (found {shown}); save model.state_dict()")
    return entries


def _is_named(name: object, value: object, kind: type) -> bool:
    return isinstance(name, str) and isinstance(value, kind)


def published_file(member: Any) -> Path:
    """Return where torchvision keeps the file of a weights enum's member, which may not be there yet."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(member.url).path).name


def read_published(member: Any, backbone: str) -> Checkpoint:
    """Read the weights of a torchvision enum's member through its own loader, fetching them where they are not on disk.

    Raises
    ------
    WeightsError
        They are not on disk and cannot be fetched; or the file there has not the hash that is in its name.
    """
    path = published_file(member)
    if path.exists():
        digest = _check_published(path)
        return Checkpoint(_load_published(member, path), f"sha256:{digest}", str(path))
    try:
        with short_timeouts():
            entries = _load_published(member, path)
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        # RuntimeError: what arrived has not the hash of its name; torch.hub has thrown it away.
        raise not_fetched(f"{backbone}: weights {member.name}", member.url, path, error) from error
    return Checkpoint(entries, f"sha256:{sha256_of_file(path)}", str(path))


def _load_published(member: Any, path: Path) -> dict[str, Mapping[str, torch.Tensor]]:
    # torch.hub writes "Downloading: …" to standard output, which belongs to --json.
    with contextlib.redirect_stdout(sys.stderr):
        content = member.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    return _entries_of(content, path)


def _check_published(path: Path) -> str:
    """Return a file's hash after comparing it with its name, which torch.hub does only for what it has just fetched."""
    wanted = torch.hub.HASH_REGEX.search(path.name)
    found = sha256_of_file(path)
    if wanted and not found.startswith(wanted[1]):
        raise WeightsError(
            f"{path}: expected a file whose SHA-256 begins with {wanted[1]}, found {found[:12]}… "
            f"({path.stat().st_size} bytes): cut short, or another file under this name. Delete it to have it "
            "fetched again, or give your own file by --weights FILE"
        )
    return found


def not_fetched(subject: str, origin: str, path: Path, reason: BaseException) -> WeightsError:
    """Return the error for weights that are neither on disk nor to be had from the network, with the ways out."""
    return WeightsError(
        f"{subject} are not on disk (looked for {path}) and could not be fetched from {origin} ({reason}). Ways out: "
        f"put the file {path.name} into {path.parent}; or give a local file by --weights FILE; or ask for random "
        "weights by --weights none"
    )


@contextlib.contextmanager
def short_timeouts() -> Iterator[None]:
    """Give up a connection or a read after `CONNECT_SECONDS` without an answer; torch.hub itself waits for minutes.

    The limit is the process's default for new sockets, the only one that urllib lets through from outside.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
