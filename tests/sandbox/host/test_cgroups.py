"""Control groups in a made-up tree: divided only where they are ours, undone where that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from certify.sandbox.host import cgroups
from certify.sandbox.host.cgroups import Group, own_group, settle

KERNELS = {
    "cgroup.procs": "",
    "cgroup.kill": "",
    "memory.max": "max",
    "memory.oom.group": "0",
    "memory.events": "low 0\noom 0\noom_kill 0\noom_group_kill 0\n",
    "memory.peak": "0",
    "memory.swap.max": "max",
    "pids.max": "max",
}
LIMITS = {"memory": 512 << 20, "processes": 64, "disk": 1}


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A group `scope` of process 7 alone, in which new groups get their files, as from the kernel."""
    scope = tmp_path / "tree" / "scope"
    scope.mkdir(parents=True)
    (scope / "cgroup.procs").write_text("7\n")
    (scope / "cgroup.controllers").write_text("cpu memory pids\n")
    (scope / "cgroup.subtree_control").write_text("")
    (tmp_path / "membership").write_text("4:memory:/elsewhere\n0::/scope\n")
    plain = Path.mkdir

    def mkdir(folder: Path, *arguments: object, **named: object) -> None:
        plain(folder, *arguments, **named)  # type: ignore[arg-type]
        for name, text in KERNELS.items():
            (folder / name).write_text(text)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    return scope


def settled(base: Path, delegated: bool = True) -> tuple[str, str]:
    tree = base.parent
    return settle(7, tree, tree.parent / "membership", lambda _: delegated)


def test_the_own_group_is_the_line_of_version_2() -> None:
    assert own_group("4:memory:/a\n0::/user.slice/x.scope\n") == "/user.slice/x.scope"
    assert own_group("0::/\n") == "/"
    assert own_group("4:memory:/a\n1:name=systemd:/b\n") == ""


def test_a_delegated_group_is_divided_after_its_process_has_moved_into_a_leaf(base: Path) -> None:
    assert settled(base) == (str(base), "")
    assert (base / cgroups.LEAF / "cgroup.procs").read_text() == "7"
    assert (base / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_a_group_that_is_not_delegated_is_left_alone(base: Path) -> None:
    group, why = settled(base, delegated=False)
    assert (group, why) == ("", "/scope is not delegated to us")
    assert not (base / cgroups.LEAF).exists()


def test_a_group_with_others_in_it_is_left_alone(base: Path) -> None:
    (base / "cgroup.procs").write_text("7\n99\n")
    assert settled(base) == ("", "/scope contains other processes")
    assert not (base / cgroups.LEAF).exists()


def test_a_group_that_does_not_count_memory_is_of_no_use(base: Path) -> None:
    (base / "cgroup.controllers").write_text("hugetlb pids\n")
    assert settled(base) == ("", "cgroup v2 counts hugetlb and pids here, not memory and pids")


def test_without_version_2_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "membership").write_text("0::/scope\n")
    group, why = settle(7, tmp_path / "nowhere", tmp_path / "membership")
    assert not group
    assert why.startswith("no cgroup v2 at")


def test_where_the_kernel_refuses_to_divide_the_process_is_moved_back(base: Path) -> None:
    (base / "cgroup.subtree_control").unlink()
    group, why = settled(base)
    assert not group
    assert "cannot be divided" in why
    assert (base / "cgroup.procs").read_text() == "7"


def test_a_worker_gets_a_group_with_its_limits(base: Path) -> None:
    group = Group.make(base, "worker-1", LIMITS)
    limits = {name: (group.path / name).read_text() for name in KERNELS}
    assert limits["memory.max"] == str(512 << 20)
    assert (limits["memory.oom.group"], limits["memory.swap.max"]) == ("1", "0")
    assert limits["pids.max"] == str(cgroups.MAX_THREADS)


def test_a_group_without_a_limit_on_memory_is_not_made(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(KERNELS, "memory.max")
    with pytest.raises(OSError, match=r"memory\.max"):
        Group.make(base, "worker-1", LIMITS)


def test_an_end_by_the_kernel_is_told_as_the_limit_that_was_passed(base: Path) -> None:
    group = Group.make(base, "worker-1", LIMITS)
    assert group.passed() == ""
    (group.path / "memory.peak").write_text(f"{513 << 20}\n")
    (group.path / "memory.events").write_text("oom 1\noom_kill 3\noom_group_kill 1\n")
    assert group.passed() == "memory, limit 512 MiB (513 MiB at most)"


def test_a_group_is_killed_by_one_word(base: Path) -> None:
    group = Group.make(base, "worker-1", LIMITS)
    cgroups.kill(group.path)
    assert (group.path / "cgroup.kill").read_text() == "1"
    cgroups.kill(base / "not-there")
