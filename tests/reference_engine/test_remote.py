"""A3, B1: a model by URL and hash: one number pins every file, and only the whole model ever gets loaded."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reference_engine import SDK, ConfigError, ModelNotLoaded, PluginConfig
from reference_engine.models.download import DownloadCancelled, DownloadError, HTTPDownloader
from reference_engine.models.folder import CHECKSUMS, checksum_lines, checksums, folder_digest
from reference_engine.models.loader import ModelLoader
from reference_engine.models.remote import fetch_model, read_list, remote_folder
from reference_engine.models.tiny import tiny_model
from tests.reference_engine.fault_server import FaultServer

VAE = "vae/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def source(model_cache: str) -> Path:
    """The folder that is published, which is in the session's cache, and not in that of a test."""
    return tiny_model("v1.5")


@pytest.fixture(scope="module")
def sha256(source: Path) -> str:
    return folder_digest(source)


@pytest.fixture
def server(source: Path) -> Iterator[FaultServer]:
    files: dict[str, bytes | Path] = {
        f"/v1-5/{file.relative_to(source).as_posix()}": file for file in source.rglob("*") if file.is_file()
    }
    with FaultServer(files).running() as running:
        yield running


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_cache: str) -> Path:
    """A cache of the test's own, and no proxy on the way to loopback."""
    monkeypatch.setenv("SD_CERTIFY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def quick(**options: Any) -> HTTPDownloader:
    return HTTPDownloader(**{"backoff": 0.001, "retries": 2, "timeout": 5.0, **options})


def fetch(server: FaultServer, sha256: str, **options: Any) -> Path:
    return fetch_model(server.url("/v1-5"), sha256, **{"downloader": quick(), **options})


def test_a_plugin_by_url_and_hash_loads_at_the_first_image_and_makes_the_same_one(
    server: FaultServer, sha256: str, make: Any
) -> None:
    """A3, B1"""
    plugin = SDK.create_plugin(
        {"device": "cpu", "model": {"url": server.url("/v1-5/"), "sha256": sha256.upper()}}
    )
    assert server.seen == []
    again = asyncio.run(plugin.generate_image("a cat on a mat", steps=5, width=64, height=64, seed=1))
    assert again.image.tobytes() == make().image.tobytes()
    asked = len(server.seen)
    asyncio.run(plugin.generate_image("a dog", steps=5, width=64, height=64, seed=1))
    assert len(server.seen) == asked == len(server.files)


def test_a_cancelled_image_ends_its_download_and_the_next_goes_on_from_there(
    server: FaultServer, sha256: str
) -> None:
    """A3: slowly, as by a real network; the bandwidth limit of the configuration holds."""
    model = {"url": server.url("/v1-5"), "sha256": sha256, "bandwidth_limit": "4MB"}
    plugin = SDK.create_plugin({"device": "cpu", "model": model})

    def there() -> int:
        parts = remote_folder(sha256).parent.rglob("model.safetensors.part")
        return sum(part.stat().st_size for part in parts)

    async def give_up() -> None:
        image = asyncio.create_task(plugin.generate_image("a cat", steps=5, width=64, height=64))
        while not there() and not image.done():
            await asyncio.sleep(0.01)
        image.cancel()
        with pytest.raises(asyncio.CancelledError):
            await image

    asyncio.run(give_up())
    plugin.close()
    assert not remote_folder(sha256).exists()
    asked = len(server.seen)
    assert 0 < there() < 40_000_000
    fetch(server, sha256)
    resumed = [seen for seen in server.seen[asked:] if seen.start]
    assert len(resumed) == 1


def test_the_cache_holds_the_whole_model_and_nothing_else(
    server: FaultServer, sha256: str, cache: Path
) -> None:
    sizes: list[int] = []
    folder = fetch(server, sha256, progress=lambda done, total: sizes.append(done))
    assert folder == remote_folder(sha256)
    assert [entry.name for entry in (cache / "models").iterdir()] == [folder.name]
    assert (folder / CHECKSUMS).read_text("utf-8") == checksums(folder, force=True)
    assert folder_digest(folder) == sha256
    assert sizes == sorted(sizes)
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != CHECKSUMS]
    assert sizes[-1] == sum(file.stat().st_size for file in files)


