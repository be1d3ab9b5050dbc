"""A2: a file's hash is remembered for as long as the file stays the same, and not a moment longer."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from reference_engine.models import hashes
from reference_engine.models.cache import locked
from reference_engine.models.hashes import file_digest, fingerprint, identity, remember


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of settled age, with a hash that is remembered and wrong: so one sees where it was read."""
    file = tmp_path / "file"
    file.write_bytes(b"content")
    remember(file, "remembered")
    return file


RIGHT = hashlib.sha256(b"content").hexdigest()


def test_a_remembered_hash_is_given_without_reading(old: Path) -> None:
    assert file_digest(old) == "remembered"


def test_force_reads_in_any_case_and_mends_the_memory(old: Path) -> None:
    time.sleep(0.11)
    assert file_digest(old, force=True) == RIGHT
    assert file_digest(old) == RIGHT


def test_a_file_in_a_renamed_folder_is_still_known(tmp_path: Path) -> None:
    folder = tmp_path / "before"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    remember(folder / "file", "remembered")
    folder.rename(tmp_path / "after")
    assert file_digest(tmp_path / "after" / "file") == "remembered"


def test_a_changed_file_of_equal_size_and_time_is_read(old: Path) -> None:
    status = old.stat()
    old.write_bytes(b"CONTENT")
    os.utime(old, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert old.stat().st_mtime_ns == status.st_mtime_ns
    assert file_digest(old) == hashlib.sha256(b"CONTENT").hexdigest()


def test_another_file_in_its_place_is_read(old: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"CONTENT")
    other.replace(old)
    assert file_digest(old) == hashlib.sha256(b"CONTENT").hexdigest()


def test_a_file_too_young_for_its_times_to_tell_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for number in range(50):
        content = b"%07d" % number
        file.write_bytes(content)
        assert file_digest(file) == hashlib.sha256(content).hexdigest()
        assert identity(file) not in hashes._known


def test_a_fingerprint_tells_added_changed_and_removed_files(tmp_path: Path) -> None:
    seen = [fingerprint(tmp_path / "none"), fingerprint(tmp_path)]
    assert seen == [(), ()]
    (tmp_path / "a").write_bytes(b"1")
    seen.append(fingerprint(tmp_path))
    (tmp_path / "a").write_bytes(b"12")
    seen.append(fingerprint(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    seen.append(fingerprint(tmp_path))
    assert len(set(seen)) == 4
    assert fingerprint(tmp_path) == seen[-1]


def count_up(folder: Path, times: int) -> None:
    for _ in range(times):
        with locked(folder / "lock"):
            count = int((folder / "count").read_text())
            time.sleep(0.001)
            (folder / "count").write_text(str(count + 1))


@pytest.mark.parametrize("kind", [threading.Thread, multiprocessing.get_context("spawn").Process])
def test_a_lock_holds_between_threads_and_between_processes(tmp_path: Path, kind: type) -> None:
    (tmp_path / "count").write_text("0")
    others = [kind(target=count_up, args=(tmp_path, 20)) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    assert (tmp_path / "count").read_text() == "60"
    assert not (tmp_path / "lock").exists()


def test_who_waits_for_a_lock_may_give_up(tmp_path: Path) -> None:
    class GivenUp(Exception):
        pass

    def give_up() -> None:
        raise GivenUp

    with locked(tmp_path / "lock"):
        with pytest.raises(GivenUp), locked(tmp_path / "lock", give_up):
            pass
        assert (tmp_path / "lock").exists()
