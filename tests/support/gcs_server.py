"""A server on loopback that speaks as much of Google Cloud Storage's JSON API as reading takes."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec.config
import pytest

from headstart.extractors.images.remote import store as remote_store

_ADDRESS = re.compile(r"(/download)?/storage/v1/b/[^/]+/o(?:/(.+))?")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        files: dict[str, bytes] = self.server.files  # type: ignore[attr-defined] # `gcs_server` puts it there
        split = urlsplit(self.path)
        found = _ADDRESS.fullmatch(split.path)
        name = unquote((found and found[2]) or "")
        if found and not name:
            prefix = parse_qs(split.query).get("prefix", [""])[0]
            items = [self._about(name, data) for name, data in sorted(files.items()) if name.startswith(prefix)]
            self._send(200, json.dumps({"items": items}).encode())
        elif name not in files:
            self._send(404, b"{}")
        elif found and found[1]:
            first, last = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups()  # type: ignore[union-attr] # or the test fails
            self._send(206, files[name][int(first) : int(last) + 1])
        else:
            self._send(200, json.dumps(self._about(name, files[name])).encode())

    def _about(self, name: str, data: bytes) -> dict[str, Any]:
        about = {"name": name, "bucket": "birds", "size": str(len(data)), "updated": "2024-01-01T00:00:00.000Z"}
        return {"kind": "storage#object", "generation": str(abs(hash(data))), **about}

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has in the base class
        pass


@contextmanager
def gcs_server(files: dict[str, bytes]) -> Iterator[None]:
    """Serve objects of the bucket ``birds``, with the environment set so that gcsfs finds it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.files = files  # type: ignore[attr-defined] # for the handler
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_address[1]}")
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it would ask Google what kind of bucket it is
        patch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        remote_store._store.cache_clear()
        yield
        remote_store._store.cache_clear()
    server.shutdown()
    server.server_close()
    thread.join()
