"""A web server that sends more than it was asked for is left at the limit, while it still sends."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headstart.extractors.errors import ImageSetError, NotReadError
from headstart.extractors.images.image_set import ImageSource
from headstart.extractors.images.reading import digest_bytes, read_bytes
from headstart.extractors.images.remote import objects
from headstart.extractors.images.roots import RemoteRoot
from headstart.extractors.images.sources import list_images

ENOUGH = 512 * 2**20  # the server stops by itself, or a failing test would fill the memory
BUFFERS = 32 * 2**20  # of sockets, and of what reads them


class _Endless(BaseHTTPRequestHandler):
    sent = 0

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        piece = bytes(2**20)
        try:
            while type(self).sent < ENOUGH:
                self.wfile.write(piece)
                type(self).sent += len(piece)
        except OSError:
            pass  # whoever asked has gone, as it should

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has in the base class
        pass


@pytest.fixture
def endless() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    _Endless.sent = 0
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("read", [read_bytes, digest_bytes])
@pytest.mark.parametrize(
    "image", [ImageSource("a.jpg", None, None, 1000), ImageSource("a.tar/a.jpg", "a.tar", 512, 1000)]
)
def test_an_image_without_an_end(endless: str, read: object, image: ImageSource) -> None:
    with pytest.raises(NotReadError, match=r"100[12] bytes came of"):
        read(RemoteRoot(endless), image)
    assert _Endless.sent < BUFFERS


@pytest.mark.parametrize("name", ["set.tar", "set.zip"])
def test_an_archive_without_an_end(endless: str, name: str) -> None:
    with pytest.raises(ImageSetError):
        list_images(f"{endless}/{name}")
    assert _Endless.sent < BUFFERS


def test_a_manifest_without_an_end(endless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_LARGEST_MANIFEST", 2**20)
    with pytest.raises(ImageSetError, match="over 1048576 bytes, which no manifest has"):
        list_images(f"{endless}/set.csv")
    assert _Endless.sent < BUFFERS
