"""Objects of S3, Google Cloud Storage and web servers, read through fsspec; nothing is written there.

Credentials come from where the libraries look for them (environment, profiles, the machine's role), never from here.
"""

import io
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from headstart.extractors.errors import ExtractorError, ImageSetError, NotAllowedError, NotReadError
from headstart.extractors.images import is_allowed
from headstart.extractors.images.remote.address import check_address, redacted

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_EXTRAS = {"s3": "s3", "gs": "gcs", "https": "https", "http": "https"}
_WEB = ("https", "http")
_WEB_WAITS_S = (0.5, 1.0)  # fsspec and the libraries below it ask the stores again by themselves, but not web servers
_BUSY, _BEYOND_ITS_END = 429, 416
_Result = TypeVar("_Result")


def open_store(url: str) -> Any:
    """Return fsspec's file system for an address; one for each process, which all its threads use.

    Raises
    ------
    ImageSetError
        The address is refused, or the package for it is missing; the message names the extra to install.
    NotAllowedError
        This process may not read there.
    """
    check_address(url)
    if not is_allowed(url):
        raise NotAllowedError(f"{url}: outside the folders and addresses that this process may read")
    return _store(urlsplit(url).scheme, os.getpid())


def read_object(url: str, n_bytes: int) -> bytes:
    """Return a whole object of `n_bytes` bytes; safe in many threads.

    Raises
    ------
    NotReadError
        The store does not give it, after a few tries, or it has another size; the message says why.
    """
    data = _get(url, 0, n_bytes + 1)  # a byte too many, or an object that has grown would be cut
    if len(data) != n_bytes:
        raise NotReadError(f"no longer as listed ({len(data)} bytes came of {n_bytes}); it has changed since")
    return data


def read_range(url: str, start: int, n_bytes: int) -> bytes:
    """Return `n_bytes` bytes of an object from byte `start` on; safe in many threads.

    Raises
    ------
    NotReadError
        The store does not give exactly these; the message says why.
    """
    data = _get(url, start, start + n_bytes)
    if len(data) != n_bytes:  # a server that knows no ranges sends all from the first byte
        raise NotReadError(
            f"{len(data)} bytes came of the {n_bytes} from byte {start} on; it has changed since, or is on a server "
            "that does not serve byte ranges"
        )
    return data


class RangeFile(io.RawIOBase):
    """A remote object as a file that is read by ranges; put a buffer around it.

    Parameters
    ----------
    url : str
    n_bytes : int, optional
        How many it has, where that is known: then it must give each of them, and can be read from its end.
    """

    def __init__(self, url: str, n_bytes: int | None = None) -> None:
        self._url, self._n_bytes, self._place = url, n_bytes, 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, also one beyond the end, as in a file."""
        if whence == io.SEEK_END and self._n_bytes is None:
            raise io.UnsupportedOperation("the size of the object is not known")
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._n_bytes or 0}[whence]
        return self._place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or less of it at the end of the object."""
        view = memoryview(buffer)
        if self._n_bytes is None:
            data = _get(self._url, self._place, self._place + len(view))
            if len(data) > len(view):
                raise NotReadError("the server does not serve byte ranges")
        else:
            n_bytes = max(0, min(len(view), self._n_bytes - self._place))
            data = read_range(self._url, self._place, n_bytes) if n_bytes else b""
        view[: len(data)] = data
        self._place += len(data)
        return len(data)


def ask(url: str, call: Callable[[Any], _Result]) -> _Result:
    """Return the result of `call` on the store at an address.

    A web server that is busy or cut off is asked twice more; the stores' own libraries do so by themselves.

    Raises
    ------
    NotReadError
        The store does not answer; the message says why, without what may be secret.
    ImageSetError, NotAllowedError
        As `open_store`.
    """
    store = open_store(url)
    waits = list(_WEB_WAITS_S) if urlsplit(url).scheme in _WEB else []
    while True:
        try:
            return call(store)
        except Exception as error:  # noqa: BLE001 - every library has errors of its own, and each is the reason
            cause = _cause(url, error)
            if not waits or not _may_pass(cause):
                # The cause is not chained: a traceback would show signed addresses that a server redirected to.
                raise NotReadError(_reason(cause)) from None
        time.sleep(waits.pop(0))