def test_a_break_costs_only_what_was_not_there_yet(server: FaultServer, sha256: str) -> None:
    broken = threading.Event()

    def stop_in_the_vae(done: int, total: int | None) -> None:
        if server.seen[-1].path.endswith(VAE):
            broken.set()

    with pytest.raises(DownloadCancelled):
        fetch(server, sha256, progress=stop_in_the_vae, cancelled=broken.is_set)
    assert not remote_folder(sha256).exists()
    first = [seen.path for seen in server.seen]
    server.seen.clear()
    fetch(server, sha256)
    assert {seen.path for seen in server.seen} & set(first) <= {f"/v1-5/{VAE}"}


@pytest.mark.parametrize("changed", [CHECKSUMS, VAE, "tokenizer/merges.txt"])
def test_one_changed_byte_anywhere_and_there_is_no_model(
    server: FaultServer, sha256: str, changed: str
) -> None:
    content = server.files[f"/v1-5/{changed}"]
    assert isinstance(content, Path)
    data = bytearray(content.read_bytes())
    data[len(data) // 2] ^= 1
    server.files[f"/v1-5/{changed}"] = bytes(data)
    with pytest.raises(DownloadError, match=changed) as caught:
        ModelLoader().load_remote(server.url("/v1-5"), sha256, downloader=quick())
    assert (caught.value.code, caught.value.reason) == ("ERR_MODEL_NOT_LOADED", "hash")
    assert not remote_folder(sha256).exists()


def test_a_file_that_is_not_there_is_named(server: FaultServer, sha256: str) -> None:
    del server.files[f"/v1-5/{VAE}"]
    with pytest.raises(DownloadError, match=rf"{VAE} was refused: 404") as caught:
        fetch(server, sha256)
    assert caught.value.remedies


def test_a_damaged_copy_in_the_cache_is_mended_by_the_damaged_file_alone(
    server: FaultServer, sha256: str
) -> None:
    folder = fetch(server, sha256)
    (folder / VAE).write_bytes(b"rotten")
    server.seen.clear()
    held = ModelLoader().load_remote(server.url("/v1-5"), sha256, downloader=quick())
    assert held.path == folder.resolve()
    assert [seen.path for seen in server.seen] == [f"/v1-5/{VAE}"]
    assert folder_digest(folder, force=True) == sha256


def test_many_askers_download_once(server: FaultServer, sha256: str) -> None:
    got: list[Path] = []
    askers = [threading.Thread(target=lambda: got.append(fetch(server, sha256))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(60)
    assert got == [remote_folder(sha256)] * 4
    assert len(server.seen) == len(server.files)


def test_a_signed_address_keeps_its_query_on_every_file(server: FaultServer, sha256: str) -> None:
    fetch_model(server.url("/v1-5?key=1"), sha256, downloader=quick())
    assert all(seen.path.endswith("?key=1") for seen in server.seen)


ZERO = "0" * 64


def with_lines(*lines: str) -> Callable[[dict[str, str]], str]:
    return lambda files: checksum_lines(files) + "".join(f"{line}\n" for line in lines)


BAD_LISTS: dict[str, tuple[Callable[[dict[str, str]], str], str]] = {
    "leads out": (with_lines(f"{ZERO}  ../../evil"), "leads out of the folder"),
    "absolute": (with_lines(f"{ZERO}  /etc/evil"), "leads out of the folder"),
    "a dot in the way": (with_lines(f"{ZERO}  unet/./evil"), "not a normalised path"),
    "backslash": (with_lines(f"{ZERO}  ..\\evil"), "some systems cannot write"),
    "a drive": (with_lines(f"{ZERO}  c:evil"), "some systems cannot write"),
    "a device": (with_lines(f"{ZERO}  unet/nul.txt"), "some systems cannot write"),
    "hidden": (with_lines(f"{ZERO}  .git/config"), "some systems cannot write"),
    "a part": (with_lines(f"{ZERO}  {VAE}.part"), "downloader uses itself"),
    "the list itself": (with_lines(f"{ZERO}  {CHECKSUMS}"), "downloader uses itself"),
    "no line": (with_lines("<html>"), "is not `<sha256>"),
    "twice": (with_lines(f"{ZERO}  {VAE}"), "twice"),
    "twice but for case": (with_lines(f"{ZERO}  VAE/config.json"), "twice"),
    "a pickle": (with_lines(f"{ZERO}  unet/weights.ckpt"), "a pickle, which runs code"),
    "unsorted": (with_lines(f"{ZERO}  a.txt"), "not sorted"),
    "many": (with_lines(*(f"{ZERO}  z/{number:05}" for number in range(1001))), "too many for a model"),
    "no newline": (lambda files: checksum_lines(files).rstrip("\n"), "a newline at its end"),
    "no weights": (lambda files: checksum_lines({k: v for k, v in files.items() if k != VAE}), "lacks vae/"),
    "empty": (lambda files: "", "lacks text_encoder/config.json"),
}


@pytest.mark.parametrize("kind", BAD_LISTS)
def test_a_list_that_could_do_harm_is_refused_before_a_file_is_fetched(
    server: FaultServer, kind: str, cache: Path
) -> None:
    build, told = BAD_LISTS[kind]
    names = [path.removeprefix("/v1-5/") for path in server.files if not path.endswith(CHECKSUMS)]
    text = build(dict.fromkeys(names, ZERO))
    server.files[f"/v1-5/{CHECKSUMS}"] = text.encode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(ModelNotLoaded, match=told) as caught:
        fetch(server, digest)
    assert caught.value.remedies
    assert len(server.seen) == 1
    assert not remote_folder(digest).exists()


def test_the_list_of_a_real_folder_is_read_as_it_is_written(source: Path, sha256: str) -> None:
    text = (source / CHECKSUMS).read_text("utf-8")
    files = read_list(text, "http://host/v1-5")
    assert checksum_lines(files) == text
    assert hashlib.sha256(text.encode()).hexdigest() == sha256


def test_a_cache_that_cannot_be_written_is_told(
    server: FaultServer, sha256: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SD_CERTIFY_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelNotLoaded, match="cannot be stored") as caught:
        fetch(server, sha256)
    assert "SD_CERTIFY_CACHE" in caught.value.remedies[0]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"url": "https://host/m"}, r"model\.sha256: is required with a url"),
        ({"url": "host/m", "sha256": ZERO}, r"model\.url: must begin with https"),
        ({"url": "https://me:pw@host/m", "sha256": ZERO}, r"model\.url: must not have a user name"),
        ({"url": "https://host/m", "path": "m", "sha256": ZERO}, "a path and a url"),
        (
            {"path": "m", "bandwidth_limit": "1MB"},
            r"model\.bandwidth_limit: applies only to a model with a url",
        ),
        (
            {"url": "https://host/m", "sha256": ZERO, "bandwidth_limit": "fast"},
            r"model\.bandwidth_limit: must",
        ),
        ({"urls": "https://host/m"}, 'Did you mean "url"'),
        ({}, r"model\.path: must be a folder"),
    ],
)
def test_a_model_is_a_path_or_a_url_with_its_hash(model: dict[str, str], told: str) -> None:
    """B1"""
    with pytest.raises(ConfigError, match=told):
        PluginConfig.parse({"model": model})


def test_a_bandwidth_limit_is_written_as_a_size() -> None:
    table = {"model": {"url": "https://host/m", "sha256": "A" * 64, "bandwidth_limit": "2MB"}}
    source = PluginConfig.parse(table).model
    assert source is not None
    assert (source.bandwidth_limit, source.sha256) == (2 * 2**20, "a" * 64)
    assert source.path == remote_folder("a" * 64)
