"""Landlock, namespaces and the fresh user, each put up for real in a fork, before and after."""

from __future__ import annotations

import itertools
import os
import pwd
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from certify.sandbox.jail import identity, landlock, namespaces
from certify.sandbox.jail.plan import Jail, weaker
from tests.sandbox.jail.forks import in_a_fork, outcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
with_landlock = pytest.mark.skipif(not landlock.abi(), reason="the kernel has no Landlock")
as_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can become another user"
)
SYSTEM = [(path, landlock.RUN) for path in ("/usr", "/bin", "/lib", "/lib64", "/etc")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Three folders with a file each: to change, to read, and neither."""
    tmp_path = tmp_path.resolve()
    for name in ("own", "given", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    return tmp_path


def file_acts(place: Path) -> dict[str, Callable[[], Any]]:
    acts: dict[str, Callable[[], Any]] = {}
    for name in ("own", "given", "secret"):
        folder = place / name
        acts |= {
            f"read {name}": (folder / "file").read_text,
            f"list {name}": partial(os.listdir, folder),
            f"write {name}": partial((folder / "file").write_text, "y"),
            f"make {name}": partial((folder / "new").write_text, "y"),
            f"remove {name}": (folder / "new").unlink,
        }
    return acts


def outcomes(acts: dict[str, Callable[[], Any]]) -> dict[str, str]:
    return {name: outcome(act) for name, act in acts.items()}


@with_landlock
def test_landlock_leaves_of_files_what_was_allowed(place: Path) -> None:
    def shut_in() -> dict[str, str]:
        landlock.restrict([(str(place / "own"), landlock.CHANGE), (str(place / "given"), landlock.READ)])
        return outcomes(file_acts(place))

    before, after = in_a_fork(lambda: outcomes(file_acts(place))), in_a_fork(shut_in)
    assert set(before.values()) == {"done"}
    allowed = {name for name in before if name.endswith("own")} | {"read given", "list given"}
    assert {name for name, came in after.items() if came == "done"} == allowed
    assert {after[name] for name in set(after) - allowed - {"remove given", "remove secret"}} == {
        "PermissionError"
    }


@with_landlock
def test_landlock_runs_what_the_system_has_and_nothing_that_was_written(place: Path) -> None:
    program = place / "own" / "program"
    program.write_bytes(Path("/bin/true").resolve().read_bytes())
    program.chmod(0o755)

    def run(path: str) -> str:
        return outcome(lambda: subprocess.run([path], check=True, close_fds=False))

    def shut_in() -> list[str]:
        landlock.restrict([(str(place / "own"), landlock.CHANGE), *SYSTEM])
        return [run("/bin/true"), run(str(program))]

    assert in_a_fork(lambda: [run("/bin/true"), run(str(program))]) == ["done", "done"]
    assert in_a_fork(shut_in) == ["done", "PermissionError"]


@pytest.mark.skipif(landlock.abi() < 4, reason="this kernel's Landlock does not know TCP (version 4)")
@pytest.mark.parametrize(("tcp", "came"), [(False, "PermissionError"), (True, "done")])
def test_landlock_holds_back_tcp_unless_told_otherwise(tcp: bool, came: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def shut_in() -> list[str]:
            landlock.restrict([], tcp=tcp)
            return [
                outcome(lambda: socket.socket().connect(("127.0.0.1", port))),
                outcome(lambda: socket.socket().bind(("127.0.0.1", 0))),
            ]

        assert in_a_fork(shut_in) == [came, came]


@pytest.mark.skipif(landlock.abi() < 6, reason="this kernel's Landlock knows no scopes (version 6)")
def test_landlock_holds_back_signals_and_abstract_sockets() -> None:
    parent = os.getpid()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0certify-walls-" + str(parent))
        listener.listen(1)

        def shut_in() -> list[str]:
            landlock.restrict([])
            stream = socket.socket(socket.AF_UNIX)
            return [
                outcome(lambda: os.kill(parent, 0)),
                outcome(lambda: stream.connect("\0certify-walls-" + str(parent))),
            ]

        assert in_a_fork(shut_in) == ["PermissionError", "PermissionError"]


def test_rights_grow_with_the_version_and_none_is_asked_of_a_kernel_that_does_not_know_it() -> None:
    rights = [landlock.file_rights(version) for version in range(1, 8)]
    assert all(later & earlier == earlier for earlier, later in itertools.pairwise(rights))
    assert not rights[0] & (landlock.REFER | landlock.TRUNCATE | landlock.IOCTL_DEV)
    assert not landlock.CHANGE & (
        landlock.EXECUTE | landlock.MAKE_CHAR | landlock.MAKE_BLOCK | landlock.IOCTL_DEV
    )


def in_new_root(place: Path, look: Callable[[], Any], left_out: str = "", hidden: Sequence[str] = ()) -> Any:
    """`look` as the second process of new namespaces, with `own` writable and `given` readable; below
    `given` another file system is mounted beforehand (in this namespace alone)."""
    for name in ("root", "shared", "given/mounted"):
        (place / name).mkdir()

    def first() -> Any:
        namespaces.leave()
        namespaces._mount("none", "/", "", namespaces._PRIVATE | namespaces._RECURSIVE)
        namespaces._mount("tmpfs", str(place / "given" / "mounted"), "tmpfs", 0)
        (place / "given" / "mounted" / "file").write_text("x")

        def inside() -> Any:
            system = [path for path, _ in SYSTEM if path != left_out]
            namespaces.build_root(
                str(place / "root"),
                [*system, str(place / "given")],
                [str(place / "own")],
                ["/dev/null"],
                str(place / "shared"),
                hidden,
                namespaces.accounts(4242, "/home/user"),
            )
            return look()

        return in_a_fork(inside)

    return in_a_fork(first)


def test_a_new_root_holds_what_was_given_and_only_its_own_can_be_changed(place: Path) -> None:
    mounted = place / "given" / "mounted" / "file"

    def look() -> dict[str, Any]:
        results: dict[str, Any] = outcomes(file_acts(place))
        results["read mounted"] = outcome(mounted.read_text)
        results["write mounted"] = outcome(lambda: mounted.write_text("y"))
        results["write /"] = outcome(lambda: Path("/new").write_text("y"))
        results["write /usr"] = outcome(lambda: Path("/usr/new").write_text("y"))
        results["write /dev/null"] = outcome(lambda: Path("/dev/null").write_text("y"))
        results["write /dev/shm"] = outcome(lambda: Path("/dev/shm/new").write_text("y"))
        results["beside"] = sorted(os.listdir(place))  # noqa: PTH208
        return results

    results = in_new_root(place, look)
    assert {act: results[act] for act in results if act.endswith("own")} == dict.fromkeys(
        (f"{verb} own" for verb in ("read", "list", "write", "make", "remove")), "done"
    )
    assert (results["read given"], results["write given"], results["make given"]) == (
        "done",
        "errno 30",
        "errno 30",
    )
    assert (results["read mounted"], results["write mounted"]) == ("done", "errno 30")
    assert (results["write /"], results["write /usr"]) == ("errno 30", "errno 30")
    assert (results["write /dev/null"], results["write /dev/shm"]) == ("done", "done")
    assert results["read secret"] == results["list secret"] == "FileNotFoundError"
    assert results["beside"] == ["given", "own"]
    assert (place / "shared" / "new").exists(), "shared memory is the worker's own folder"


def test_what_is_hidden_is_not_there_and_no_mount_tells_its_name(place: Path) -> None:
    given = place / "given"
    for name in ("deep/ours/file", "deep/theirs/file", "deep/file", "ours.pth"):
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        (given / name).write_text("x")
    (given / "deep" / "link").symlink_to("theirs")

    def look() -> dict[str, Any]:
        return {
            "given": sorted(path.name for path in given.iterdir()),
            "deep": sorted(path.name for path in (given / "deep").iterdir()),
            "read ours": outcome((given / "deep" / "ours" / "file").read_text),
            "read theirs": outcome((given / "deep" / "link" / "file").read_text),
            "write theirs": outcome(lambda: (given / "deep" / "theirs" / "file").write_text("y")),
            "write beside": outcome(lambda: (given / "deep" / "new").write_text("y")),
            "mounts": "ours" in Path("/proc/self/mountinfo").read_text("utf-8"),
        }

    assert in_new_root(place, look, hidden=[str(given / "deep" / "ours"), str(given / "ours.pth")]) == {
        "given": ["deep", "file", "mounted"],
        "deep": ["file", "link", "theirs"],
        "read ours": "FileNotFoundError",
        "read theirs": "done",
        "write theirs": "errno 30",
        "write beside": "errno 30",
        "mounts": False,
    }


def test_new_namespaces_have_no_other_process_no_network_and_no_name(place: Path) -> None:
    def look() -> list[Any]:
        processes = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
        return [processes, [name for _, name in socket.if_nameindex()], socket.gethostname(), os.getppid()]

    processes, interfaces, name, parent = in_new_root(place, look)
    assert processes == [1]
    # Some systems have more than loopback from the start (tunl0, sit0...); all are down.
    assert "lo" in interfaces and "eth0" not in interfaces
    assert (name, parent) == (namespaces.HOST_NAME, 0)


def status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize(
    "user", [None, pytest.param(identity.FRESH_USERS[7], marks=as_root)], ids=["as it is", "another"]
)
def test_capabilities_are_gone_for_good(user: int | None) -> None:
    def shut_in() -> dict[str, str]:
        identity.become(user)
        return status()

    results = in_a_fork(shut_in)
    nothing = {"CapInh", "CapPrm", "CapEff", "CapAmb"}
    if os.geteuid() == 0:
        # Dropping from the bounding set is root's to do; others had nothing to gain from it.
        nothing.add("CapBnd")
    assert {int(results[name], 16) for name in nothing} == {0}
    assert results["NoNewPrivs"] == "1"
    if user is not None:
        assert results["Uid"].split() == results["Gid"].split() == [str(user)] * 4
        assert results["Groups"] == ""


@as_root
def test_another_user_cannot_come_back_nor_read_what_is_not_its_own(place: Path) -> None:
    secret = place / "secret" / "file"
    secret.chmod(0o600)

    def shut_in() -> list[str]:
        identity.become(identity.FRESH_USERS[0])
        return [
            outcome(lambda: os.setuid(0)),
            outcome(lambda: secret.chmod(0o644)),
            outcome(secret.read_text),
        ]

    assert in_a_fork(shut_in) == ["PermissionError"] * 3


@as_root
def test_what_a_user_cannot_read_is_named(place: Path) -> None:
    (place / "secret").chmod(0o700)
    place.chmod(0o755)
    paths = [str(place / name) for name in ("given", "nowhere", "secret", "own")]

    def shut_in() -> list[str]:
        identity.become(identity.FRESH_USERS[0])
        return [identity.unreadable(paths), identity.unreadable(paths[:2])]

    assert identity.unreadable(paths) == ""
    first, of_those_above = in_a_fork(shut_in)
    # pytest's own folders above are its user's alone, so nothing below them can be.
    assert first == of_those_above == paths[0]
    assert (
        in_a_fork(lambda: (identity.become(identity.FRESH_USERS[0]), identity.unreadable(["/usr", "/no"]))[1])
        == ""
    )


def test_limits_are_set_and_never_raised() -> None:
    def shut_in() -> list[tuple[int, int]]:
        identity.limit({"RLIMIT_NOFILE": 100})
        identity.limit({"RLIMIT_NOFILE": 1000})
        return [resource.getrlimit(resource.RLIMIT_NOFILE)]

    assert in_a_fork(shut_in) == [[100, 100]]


WALLS = ("namespaces", "landlock", "seccomp")


@pytest.mark.parametrize("user", [None, 5])
def test_every_step_down_has_fewer_walls_and_the_last_has_none(user: int | None) -> None:
    strongest = Jail(
        "/x",
        namespaces=True,
        landlock=True,
        seccomp=True,
        user=user,
        readable=("/usr",),
        writable=("/x/work",),
        devices=("/dev/null",),
    )
    ladder = [strongest, *weaker(strongest)]
    for above, below in itertools.pairwise(ladder):
        assert below != above
        # Nothing is gained, but the user that was left out one step before.
        assert all(getattr(above, wall) or not getattr(below, wall) for wall in WALLS)
        assert (below.folder, below.readable, below.writable) == (
            above.folder,
            above.readable,
            above.writable,
        )
    assert len(ladder) == len({step.walls for step in ladder})
    assert not any(getattr(ladder[-1], wall) for wall in WALLS) and ladder[-1].user is None
    assert ladder[-1].walls == "a process of its own alone"
    assert Jail.from_dict(strongest.to_dict()) == strongest


def test_a_new_root_knows_one_user_and_this_machine(place: Path) -> None:
    import encodings.idna  # in the new root there is no Python to import it from

    assert encodings.idna

    def look() -> list[Any]:
        account = pwd.getpwuid(4242)
        return [account.pw_name, account.pw_dir, socket.gethostbyname(socket.gethostname())]

    assert in_new_root(place, look, left_out="/etc") == ["user", "/home/user", "127.0.0.1"]
