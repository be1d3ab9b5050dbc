"""An HTTP server on loopback that misbehaves as it is told to, for the downloader's tests and benchmark.

It listens on 127.0.0.1 alone and never sends more than its files hold (or `Faults.longest` bytes of an
endless one).
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

_PIECE = 2**16


@dataclass
class Faults:
    """How the server behaves; may be changed between any two requests. All lengths are in bytes of a body."""

    ranges: bool = True
    """False: answers a Range request with 200 and the whole file."""
    etag: str | None = '"one"'
    last_modified: float | None = None
    """Seconds since 1970."""
    etag_in_206: bool = True
    honours_if_range: bool = True
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """The next answers, each given once, with an error page as body."""
    cut_after: int | None = None
    """Every body breaks off after so many bytes."""
    cut_at: int | None = None
    """A body breaks off at this place of the file."""
    reset: bool = False
    """Whether a cut is a reset, and not a polite end."""
    length_lie: int = 0
    """Added to the true Content-Length; the body stays what it is."""
    range_lie: int = 0
    """Added to the true start in Content-Range."""
    no_length: bool = False
    chunked: bool = False
    encoding: str | None = None
    redirect: str | None = None
    drip: float = 0.0
    """Seconds between two pieces of `piece` bytes."""
    piece: int = _PIECE
    endless: bool = False
    longest: int = 4 * 2**20
    stall_after: int | None = None
    """Sends nothing more after so many bytes, and keeps the connection."""


@dataclass
class Seen:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    start: int | None


class FaultServer(socketserver.ThreadingTCPServer):
    """Serves `files`, path to content or to a file on disk, with `faults`; keeps `seen` and `sent` bytes."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, files: dict[str, bytes | Path], faults: Faults | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.faults = files, faults or Faults()
        self.seen: list[Seen] = []
        self.sent = 0
        self.scheme = "http"
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def use_tls(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "https"

    def url(self, path: str = "/file") -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}{path}"

    @property
    def ranges_asked(self) -> list[int | None]:
        return [seen.start for seen in self.seen]

    @contextlib.contextmanager
    def running(self) -> Iterator[FaultServer]:
        thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self.shutdown()
            self.server_close()
            thread.join(5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultServer
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        server, faults = self.server, self.server.faults
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        with server.lock:
            start = int(asked[1]) if asked else None
            server.seen.append(Seen(self.path, dict(self.headers.items()), start))
            status = faults.statuses.pop(0) if faults.statuses else None
        if self.path == "/stats":
            return self._page(200, {}, str(server.sent).encode())
        if status is not None:
            return self._page(status[0], status[1], b"<h1>An error page, and no file</h1>")
        path = re.sub(r"^http://[^/]+", "", self.path).partition("?")[0]  # a proxy is asked for a whole URL
        if faults.redirect is not None and path != faults.redirect:
            return self._page(302, {"Location": faults.redirect}, b"elsewhere")
        if path not in server.files:
            return self._page(404, {}, b"no such file")
        content = server.files[path]
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        modified = formatdate(faults.last_modified, usegmt=True) if faults.last_modified else None
        if asked and faults.honours_if_range and (wanted := self.headers.get("If-Range")):
            asked = asked if wanted in (faults.etag, modified) else None
        begin = int(asked[1]) if asked and faults.ranges else 0
        if begin and begin >= size:
            return self._page(416, {"Content-Range": f"bytes */{size}"}, b"no such range")
        self._head(begin, size, modified)
        if isinstance(content, Path) and faults == Faults():
            self._send_file(content, begin)
        else:
            data = content.read_bytes() if isinstance(content, Path) else content
            self._send(data, begin)

    def _page(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _head(self, begin: int, size: int, modified: str | None) -> None:
        faults = self.server.faults
        self.send_response(206 if begin else 200)
        if begin:
            first = begin + faults.range_lie
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        if faults.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif not faults.no_length:
            self.send_header("Content-Length", str(size - begin + faults.length_lie))
        if faults.etag and (faults.etag_in_206 or not begin):
            self.send_header("ETag", faults.etag)
        if modified:
            self.send_header("Last-Modified", modified)
        if faults.encoding:
            self.send_header("Content-Encoding", faults.encoding)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()

    def _send_file(self, file: Path, begin: int) -> None:
        with file.open("rb") as stream:
            left = file.stat().st_size - begin
            while left:
                count = self.connection.sendfile(stream, begin, min(left, 2**20))
                begin, left = begin + count, left - count
                with self.server.lock:
                    self.server.sent += count

    def _send(self, data: bytes, begin: int) -> None:
        faults, sent, place = self.server.faults, 0, begin
        end = min(len(data), faults.cut_at if faults.cut_at and faults.cut_at > begin else len(data))
        if faults.cut_after is not None:
            end = min(end, begin + faults.cut_after)
        while place < end or (faults.endless and sent < faults.longest):
            if faults.stall_after is not None and sent >= faults.stall_after:
                self.server.closing.wait(self.timeout)
                return
            piece = data[place : min(place + faults.piece, end)] or data[: faults.piece]
            framed = b"%x\r\n%b\r\n" % (len(piece), piece) if faults.chunked else piece
            self.wfile.write(framed)
            sent, place = sent + len(piece), place + len(piece)
            with self.server.lock:
                self.server.sent += len(piece)
            if faults.drip:
                time.sleep(faults.drip)
        if faults.chunked and end == len(data):
            self.wfile.write(b"0\r\n\r\n")
        if end < len(data) and faults.reset:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
