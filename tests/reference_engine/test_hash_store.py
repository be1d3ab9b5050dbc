"""A2: hashes of large files are kept on disk, and believed only where nobody else could have written them."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_engine.models import hash_store, hashes
from reference_engine.models.hashes import file_digest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is kept on Windows")

SIZE = hash_store.WORTH
RIGHT = hashlib.sha256(b"1" * SIZE).hexdigest()
FALSE = "f" * 64


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SD_CERTIFY_CACHE", str(folder))
    return folder


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled after 20 ms."""
    monkeypatch.setattr(hash_store, "SETTLED", 20_000_000)
    monkeypatch.setattr(hashes, "_CLOCK_TICK", 20_000_000)


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Call it to forget all that this process remembers."""
    monkeypatch.setattr(hashes, "_known", {})
    yield hashes._known.clear


@pytest.fixture
def file(tmp_path: Path, cache: Path, settled: None) -> Path:
    made = tmp_path / "weights"
    made.write_bytes(b"1" * SIZE)
    time.sleep(0.05)
    return made


def falsify(cache: Path) -> None:
    """Puts a false hash in, so that one sees whether the file on disk was believed."""
    kept = cache / "hashes.json"
    kept.write_text(kept.read_text().replace(RIGHT, FALSE))


def test_another_process_need_not_read_the_file_again(file: Path, cache: Path, another_process: Any) -> None:
    assert file_digest(file) == RIGHT
    falsify(cache)
    another_process()
    assert file_digest(file) == FALSE
    assert file_digest(file, force=True) == RIGHT
    another_process()
    assert file_digest(file) == RIGHT


def test_a_change_with_its_time_set_back_is_found(file: Path, cache: Path, another_process: Any) -> None:
    assert file_digest(file) == RIGHT
    status = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"2")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_mtime_ns == status.st_mtime_ns and file.stat().st_size == status.st_size
    another_process()
    assert file_digest(file) == hashlib.sha256(b"2" + b"1" * (SIZE - 1)).hexdigest()


@pytest.mark.parametrize("what", ["the file", "the folder"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_may_write_to_is_not_believed(
    file: Path, cache: Path, another_process: Any, what: str, mode: int
) -> None:
    file_digest(file)
    falsify(cache)
    place = cache if what == "the folder" else cache / "hashes.json"
    place.chmod(place.stat().st_mode | mode)
    another_process()
    assert file_digest(file) == RIGHT


def test_a_link_to_another_file_is_not_followed(file: Path, cache: Path, another_process: Any) -> None:
    file_digest(file)
    falsify(cache)
    (cache / "hashes.json").rename(cache / "elsewhere")
    (cache / "hashes.json").symlink_to(cache / "elsewhere")
    another_process()
    assert file_digest(file) == RIGHT


def test_a_file_of_another_user_is_not_believed(
    file: Path, cache: Path, another_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_digest(file)
    falsify(cache)
    (cache / "hashes.json").stat()
    me = os.geteuid()
    if me == 0:
        os.chown(cache / "hashes.json", 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    another_process()
    assert file_digest(file) == RIGHT


def test_a_young_file_and_a_small_one_are_not_kept(tmp_path: Path, cache: Path) -> None:
    young, small = tmp_path / "young", tmp_path / "small"
    young.write_bytes(b"1" * SIZE)
    small.write_bytes(b"1")
    os.utime(small, (1, 1))
    file_digest(young), file_digest(small)
    assert not (cache / "hashes.json").exists()
    age = hash_store.SETTLED
    now = time.time_ns()
    old = (1, 2, SIZE, now - age, now - age)
    hash_store.store(old, RIGHT, now - 1)
    assert hash_store.stored(old) is None
    hash_store.store(old, RIGHT, now)
    assert hash_store.stored(old) == RIGHT


BROKEN = [
    "",
    "{",
    "[]",
    "null",
    "[" * 5000,
    '{"format": 1}',
    '{"format": 2, "hashes": {}}',
    '{"format": 1, "hashes": []}',
    json.dumps({"format": 1, "hashes": {"1 2 3": FALSE}}),
    json.dumps({"format": 1, "hashes": {"1 2 3 4 x": FALSE}}),
    '{"format": 1, "hashes": {"1 2 3 4 5": 7}}',
    '{"format": 1, "hashes": {"1 2 3 4 5": "beef"}}',
    "x" * (2**20 + 1),
]


@pytest.mark.parametrize("content", BROKEN, ids=lambda text: text[:30])
def test_a_broken_file_is_as_none_and_is_mended(
    file: Path, cache: Path, another_process: Any, content: str
) -> None:
    cache.mkdir()
    (cache / "hashes.json").write_text(content)
    assert file_digest(file) == RIGHT
    falsify(cache)
    another_process()
    assert file_digest(file) == FALSE


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_content_is_more_than_ignored(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    kept = tmp_path_factory.mktemp("kept") / "hashes.json"
    kept.write_text(json.dumps({"format": 1, "hashes": content}))
    assert hash_store._read(kept) == {}


def keep_some(cache: str, first: int) -> None:
    os.environ["SD_CERTIFY_CACHE"] = cache
    for number in range(first, first + 20):
        hash_store.store((1, number, SIZE, 1, 1), f"{number:064x}", time.time_ns())


def test_processes_that_keep_hashes_at_once_lose_none(cache: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=keep_some, args=(str(cache), 100 * number)) for number in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join(120)
    found = [hash_store.stored((1, 100 * n + k, SIZE, 1, 1)) for n in range(3) for k in range(20)]
    assert found == [f"{100 * n + k:064x}" for n in range(3) for k in range(20)]
    assert [left.name for left in cache.iterdir()] == ["hashes.json"]
    assert (cache / "hashes.json").stat().st_mode & 0o777 == 0o600


def test_the_oldest_go_when_there_are_too_many(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_store, "_MAX_ENTRIES", 3)
    keep_some(str(cache), 0)
    assert [hash_store.stored((1, n, SIZE, 1, 1)) is not None for n in range(16, 20)] == [0, 1, 1, 1]


def test_a_cache_that_cannot_be_written_to_costs_time_alone(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no folder").write_text("")
    monkeypatch.setenv("SD_CERTIFY_CACHE", str(tmp_path / "no folder"))
    assert file_digest(file) == RIGHT
