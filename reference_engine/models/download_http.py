"""A strict HTTP request for a file or the rest of it. The response is checked before it is used.

Follows RFC 9110 (14.2 Range, 13.1.5 If-Range, 14.4 Content-Range, 10.2.3 Retry-After), on the standard
library's `urllib`.
"""

from __future__ import annotations

import email.utils
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.message import Message
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..errors import ConfigError, ModelNotLoaded, SDKError
from ..version import __version__

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class DownloadError(ModelNotLoaded):
    """A file could not be downloaded. `reason`: "network" (unreachable, or the connection broke), "http" (the
    server refused), "short" (the file ends before its declared length), "hash" (wrong bytes), or "disk".
    """

    def __init__(self, reason: str, message: str, remedies: tuple[str, ...]) -> None:
        super().__init__(message, remedies)
        self.reason = reason


class DownloadCancelled(SDKError):
    """The caller cancelled the download. The received bytes stay for the next try."""

    code = "ERR_CANCELLED"


class Interrupted(Exception):
    """A failed request that is worth a retry. `wait` is the server's requested delay in seconds."""

    def __init__(self, reason: str, what: str, wait: float = 0.0) -> None:
        super().__init__(what)
        self.reason, self.wait = reason, wait


@dataclass(frozen=True)
class Response:
    """An open response body. Its first byte is byte `start` of a file of `total` bytes, as far as the server
    said.
    """

    start: int
    total: int | None
    validator: str | None
    framed: bool
    body: http.client.HTTPResponse

    def read(self, limit: int) -> bytes:
        """The next available bytes; empty at the end. Raises Interrupted."""
        try:
            return self.body.read1(limit)
        except (OSError, http.client.HTTPException) as error:
            raise _interrupted(error) from error


