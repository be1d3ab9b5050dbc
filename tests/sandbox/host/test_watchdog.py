"""The limits on a worker's tree: what counts, what does not, and what cannot be hidden."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from certify.sandbox.host import process_tree as tree
from certify.sandbox.host import watchdog
from certify.sandbox.host.watchdog import Watched, disk_use, nameless_use, proportional_of, resident_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are kept by way of /proc")
MIB = 1 << 20
PLENTY = {"processes": 1000, "memory": 1 << 50, "disk": 1 << 50}


@contextmanager
def child(act: Callable[[], None]) -> Iterator[int]:
    """A fork that has done `act` and waits."""
    ready, signal_ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            act()
            os.write(signal_ready, b"x")
            time.sleep(60)
        finally:
            os._exit(0)
    os.close(signal_ready)
    assert os.read(ready, 1) == b"x"
    try:
        yield pid
    finally:
        os.close(ready)
        doomed = tree.descendants(pid) | {pid}
        for one in doomed:
            os.kill(one, 9)
        os.waitpid(pid, 0)


def limited(keeper: int, folder: Path, **limits: int) -> str:
    return Watched(keeper, str(folder), {**PLENTY, **limits}).passed(tree.parents())


def crowd(processes: int) -> Callable[[], None]:
    def act() -> None:
        for _ in range(processes):
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)

    return act


def test_processes_are_counted_with_their_keeper(tmp_path: Path) -> None:
    with child(crowd(5)) as keeper:
        assert limited(keeper, tmp_path, processes=6) == ""
        assert limited(keeper, tmp_path, processes=5) == "6 processes, limit 5"


def test_a_grandchild_counts_and_one_that_is_not_below_does_not(tmp_path: Path) -> None:
    def deeper() -> None:
        if os.fork() == 0:
            crowd(2)()
            time.sleep(60)
            os._exit(0)
        time.sleep(0.2)

    with child(deeper) as keeper, child(crowd(9)):
        assert limited(keeper, tmp_path, processes=3) == "4 processes, limit 3"
        assert limited(keeper, tmp_path, processes=4) == ""


def test_memory_is_counted_and_what_forks_share_only_once(tmp_path: Path) -> None:
    held: list[bytes] = []

    def hoard() -> None:
        held.append(os.urandom(64) * (64 * MIB // 64))
        crowd(4)()

    with child(hoard) as keeper:
        members = tree.descendants(keeper) | {keeper}
        assert len(members) == 5
        resident, shared = resident_of(members), proportional_of(members)
        assert resident > 5 * 64 * MIB, "every fork shows it as its own"
        # Pss is also divided by us, who share the interpreter's own pages.
        assert 60 * MIB < shared < resident / 2
        # How much the interpreter holds depends on the tests before this one.
        assert limited(keeper, tmp_path, memory=(shared + resident) // 2) == ""
        assert limited(keeper, tmp_path, memory=32 * MIB).endswith("MiB of memory, limit 32 MiB")


def test_the_exact_look_at_memory_rests_until_time_or_growth_calls_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, looks, resident, held = [100.0], [0], [900], [400]

    def look(_: set[int]) -> int:
        looks[0] += 1
        clock[0] += 1.0
        return held[0]

    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(watchdog, "resident_of", lambda _: resident[0])
    monkeypatch.setattr(watchdog, "proportional_of", look)
    watched = Watched(os.getpid(), str(tmp_path), {**PLENTY, "memory": 500})
    readings = []
    for seconds, now in ((0, 900), (0.1, 900), (8, 1000), (0.1, 1001), (0.1, 1001), (9, 1001), (0.1, 500)):
        clock[0] += seconds
        resident[0] = now
        readings.append((watched.passed({}), looks[0]))
    # One look, two rests (100 bytes were left), growth beyond them, a rest, time is up, below the limit.
    assert readings == [("", number) for number in (1, 1, 1, 2, 2, 3, 3)]
    resident[0], held[0] = 2000, 600
    assert watched.passed({}) == "0 MiB of memory, limit 0 MiB"


def test_a_process_that_is_gone_holds_nothing() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert resident_of({pid}) == proportional_of({pid}) == nameless_use({pid}) == 0
    assert tree.inner_number(pid) == 0


def test_holes_do_not_count(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    size, files, hidden = disk_use(str(tmp_path))
    assert (size < MIB, files, hidden) == (True, 1, "")
    assert limited(os.getpid(), tmp_path, disk=MIB) == ""


def test_what_is_written_counts(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(os.urandom(3 * MIB))
    assert 3 * MIB <= disk_use(str(tmp_path))[0] < 4 * MIB
    assert limited(os.getpid(), tmp_path, disk=2 * MIB) == "3 MiB on disk, limit 2 MiB"


def test_a_file_of_several_names_counts_once(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_bytes(os.urandom(2 * MIB))
    for number in range(20):
        (tmp_path / f"again-{number}").hardlink_to(first)
    size, files, hidden = disk_use(str(tmp_path))
    assert (size < 3 * MIB, files, hidden) == (True, 21, "")


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(os.urandom(2 * MIB))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "own" / "loop").symlink_to(tmp_path / "own")
    size, files, hidden = disk_use(str(tmp_path / "own"))
    assert (size < MIB, files, hidden) == (True, 2, "")


def test_many_files_are_a_limit_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "MAX_FILES", 50)
    for number in range(60):
        (tmp_path / str(number)).touch()
    assert limited(os.getpid(), tmp_path).endswith("files, limit 50")


@pytest.mark.parametrize(
    ("depth", "limit"), [(100, "2 MiB on disk, limit 1 MiB"), (300, "cannot be listed (File name too long)")]
)
def test_folders_are_walked_to_their_end_or_the_limit_is_passed(
    tmp_path: Path, depth: int, limit: str
) -> None:
    """By steps, 300 folders go deeper than a path may be long."""
    before = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(depth):
            Path("a" * 20).mkdir()
            os.chdir("a" * 20)
        Path("file").write_bytes(os.urandom(2 * MIB))
    finally:
        os.chdir(before)
    assert limit in limited(os.getpid(), tmp_path, disk=MIB)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="no folder is closed to root")
def test_a_closed_folder_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert "cannot be listed (Permission denied)" in limited(os.getpid(), tmp_path)


def test_a_file_without_a_name_counts_as_long_as_it_is_open(tmp_path: Path) -> None:
    def hide() -> None:
        file = (tmp_path / "file").open("wb", buffering=0)
        file.write(os.urandom(3 * MIB))
        (tmp_path / "file").unlink()
        memory = os.memfd_create("hidden")
        os.write(memory, os.urandom(2 * MIB))
        for _ in range(5):
            os.dup(memory)
        globals()["kept"] = file
        crowd(1)()

    with child(hide) as keeper:
        assert disk_use(str(tmp_path)) == (0, 0, "")
        members = tree.descendants(keeper) | {keeper}
        assert 5 * MIB <= nameless_use(members) < 6 * MIB
        assert limited(keeper, tmp_path, disk=4 * MIB) == "5 MiB on disk, limit 4 MiB"
