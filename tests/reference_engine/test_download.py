"""A3: a download is the right file or none, whatever the server does."""

from __future__ import annotations

import hashlib
import random
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from reference_engine.errors import ConfigError, ModelNotLoaded
from reference_engine.models.download import Download, DownloadCancelled, DownloadError, HTTPDownloader
from reference_engine.models.download_part import Part
from tests.reference_engine.fault_server import Faults, FaultServer

CONTENT = random.Random(1).randbytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = random.Random(2).randbytes(700_000)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/file": CONTENT}).running() as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "file.safetensors"


def get(server: FaultServer, target: Path, **options: Any) -> Download:
    own = {"backoff": 0.001, "timeout": 5.0, **options.pop("downloader", {})}
    return HTTPDownloader(**own).download(options.pop("url", server.url()), target, **options)


def leftovers(target: Path) -> list[str]:
    return sorted(file.name for file in target.parent.iterdir() if file != target)


def leave_a_part(server: FaultServer, target: Path, **options: Any) -> int:
    """Breaks a download off after a part; its size."""
    before, server.faults = server.faults, Faults(**{**vars(server.faults), "cut_after": 300_000})
    with pytest.raises(DownloadError):
        get(server, target, downloader={"retries": 0}, **options)
    server.faults = before
    server.seen.clear()
    return target.with_name(f"{target.name}.part").stat().st_size


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
    with pytest.raises(DownloadError, match="breaks off again and again") as caught:
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


def test_a_server_that_does_not_say_a_length_is_refused_without_a_hash(
    server: FaultServer, target: Path
) -> None:
    """A cut would look like the end."""
    server.faults = Faults(no_length=True, cut_after=300_000)
    with pytest.raises(DownloadError, match="does not say how long"):
        get(server, target)
    assert not target.exists()


@pytest.mark.parametrize("faults", [Faults(), Faults(chunked=True, endless=True), Faults(no_length=True)])
def test_more_than_max_size_is_never_kept(server: FaultServer, target: Path, faults: Faults) -> None:
    server.faults = faults
    with pytest.raises(DownloadError, match="larger than the 1000 bytes"):
        get(server, target, sha256=SHA256, max_size=1000)
    assert not target.exists()
    assert leftovers(target) == []


def test_waiting_longer_than_allowed_is_left_to_the_user(server: FaultServer, target: Path) -> None:
    server.faults.statuses = [(503, {"Retry-After": "3600"})]
    started = time.monotonic()
    with pytest.raises(DownloadError, match="3600 seconds"):
        get(server, target)
    assert time.monotonic() - started < 2


def test_retry_after_is_waited_for(server: FaultServer, target: Path) -> None:
    server.faults.statuses = [(503, {"Retry-After": "1"})]
    started = time.monotonic()
    get(server, target)
    assert time.monotonic() - started >= 1.0


def test_progress_gives_new_tries(server: FaultServer, target: Path) -> None:
    server.faults.cut_after = 70_000
    assert get(server, target, downloader={"retries": 1}).requests == 10


def test_a_server_that_goes_silent_is_a_network_error_in_time(server: FaultServer, target: Path) -> None:
    server.faults.stall_after = 100_000
    started = time.monotonic()
    with pytest.raises(DownloadError, match="nothing came in time") as caught:
        get(server, target, downloader={"timeout": 0.2, "retries": 0})
    assert caught.value.reason == "network"
    assert "bytes are kept" in caught.value.message
    assert time.monotonic() - started < 3


def test_nobody_listening_is_a_network_error(tmp_path: Path) -> None:
    with FaultServer({}).running() as gone:
        url = gone.url()
    with pytest.raises(DownloadError) as caught:
        HTTPDownloader(retries=1, backoff=0.001).download(url, tmp_path / "file")
    assert caught.value.reason == "network"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("faults", [Faults(), Faults(drip=0.01, piece=1000)], ids=["fast", "slow drip"])
