"""A3: a broken download is gone on with, and never with another file's bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.reference_engine.download.fetching import CONTENT, OTHER, SHA256, get, leave_a_part
from tests.reference_engine.fault_server import Faults, FaultServer


@pytest.mark.parametrize("known", [None, SHA256], ids=["without hash", "with hash"])
def test_a_later_download_goes_on_where_the_first_broke_off(
    server: FaultServer, target: Path, known: str | None
) -> None:
    left = leave_a_part(server, target, sha256=known)
    got = get(server, target, sha256=known)
    assert target.read_bytes() == CONTENT
    assert (got.resumed_from, got.received) == (left, len(CONTENT) - left)
    assert server.ranges_asked == [left]


def test_a_file_that_changed_between_two_downloads_is_begun_again(server: FaultServer, target: Path) -> None:
    leave_a_part(server, target)
    server.files["/file"], server.faults.etag = OTHER, '"two"'
    get(server, target)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("known", [False, True], ids=["without hash", "with hash"])
def test_a_change_is_noticed_on_a_server_that_ignores_if_range(
    server: FaultServer, target: Path, known: bool
) -> None:
    leave_a_part(server, target)
    server.files["/file"] = OTHER
    server.faults = Faults(etag='"two"', honours_if_range=False)
    get(server, target, sha256=hashlib.sha256(OTHER).hexdigest() if known else None)
    assert target.read_bytes() == OTHER
    assert len(server.seen) == 2


def test_a_206_without_validator_is_believed_only_if_the_whole_is_as_long_as_before(
    server: FaultServer, target: Path
) -> None:
    leave_a_part(server, target)
    server.files["/file"] = OTHER + b"longer"
    server.faults = Faults(etag_in_206=False, honours_if_range=False)
    get(server, target)
    assert target.read_bytes() == OTHER + b"longer"


def test_an_etag_that_changes_in_the_middle_of_a_download_begins_it_again(
    server: FaultServer, target: Path
) -> None:
    server.faults = Faults(cut_at=300_000)

    def change(done: int, total: int | None) -> None:
        if server.faults.etag == '"one"' and done:
            server.files["/file"] = OTHER
            server.faults = Faults(etag='"two"')

    got = get(server, target, progress=change)
    assert target.read_bytes() == OTHER
    assert (got.sha256, got.requests) == (hashlib.sha256(OTHER).hexdigest(), 2)


def test_a_changed_file_of_equal_etag_is_mended_by_its_hash(server: FaultServer, target: Path) -> None:
    """A server whose ETag does not change with the file would have two files mixed into one."""
    leave_a_part(server, target)
    server.files["/file"] = OTHER
    get(server, target, sha256=hashlib.sha256(OTHER).hexdigest())
    assert target.read_bytes() == OTHER
    assert server.ranges_asked[-1] is None


@pytest.mark.parametrize("faults", [Faults(etag=None), Faults(etag='W/"one"')], ids=["none", "a weak one"])
def test_without_validator_and_hash_a_part_is_not_trusted(
    server: FaultServer, target: Path, faults: Faults
) -> None:
    server.faults = faults
    leave_a_part(server, target)
    get(server, target)
    assert server.ranges_asked == [None]
    assert target.read_bytes() == CONTENT


def test_a_206_of_another_place_is_not_appended(server: FaultServer, target: Path) -> None:
    leave_a_part(server, target)
    server.faults = Faults(range_lie=-5)
    get(server, target)
    assert target.read_bytes() == CONTENT
    assert len(server.ranges_asked) == 2


def test_a_part_that_rotted_on_the_disk_is_fetched_again(server: FaultServer, target: Path) -> None:
    leave_a_part(server, target)
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(b"\0" * part.stat().st_size)
    got = get(server, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert got.requests == 2


@pytest.mark.parametrize("meta", [None, "", "{", "[]", '{"source": 1, "validator": 2, "total": "3"}'])
def test_a_part_without_a_sound_meta_is_thrown_away(
    server: FaultServer, target: Path, meta: str | None
) -> None:
    leave_a_part(server, target)
    file = target.with_name(f"{target.name}.meta")
    file.unlink() if meta is None else file.write_text(meta)
    get(server, target)
    assert server.ranges_asked == [None]
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_already_whole_needs_no_request(server: FaultServer, target: Path) -> None:
    leave_a_part(server, target, sha256=SHA256)
    target.with_name(f"{target.name}.part").write_bytes(CONTENT)
    got = get(server, target, sha256=SHA256)
    assert (got.requests, got.received, target.read_bytes() == CONTENT) == (0, 0, True)


def test_a_part_longer_than_the_file_is_thrown_away(server: FaultServer, target: Path) -> None:
    leave_a_part(server, target, sha256=SHA256)
    target.with_name(f"{target.name}.part").write_bytes(CONTENT + b"more")
    get(server, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_another_address_may_finish_what_the_hash_proves(server: FaultServer, target: Path) -> None:
    left = leave_a_part(server, target, sha256=SHA256)
    server.files["/mirror"] = CONTENT
    got = get(server, target, url=server.url("/mirror"), sha256=SHA256)
    assert (got.resumed_from, target.read_bytes() == CONTENT) == (left, True)
    assert "If-Range" not in server.seen[0].headers