class Client:
    """An HTTP client. `proxies` maps "http" and "https" to a proxy's URL; None uses the system's settings, {}
    no proxy. `timeout` (in seconds) applies to each single wait for the network. `receive_buffer` (in bytes)
    limits how far the system reads ahead.
    """

    def __init__(
        self,
        *,
        timeout: float,
        proxies: Mapping[str, str] | None,
        tls: ssl.SSLContext | None,
        receive_buffer: int | None = None,
    ) -> None:
        self._timeout = timeout
        # Not with `build_opener`, which adds ftp:, file: and data: as targets of redirects.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(None if proxies is None else dict(proxies)),
            urllib.request.UnknownHandler(),
            _http_handler(receive_buffer),
            _https_handler(tls or ssl.create_default_context(), receive_buffer),
            urllib.request.HTTPDefaultErrorHandler(),
            _Redirects(),
            urllib.request.HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    @contextmanager
    def get(self, url: str, start: int = 0, validator: str | None = None) -> Iterator[Response]:
        """Requests `url` from byte `start` on, if it still has that `validator`.

        Raises Interrupted if a retry may help, and DownloadError if it cannot.
        """
        headers = {"User-Agent": f"sd-certify/{__version__}", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if validator is not None:
                headers["If-Range"] = validator
        request = urllib.request.Request(url, headers=headers)
        try:
            response = self._opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(url, error.code, error.headers, ranged=bool(start)) from None
        except (OSError, http.client.HTTPException) as error:
            if (problem := _certificate_problem(error)) is not None:
                raise DownloadError(
                    "network",
                    f"{shown(url)} has no valid certificate: {problem}.",
                    (
                        "Check the address, and this machine's clock and certificates.",
                        "Behind a proxy that decrypts TLS, pass its certificate in a `tls` context.",
                    ),
                ) from None
            raise _interrupted(error) from error
        with response:
            yield _read_response(url, response, start)


def check_url(url: str) -> str:
    """`url`, if it is valid for a download. Raises ConfigError."""
    if mistake := url_mistake(url):
        raise ConfigError("The download", [f"url: {mistake}"], ["Write it like https://host/folder/file."])
    return url


def url_mistake(url: object) -> str | None:
    """The mistake in a URL for a download, as the end of a sentence; None if it is valid."""
    if not isinstance(url, str) or not url.isascii() or re.search(r"[\x00-\x20\x7f]", url):
        return f"must be a URL in ASCII without spaces, not {url!r}."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"is not a URL: {url!r}."
    if parts.scheme not in ("http", "https") or not host:
        return f"must begin with https:// or http:// and a host, not {url!r}."
    if parts.username is not None or parts.password is not None:
        return "must not have a user name or a password in it."
    if parts.fragment:
        return f"must not have a #fragment: {parts.fragment!r}."
    return None


def shown(url: str) -> str:
    """The URL for messages: without its query, which may be a secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _read_response(url: str, response: http.client.HTTPResponse, start: int) -> Response:
    headers = response.headers
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise DownloadError(
            "http",
            f"{shown(url)} was sent with the encoding {encoding}, which was not requested.",
            ("Use an address that serves the file itself.",),
        )
    framed = response.length is not None or headers.get("Transfer-Encoding", "").lower() == "chunked"
    validator = _validator(headers)
    if response.status == 200:
        return Response(0, response.length, validator, framed, response)
    if response.status != 206:
        raise _refusal(url, response.status, headers, ranged=False)
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None or int(match[1]) != start or not start:
        raise Interrupted("part", "it sent another part of the file than the requested one")
    total = None if match[3] == "*" else int(match[3])
    return Response(start, total, validator, framed, response)


def _refusal(url: str, status: int, headers: Message, *, ranged: bool) -> Exception:
    phrase = http.client.responses.get(status, "unknown status")
    if status in _RETRIED:
        return Interrupted("http", f"it answered {status} ({phrase})", _retry_after(headers))
    if status == 416 and ranged:
        return Interrupted("range", "it has no such part of the file")
    remedies = {
        401: "The file needs a login; use an address without a login, or a local folder.",
        403: "Check that the model's terms were accepted, and that a signed address has not expired.",
        404: "Check the address.",
        410: "The file was removed; find out where it is published now.",
        407: "Give the proxy's user name and password in the proxy's URL.",
    }
    remedy = remedies.get(status, "Open the address in a browser to see the server's message.")
    return DownloadError("http", f"{shown(url)} was refused: {status} ({phrase}).", (remedy,))


def _retry_after(headers: Message) -> float:
    """Seconds, from either form of the header; 0 if it is missing or invalid."""
    value = str(headers.get("Retry-After", "")).strip()
    if value.isdecimal() and len(value) < 10:
        return float(value)
    if (date := _date(value)) is not None:
        return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
    return 0.0


def _validator(headers: Message) -> str | None:
    """A validator for If-Range: a strong ETag, or a date that is strong by RFC 9110, 8.8.2.2."""
    etag = str(headers.get("ETag", "")).strip()
    if etag:
        return etag if etag.startswith('"') else None
    modified = str(headers.get("Last-Modified", "")).strip()
    changed, answered = _date(modified), _date(str(headers.get("Date", "")))
    if changed is None or answered is None or answered - changed < timedelta(seconds=1):
        return None
    return modified


def _date(text: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def _interrupted(error: Exception) -> Interrupted:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):  # socket.timeout is the same since Python 3.10
        reason = "no data arrived in time"
    elif isinstance(cause, socket.gaierror):
        reason = "there is no such host, or no network"
    elif isinstance(cause, http.client.HTTPException) and not isinstance(cause, ConnectionError):
        reason = "the connection broke, or the response is not HTTP"
    else:
        reason = str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
    return Interrupted("network", reason)


def _certificate_problem(error: Exception) -> str | None:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """At most ten, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        newurl = newurl.partition("#")[0]
        if url_mistake(newurl) or (req.type == "https" and not newurl.startswith("https:")):
            raise DownloadError(
                "http",
                f"{shown(req.full_url)} redirects to an address that is not allowed: {shown(newurl)}.",
                ("Use the target address directly, if you trust it.",),
            )
        # Python 3.10 does not support 308, which is the same as 307 for GET.
        return super().redirect_request(req, fp, 307 if code == 308 else code, msg, headers, newurl)

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302


def _http_handler(receive_buffer: int | None) -> urllib.request.HTTPHandler:
    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            _bound(self.sock, receive_buffer)

    class Handler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Connection, req)

    return Handler()


def _https_handler(tls: ssl.SSLContext, receive_buffer: int | None) -> urllib.request.HTTPSHandler:
    class Connection(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            _bound(self.sock, receive_buffer)

    class Handler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Connection, req, context=tls)

    return Handler()


def _bound(connection: socket.socket, receive_buffer: int | None) -> None:
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
