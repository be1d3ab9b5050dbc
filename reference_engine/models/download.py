"""Downloads a file so that it is either complete and correct, or not there at all."""

from __future__ import annotations

import random
import shutil
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from .cache import locked
from .download_http import (
    Client,
    DownloadCancelled,
    DownloadError,
    Interrupted,
    Response,
    check_url,
    shown,
)
from .download_limit import TokenBucket
from .download_part import Meta, Part, source_name

__all__ = ["Download", "DownloadCancelled", "DownloadError", "HTTPDownloader"]

ByteProgress = Callable[[int, "int | None"], None]
"""Called with the bytes received so far and the size of the whole file (None if unknown)."""

_READ = 2**20
_ENOUGH = 2**16
_PROGRESS_SECONDS = 0.1
_MIN_RECEIVE_BUFFER = 2**14


@dataclass(frozen=True)
class Download:
    """A finished download. `received` counts the bytes that came over the network, `resumed_from` those from
    an earlier process. `verified` says whether the hash was known and checked.
    """

    path: Path
    size: int
    sha256: str
    verified: bool
    received: int
    resumed_from: int
    requests: int


class HTTPDownloader:
    """Downloads over HTTP and HTTPS, resumes after a break, and can limit the bandwidth. Thread-safe.

    The bytes so far are in `NAME.part`, and their source is in `NAME.meta`. The next download of the same
    target continues from there, in this process or another, if the server still has the same file.
    """

    def __init__(
        self,
        *,
        bandwidth_limit: int | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        backoff: float = 0.5,
        longest_wait: float = 60.0,
        proxies: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`bandwidth_limit` is in bytes per second, for all downloads of this downloader together.

        `timeout` is in seconds, for each single wait for the network. After a failure it waits `backoff`
        seconds, doubled each time, or as long as the server's Retry-After says, but never over
        `longest_wait`. After `retries` failures in a row without progress it gives up. `proxies` maps "http"
        and "https" to a proxy's URL; None uses the system's settings, {} no proxy.
        """
        for name, value, least in (
            ("bandwidth_limit", bandwidth_limit, 1),
            ("timeout", timeout, 0.001),
            ("retries", retries, 0),
            ("backoff", backoff, 0),
            ("longest_wait", longest_wait, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, not {value!r}")
        self._retries, self._backoff, self._longest_wait = retries, backoff, longest_wait
        self._bucket = TokenBucket(bandwidth_limit) if bandwidth_limit is not None else None
        # With a limit the system must not fill megabytes ahead of it.
        read_ahead = max(_MIN_RECEIVE_BUFFER, self._bucket.chunk) if self._bucket else None
        self._client = Client(timeout=timeout, proxies=proxies, tls=tls, receive_buffer=read_ahead)

    def download(
        self,
        url: str,
        target: str | Path,
        *,
        sha256: str | None = None,
        max_size: int | None = None,
        progress: ByteProgress | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Download:
        """Downloads `url` to `target`, and replaces a file that is already there.

        With `sha256` (64 hexadecimal digits) no other file ever gets there. Without, only the length that the
        server declares can be checked, and `verified` of the result is False. `max_size` is in bytes.
        `progress` is called at most ten times per second, and at the end. `cancelled` is called between
        reads. Raises DownloadError (code ERR_MODEL_NOT_LOADED), DownloadCancelled, and ConfigError for an
        invalid URL.
        """
        target = Path(target)
        check_url(url)
        job = _Job(url, sha256.lower() if sha256 else None, max_size, progress, cancelled)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            lock = target.with_name(f"{target.name}.lock")
            with locked(lock, job.alive), closing(Part(target, job.alive)) as part:
                return self._complete(job, part)
        except OSError as error:  # network errors never get this far
            raise DownloadError(
                "disk",
                f"{shown(url)} cannot be written to {target}: {error.strerror or error}.",
                ("Make room on the disk, or choose a folder that can be written to.",),
            ) from error

    def _complete(self, job: _Job, part: Part) -> Download:
        resumed_from, failures, furthest = part.size, 0, part.size
        from_scratch = False
        while True:
            try:
                if not (part.complete and job.sha256):
                    self._request(job, part)
            except Interrupted as broken:
                if part.size and job.sha256 == part.sha256:
                    break  # whatever length the server declares
                if part.size >= furthest + _ENOUGH:
                    failures, furthest = 0, part.size
                failures += 1
                self._wait(job, part, broken, failures)
                continue
            if job.sha256 in (None, part.sha256):
                break
            pieced = part.inherited or part.pieces > 1
            actual = part.sha256
            part.discard_bytes()
            if from_scratch or not pieced:
                raise _wrong_bytes(job, actual)
            from_scratch = True  # the pieces did not fit together; try once in one piece
        job.report(part, at_once=True)
        size, digest = part.size, part.sha256
        part.finish()
        return Download(
            part.target, size, digest, job.sha256 is not None, job.received, resumed_from, job.requests
        )

    def _request(self, job: _Job, part: Part) -> None:
        """Makes one request. Returns once the file is complete. Raises Interrupted."""
        job.alive()
        source = source_name(job.url)
        known = part.meta.validator if part.meta and part.meta.source == source else None
        if part.size and known is None and job.sha256 is None:
            part.discard_bytes()  # there is no way to check that the rest belongs to it
        job.requests += 1
        try:
            with self._client.get(job.url, part.size, known) as response:
                self._take_up(job, part, response, source)
                self._copy(job, part, response)
        except Interrupted as broken:
            if broken.reason in ("range", "part"):
                part.discard_bytes()
            raise
        total = part.meta.total if part.meta else None
        if total is not None and part.size < total:
            raise Interrupted("short", f"it ended after {part.size} of {total} bytes")

    def _take_up(self, job: _Job, part: Part, response: Response, source: str) -> None:
        """Prepares the part so that the response's body continues it."""
        meta = Meta(source, response.validator, response.total)
        if job.max_size is not None and (response.total or 0) > job.max_size:
            raise _too_large(job)
        if response.start:
            if part.meta is None or not _same_file(part.meta, meta):
                raise Interrupted("part", "the server's file has changed")
            part.meta = replace(part.meta, total=part.meta.total or response.total)
        else:
            part.restart(meta)
        if not response.framed and job.sha256 is None:
            raise DownloadError(
                "short",
                f"{shown(job.url)} does not declare its length, so an incomplete file could look complete.",
                ("Give the file's sha256.",),
            )
        room = shutil.disk_usage(part.target.parent).free
        if response.total is not None and response.total - part.size > room:
            raise DownloadError(
                "disk",
                f"{shown(job.url)} needs {response.total - part.size} more bytes, but only {room} are free "
                f"in {part.target.parent}.",
                ("Make room on the disk, or choose another folder.",),
            )
        part.pieces += 1

    def _copy(self, job: _Job, part: Part, response: Response) -> None:
        bucket = self._bucket
        most = min(_READ, bucket.chunk) if bucket else _READ
        if bucket:
            bucket.begin()
        total = part.meta.total if part.meta else None
        while total is None or part.size < total:
            data = response.read(most if total is None else min(most, total - part.size))
            if not data:
                return
            part.append(data)
            job.received += len(data)
            if job.max_size is not None and part.size > job.max_size:
                part.discard_bytes()
                raise _too_large(job)
            job.report(part)
            job.alive()
            if bucket:
                bucket.spend(len(data))

    def _wait(self, job: _Job, part: Part, broken: Interrupted, failures: int) -> None:
        if failures > self._retries or broken.wait > self._longest_wait:
            raise _given_up(job, part, broken)
        own = min(self._backoff * 2 ** (failures - 1), self._longest_wait) * random.uniform(0.75, 1.0)
        until = time.monotonic() + max(own, broken.wait)
        while (left := until - time.monotonic()) > 0:
            job.alive()
            time.sleep(min(left, 0.05))


class _Job:
    """The parameters of one download, and its counters."""

    def __init__(
        self,
        url: str,
        sha256: str | None,
        max_size: int | None,
        progress: ByteProgress | None,
        cancelled: Callable[[], bool],
    ) -> None:
        self.url, self.sha256, self.max_size = url, sha256, max_size
        self.received = self.requests = 0
        self._progress, self._cancelled = progress, cancelled
        self._reported = 0.0

    def alive(self) -> None:
        if self._cancelled():
            raise DownloadCancelled(
                f"The download of {shown(self.url)} was cancelled.",
                ["Start it again: it continues from the received bytes, if the server allows it."],
            )

    def report(self, part: Part, *, at_once: bool = False) -> None:
        if self._progress is None:
            return
        now = time.monotonic()
        if at_once or now - self._reported >= _PROGRESS_SECONDS:
            self._reported = now
            self._progress(part.size, part.meta.total if part.meta else None)


def _same_file(before: Meta, now: Meta) -> bool:
    """Whether a 206 response continues the part. It may have no validator."""
    if now.validator is not None and before.source == now.source and now.validator != before.validator:
        return False
    return before.total == now.total or None in (before.total, now.total)


def _given_up(job: _Job, part: Part, broken: Interrupted) -> DownloadError:
    reason = {"range": "short", "part": "http"}.get(broken.reason, broken.reason)
    if reason == "short":
        problem = "breaks off repeatedly"
        remedies = ("Get the file from another address: this server does not send it completely.",)
    elif broken.wait:
        problem = f"requires a wait of {broken.wait:.0f} seconds"
        remedies = ("Try again after that time.",)
    else:
        problem = "cannot be downloaded"
        remedies = ("Check the network, the proxy settings and the address, and try again.",)
    kept = f" {part.size} bytes are kept, and the next try continues from there." if part.size else ""
    return DownloadError(reason, f"{shown(job.url)} {problem}: {broken}.{kept}", remedies)


def _wrong_bytes(job: _Job, actual: str) -> DownloadError:
    return DownloadError(
        "hash",
        f"{shown(job.url)} is not the requested file: its sha256 is {actual}, not {job.sha256}. The received "
        "bytes were deleted.",
        (
            "Check the address and the sha256 against where both were published.",
            "If both are right, the server or a proxy sends a changed file: use another one.",
        ),
    )


def _too_large(job: _Job) -> DownloadError:
    return DownloadError(
        "http",
        f"{shown(job.url)} is larger than the allowed {job.max_size} bytes.",
        ("Check the address.",),
    )