def test_a_cancelled_download_stops_soon_and_keeps_its_part(
    server: FaultServer, target: Path, faults: Faults
) -> None:
    server.faults = faults
    stop = threading.Event()
    with pytest.raises(DownloadCancelled) as caught:
        get(server, target, progress=lambda done, total: stop.set(), cancelled=stop.is_set)
    assert caught.value.code == "ERR_CANCELLED"
    assert not target.exists()
    assert leftovers(target) == [f"{target.name}.meta", f"{target.name}.part"]
    server.faults = Faults()
    assert get(server, target).resumed_from > 0
    assert target.read_bytes() == CONTENT


def test_a_full_disk_is_told_before_the_download(
    server: FaultServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(DownloadError, match="only 1000 are free") as caught:
        get(server, target)
    assert caught.value.reason == "disk"


def test_a_disk_that_fills_up_is_told_apart_from_the_network(
    server: FaultServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Part, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Part, "append", full)
    with pytest.raises(DownloadError, match="No space left on device") as caught:
        get(server, target)
    assert caught.value.reason == "disk"


def test_many_askers_for_one_target_get_one_sound_file(server: FaultServer, target: Path) -> None:
    server.faults = Faults(cut_after=200_000)
    got: list[Download] = []
    askers = [
        threading.Thread(target=lambda: got.append(get(server, target, sha256=SHA256))) for _ in range(4)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(20)
    assert len(got) == 4
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == []


@pytest.mark.parametrize(
    "url",
    ["", "file:///etc/passwd", "ftp://host/file", "https://", "http://me:secret@host/f", "http://h/a b", 3],
)
def test_what_is_no_address_is_refused_before_anything_is_asked(url: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="url"):
        HTTPDownloader().download(url, tmp_path / "file")


def test_a_signed_address_is_a_secret(server: FaultServer, target: Path) -> None:
    url = server.url("/file?signature=hush")
    with pytest.raises(DownloadError) as caught:
        get(server, target, url=url, sha256=hashlib.sha256(OTHER).hexdigest())
    assert "hush" not in str(caught.value)
    server.faults = Faults(cut_after=300_000)
    with pytest.raises(DownloadError):
        get(server, target, url=url, downloader={"retries": 0})
    assert "hush" not in target.with_name(f"{target.name}.meta").read_text()


def test_a_proxy_is_asked_for_the_whole_address(server: FaultServer, target: Path) -> None:
    get(
        server,
        target,
        url="http://models.invalid/file",
        sha256=SHA256,
        downloader={"proxies": {"http": server.url("")}},
    )
    assert server.seen[0].path == "http://models.invalid/file"
    assert target.read_bytes() == CONTENT


def test_the_systems_proxy_is_used_unless_told_otherwise(
    server: FaultServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url(""))
    get(server, target, url="http://models.invalid/file")
    assert target.read_bytes() == CONTENT
    get(server, target, downloader={"proxies": {}})
    assert server.seen[-1].path == "/file"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of our own for 127.0.0.1, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    request = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        ["openssl", *request.split(), "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


def test_tls_proves_the_server_and_nothing_is_taken_from_another(
    target: Path, certificate: tuple[Path, Path]
) -> None:
    server = FaultServer({"/file": CONTENT}, Faults(cut_after=300_000))
    server.use_tls(*certificate)
    with server.running():
        with pytest.raises(DownloadError, match="does not prove who it is") as caught:
            get(server, target)
        assert (caught.value.reason, len(server.seen), target.exists()) == ("network", 0, False)
        trusting = {"tls": ssl.create_default_context(cafile=str(certificate[0]))}
        get(server, target, downloader=trusting)
        assert target.read_bytes() == CONTENT
        server.faults = Faults(redirect="http://127.0.0.1:1/file")
        with pytest.raises(DownloadError, match="redirects to where it must not"):
            get(server, target, downloader=trusting)
