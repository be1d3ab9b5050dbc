"""A3: limits, waiting and cancelling; full disks, proxies and TLS."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from reference_engine.errors import ConfigError
from reference_engine.models.download import Download, DownloadCancelled, DownloadError, HTTPDownloader
from reference_engine.models.download_part import Part
from tests.reference_engine.download.fetching import CONTENT, OTHER, SHA256, get, leftovers
from tests.reference_engine.fault_server import Faults, FaultServer


def test_a_server_that_does_not_say_a_length_is_refused_without_a_hash(
    server: FaultServer, target: Path
) -> None:
    """A cut would look like the end."""
    server.faults = Faults(no_length=True, cut_after=300_000)
    with pytest.raises(DownloadError, match="does not declare its length"):
        get(server, target)
    assert not target.exists()


@pytest.mark.parametrize("faults", [Faults(), Faults(chunked=True, endless=True), Faults(no_length=True)])
def test_more_than_max_size_is_never_kept(server: FaultServer, target: Path, faults: Faults) -> None:
    server.faults = faults
    with pytest.raises(DownloadError, match="larger than the allowed 1000 bytes"):
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
    with pytest.raises(DownloadError, match="no data arrived in time") as caught:
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
        with pytest.raises(DownloadError, match="has no valid certificate") as caught:
            get(server, target)
        assert (caught.value.reason, len(server.seen), target.exists()) == ("network", 0, False)
        trusting = {"tls": ssl.create_default_context(cafile=str(certificate[0]))}
        get(server, target, downloader=trusting)
        assert target.read_bytes() == CONTENT
        server.faults = Faults(redirect="http://127.0.0.1:1/file")
        with pytest.raises(DownloadError, match="redirects to an address that is not allowed"):
            get(server, target, downloader=trusting)
