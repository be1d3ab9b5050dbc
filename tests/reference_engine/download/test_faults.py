"""A3: a download is the right file or none, whatever the server does."""

from __future__ import annotations

from email.utils import formatdate
from pathlib import Path

import pytest

from reference_engine.errors import ModelNotLoaded
from reference_engine.models.download import DownloadError
from tests.reference_engine.download.fetching import CONTENT, OTHER, SHA256, get, leftovers
from tests.reference_engine.fault_server import Faults, FaultServer


def test_a_plain_download_is_whole_and_leaves_nothing_beside_it(server: FaultServer, target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    got = get(server, target, sha256=SHA256.upper(), progress=lambda done, total: told.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert (got.size, got.sha256, got.verified, got.received) == (len(CONTENT), SHA256, True, len(CONTENT))
    assert leftovers(target) == []
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert server.seen[0].headers["Accept-Encoding"] == "identity"


def test_without_a_hash_the_result_says_that_nobody_verified_it(server: FaultServer, target: Path) -> None:
    got = get(server, target)
    assert (got.verified, got.sha256, target.read_bytes() == CONTENT) == (False, SHA256, True)


FAULTS = {
    "no ranges": Faults(ranges=False),
    "cut every so often": Faults(cut_after=150_000),
    "reset every so often": Faults(cut_after=150_000, reset=True),
    "cut once at a place, no ranges, then whole": Faults(statuses=[(503, {})], ranges=False),
    "503 twice with Retry-After": Faults(statuses=[(503, {"Retry-After": "0"}), (503, {"Retry-After": "0"})]),
    "429 with a date": Faults(statuses=[(429, {"Retry-After": formatdate(0, usegmt=True)})]),
    "chunked": Faults(chunked=True, cut_after=200_000),
    "no length": Faults(no_length=True),
    "no validator": Faults(etag=None, cut_after=200_000),
    "a weak validator": Faults(etag='W/"one"', cut_after=200_000),
    "no ETag in a 206": Faults(etag_in_206=False, cut_after=200_000),
    "a date instead of an ETag": Faults(etag=None, last_modified=1e9, cut_after=200_000),
    "slow drip": Faults(drip=0.002, piece=7001),
    "redirect": Faults(redirect="/elsewhere"),
    "a length that is too long, though the hash is right": Faults(length_lie=1000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_can_be_mended_costs_time_and_nothing_else(
    server: FaultServer, target: Path, fault: str
) -> None:
    server.files["/elsewhere"] = CONTENT
    server.faults = Faults(**{**vars(FAULTS[fault]), "statuses": list(FAULTS[fault].statuses)})
    get(server, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == []


@pytest.mark.parametrize("fault", ["cut every so often", "reset every so often", "a date instead of an ETag"])
def test_a_cut_file_is_resumed_and_hardly_a_byte_is_sent_twice(
    server: FaultServer, target: Path, fault: str
) -> None:
    server.faults = FAULTS[fault]
    got = get(server, target)
    assert target.read_bytes() == CONTENT
    assert got.requests == len(server.seen) > 3
    assert got.received == len(CONTENT)
    assert None not in server.ranges_asked[1:]
    assert all("If-Range" in seen.headers for seen in server.seen[1:])


WRONG = {
    "wrong bytes of the right size": ({"/file": OTHER}, Faults(), "hash"),
    "one wrong bit": ({"/file": CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])}, Faults(), "hash"),
    "a length that is too short": ({"/file": CONTENT}, Faults(length_lie=-1000), "hash"),
    "a length that is too long, and the hash of it": (
        {"/file": CONTENT[:-1000]},
        Faults(length_lie=1000),
        "short",
    ),
    "always cut half way, no ranges": ({"/file": CONTENT}, Faults(ranges=False, cut_at=350_000), "short"),
    "always cut at one place": ({"/file": CONTENT}, Faults(cut_at=350_000, ranges=False, reset=True), "net"),
    "an error page as 200": ({"/file": b"<h1>Please log in</h1>"}, Faults(), "hash"),
    "an error page as 404": ({}, Faults(), "http"),
    "403": ({"/file": CONTENT}, Faults(statuses=[(403, {})]), "http"),
    "503 for ever": ({"/file": CONTENT}, Faults(statuses=[(503, {})] * 20), "http"),
    "gzip that nobody asked for": ({"/file": CONTENT}, Faults(encoding="gzip"), "http"),
    "an empty file": ({"/file": b""}, Faults(), "hash"),
    "a redirect in a circle": ({"/file": CONTENT}, Faults(redirect="/file?"), "http"),
    "a redirect to a local file": ({"/file": CONTENT}, Faults(redirect="file:///etc/hostname"), "http"),
    "a redirect to ftp": ({"/file": CONTENT}, Faults(redirect="ftp://127.0.0.1/file"), "http"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_cannot_be_mended_is_an_error_that_says_what_to_do_and_never_a_file(
    target: Path, fault: str
) -> None:
    """A3, B6"""
    files, faults, reason = WRONG[fault]
    copy = Faults(**{**vars(faults), "statuses": list(faults.statuses)})
    with FaultServer(dict(files), copy).running() as server:
        with pytest.raises(ModelNotLoaded) as caught:
            get(server, target, sha256=SHA256, downloader={"retries": 3})
        assert len(server.seen) <= 12
    assert isinstance(caught.value, DownloadError)
    assert (caught.value.code, caught.value.reason[:3]) == ("ERR_MODEL_NOT_LOADED", reason[:3])
    assert caught.value.remedies
    assert not target.exists()
    if reason == "hash":
        assert leftovers(target) == []
        assert f"not {SHA256}" in caught.value.message


def test_a_file_shorter_than_its_own_length_is_an_error_without_a_hash_too(
    server: FaultServer, target: Path
) -> None:
    server.faults.length_lie = 1000
    with pytest.raises(DownloadError, match="breaks off repeatedly") as caught:
        get(server, target)
    assert (caught.value.reason, target.exists()) == ("short", False)


def test_a_length_that_is_too_short_is_believed_without_a_hash_but_not_called_verified(
    server: FaultServer, target: Path
) -> None:
    """Nobody could know; so the SDK itself never downloads without a hash."""
    server.faults.length_lie = -1000
    got = get(server, target)
    assert (got.size, got.verified) == (len(CONTENT) - 1000, False)


def test_an_old_file_in_the_target_survives_a_failed_download(server: FaultServer, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    server.files["/file"] = OTHER
    with pytest.raises(DownloadError, match="sha256"):
        get(server, target, sha256=SHA256)
    assert target.read_bytes() == b"old"
