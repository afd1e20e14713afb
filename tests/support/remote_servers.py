"""Servers on loopback that hold images: one that speaks S3, and one that is a plain web server."""

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SECRET = "this-is-the-secret-key-of-nobody"  # noqa: S105 - tests look for it where it must not be
KEY_ID = "KEYIDOFNOBODY"


@dataclass
class S3:
    """A server that speaks S3, the requests it got, the bytes it gave, and the objects that it refuses to give."""

    client: Any
    requests: list[tuple[str, str]] = field(default_factory=list)
    refused: Callable[[str], bool] = lambda _path: False
    given: int = 0

    def put(self, bucket: str, folder: Path, prefix: str = "") -> str:
        """Store a folder's files below a prefix, and return the address of all."""
        self.client.create_bucket(Bucket=bucket)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            key = f"{prefix}{path.relative_to(folder).as_posix()}"
            self.client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        self.requests.clear()
        return f"s3://{bucket}/{prefix}".rstrip("/")

    def bodies(self) -> list[str]:
        """Return the keys of the objects that were read since the last `clear`, listings left out."""
        return [path for method, path in self.requests if method == "GET" and path.count("/") > 1]

    def middleware(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            path = environ["PATH_INFO"]
            self.requests.append((environ["REQUEST_METHOD"], path))
            if environ["REQUEST_METHOD"] == "GET" and self.refused(path):
                start("403 Forbidden", [("Content-Type", "application/xml")])
                return [b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"]
            answered = list(app(environ, start))
            self.given += sum(map(len, answered))
            return answered

        return answer


@contextmanager
def s3_server() -> Iterator[S3]:
    """Serve S3 on loopback, with the environment set so that every client finds it."""
    import boto3
    from moto.server import ThreadedMotoServer

    from headstart.extractors.images.remote import store as remote_store

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a failed test would show a line for each request
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        s3 = S3(client)
        wrapped = server._server
        wrapped.app = s3.middleware(wrapped.app)
        remote_store._store.cache_clear()
        yield s3
        client.close()
        remote_store._store.cache_clear()
    server.stop()


@dataclass
class Web:
    """A web server, the requests it got, and how it answers: ranges or not, busy at first, elsewhere."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    ranges: bool = True
    tags: bool = True
    busy: int = 0
    redirects: dict[str, str] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def web(self) -> Web:
        return self.server.web  # type: ignore[attr-defined] # `web_server` puts it there

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        name = self.path.lstrip("/")
        file = self.web.files.get(name.partition("?")[0])
        self.web.requests.append((self.command, name))
        if name in self.web.redirects:
            self._send(302, b"", {"Location": self.web.redirects[name]})
        elif self.web.busy > 0:
            self.web.busy -= 1
            self._send(503, b"", {})
        elif file is None:
            self._send(404, b"", {})
        else:
            headers = {"ETag": f'"{hash(file)}"'} if self.web.tags else {}
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if asked and self.web.ranges:
                self._send(206, file[int(asked[1]) : int(asked[2]) + 1], headers)
            else:
                self._send(200, file, headers)

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has in the base class
        pass


@contextmanager
def web_server() -> Iterator[Web]:
    """Serve files from memory on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    web = server.web = Web(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined] # for the handler
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield web
    server.shutdown()
    server.server_close()
    thread.join()