def read_at_most(url: str, n_bytes: int) -> bytes:
    """Return a whole object of at most `n_bytes` bytes, and one byte more of a larger one.

    Raises
    ------
    NotReadError, ImageSetError, NotAllowedError
        As `ask`.
    """
    return bytes(ask(url, lambda store: _fetch(store, url, 0, n_bytes + 1)))


def _fetch(store: Any, url: str, start: int, end: int) -> bytes:
    """Return bytes of an object; a web server that sends more than it was asked for is left after one byte too many."""
    if urlsplit(url).scheme not in _WEB:
        found: bytes = store.cat_file(url, start=start, end=end)
        return found
    from fsspec.asyn import sync  # noqa: PLC0415 - local images do without

    async def stream() -> bytes:
        session = await store.set_session()
        headers = store.kwargs.get("headers", {}) | {"Range": f"bytes={start}-{end - 1}"}
        body = bytearray()
        async with session.get(store.encode_url(url), **store.kwargs | {"headers": headers}) as response:
            if response.status == _BEYOND_ITS_END:
                return b""
            store._raise_not_found_for_status(response, url)  # noqa: SLF001 - as its own cat_file does
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > end - start:
                    break
        return bytes(body[: end - start + 1])

    streamed: bytes = sync(store.loop, stream)
    return streamed


def _get(url: str, start: int, end: int) -> bytes:
    try:
        return bytes(ask(url, lambda store: _fetch(store, url, start, end)))
    except (ImageSetError, NotAllowedError) as error:
        raise NotReadError(str(error)) from error


def _cause(url: str, error: Exception) -> Exception:
    """Return the error that was the cause: fsspec says of all that fails on the web that it is not there."""
    hidden = error.__cause__ if urlsplit(url).scheme in _WEB else None
    return hidden if isinstance(error, FileNotFoundError) and isinstance(hidden, Exception) else error


def _reason(error: Exception) -> str:
    status = getattr(error, "status", None)
    if isinstance(error, ExtractorError):
        return str(error)
    if status == 404 or isinstance(error, FileNotFoundError):
        return "no such object"
    if isinstance(error, PermissionError) or status in (401, 403):
        return "the store refuses access; check the credentials in the environment"
    message = redacted(" ".join(str(error).split()))[:300]
    return f"the store does not give it ({type(error).__name__}{': ' if message else ''}{message})"


def _may_pass(error: Exception) -> bool:
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status >= 500 or status == _BUSY
    return not isinstance(error, FileNotFoundError | PermissionError | ExtractorError)


@lru_cache(maxsize=8)
def _store(scheme: str, _process: int) -> Any:
    """Make a file system that remembers no listing; one made before a fork would hang after it."""
    try:
        import fsspec  # noqa: PLC0415 - local images do without

        options = _web_options() if scheme in _WEB else {}
        return fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False, **options)
    except ImportError as error:
        raise ImageSetError(
            f"{scheme}:// needs a package that is not installed ({error}); install headstart[{_EXTRAS[scheme]}]"
        ) from error
    except Exception as error:  # noqa: BLE001 - as in `ask`; for instance, credentials that cannot be read
        raise ImageSetError(f"{scheme}:// cannot be used: {_reason(error)}") from None


def _web_options() -> dict[str, Any]:
    """Follow redirects only to where this process may read, and get bytes as they lie there."""
    from aiohttp import TraceConfig  # noqa: PLC0415 - only addresses of the web need it
    from yarl import URL  # noqa: PLC0415 - only addresses of the web need it

    async def check(_session: Any, _context: Any, params: Any) -> None:
        target = params.response.url.join(URL(params.response.headers.get("Location", "")))
        bare = str(target.with_query(None).with_fragment(None))  # servers sign what they lead to; it is kept nowhere
        check_address(bare)
        if not is_allowed(bare):
            raise NotAllowedError(f"it leads to {bare}, outside the addresses that this process may read")

    tracing = TraceConfig()
    tracing.on_request_redirect.append(check)
    return {"client_kwargs": {"trace_configs": [tracing]}, "headers": {"Accept-Encoding": "identity"}}
