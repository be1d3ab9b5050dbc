"""Real workers: what a candidate does in a call has a distinct fault, and nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from certify.sandbox.host.faults import (
    CandidateFault,
    LoadFailed,
    MalformedReply,
    PluginError,
    TimedOut,
    WorkerEnded,
)
from certify.sandbox.host.host import Host
from certify.sandbox.host.plugin import Opening, RemotePlugin
from certify.sandbox.host.session import LOG_LIMIT, MAX_OUTPUT, Ring, Session
from certify.sandbox.protocol import pack
from tests.defects.catalogue import all_defects, sound
from tests.made_up import ENTRY, PUPPET

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are run on Linux")
Opened = Callable[..., Session]
ROOT = Path(__file__).parents[3]


def ask(session: Session, prompt: str, deadline: float = 20, **more: Any) -> Any:
    return session.ask("generate", deadline, request={"prompt": prompt, **more})


def living(pids: list[int]) -> list[int]:
    return [process.pid for process in psutil.process_iter(["status"]) if _lives(process, pids)]


def _lives(process: psutil.Process, pids: list[int]) -> bool:
    return process.pid in pids and process.info["status"] != psutil.STATUS_ZOMBIE


def wait_until_gone(pids: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while living(pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not living(pids)


def test_a_picture_comes_back_as_pixels_and_png(opened: Opened) -> None:
    reply = ask(opened(), "picture")
    assert (reply.body["width"], reply.body["height"], reply.body["pixel_bytes"]) == (8, 6, 144)
    assert reply.payload[:144] == bytes([1, 2, 3]) * 48
    assert reply.payload[144:152] == b"\x89PNG\r\n\x1a\n"


def test_an_exception_is_a_refusal_with_code_and_remedies_and_the_worker_lives(opened: Opened) -> None:
    session = opened()
    with pytest.raises(PluginError) as refused:
        ask(session, "refuse")
    assert (refused.value.error_type, refused.value.code, refused.value.remedies) == (
        "Coded",
        "ERR_MADE_UP",
        ("first", "second"),
    )
    assert "Traceback" in refused.value.log
    assert ask(session, "picture").body["width"] == 8


@pytest.mark.parametrize("entry", ["nowhere:Puppet", "puppet:nothing"])
def test_an_entry_that_is_not_there_is_a_failed_load(opened: Opened, entry: str) -> None:
    with pytest.raises(LoadFailed, match=r"nowhere|nothing"):
        opened(entry=entry)


def test_a_factory_that_raises_is_a_failed_load_with_its_code(opened: Opened) -> None:
    with pytest.raises(LoadFailed, match="not with this config") as failed:
        opened(refuses=True)
    assert failed.value.code == "ERR_MADE_UP"


@pytest.mark.parametrize(
    ("prompt", "kind", "said"),
    [
        ("segfault", WorkerEnded, "killed by SIGSEGV"),
        ("exit", WorkerEnded, "exited with code 0"),
        ("forge", MalformedReply, "wrong nonce"),
        ("babble", MalformedReply, "over the limits"),
    ],
)
def test_a_fault_is_told_by_its_kind_with_the_request_and_the_log(
    opened: Opened, prompt: str, kind: type[CandidateFault], said: str
) -> None:
    session = opened()
    with pytest.raises(kind, match=said) as error:
        ask(session, prompt)
    assert f'"prompt": "{prompt}"' in error.value.request
    assert "loaded" in error.value.log
    assert not session.alive
    wait_until_gone([session.pid], 1)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("segfaults_in_a_call", WorkerEnded, "killed by SIGSEGV"),
        ("exits_in_a_call", WorkerEnded, "exited with code 0"),
        ("hangs_in_a_call", TimedOut, "deadline"),
        ("writes_into_the_protocol", MalformedReply, "an invalid answer"),
    ],
)
def test_the_known_bad_plugins_are_told_by_what_they_do(
    opened: Opened, tmp_path: Path, name: str, kind: type[CandidateFault], said: str
) -> None:
    defect = next(defect for defect in all_defects() if defect.name == name)
    root = defect.build(tmp_path / "plugin")
    entry = re.search(r'^entry = "(.+)"', (root / "plugin.toml").read_text("utf-8"), re.MULTILINE)
    assert entry
    with pytest.raises(kind, match=said):
        deadline = 1 if kind is TimedOut else 20
        ask(opened(root, entry.group(1)), "a red fox", deadline, steps=50, width=64, height=64)


def test_the_sound_plugin_paints(opened: Opened, tmp_path: Path) -> None:
    session = opened(sound().build(tmp_path / "plugin"), "sound.plugin:Sound")
    reply = ask(session, "a red fox", steps=50, width=64, height=64)
    assert (reply.body["width"], reply.body["result"]["prompt"]) == (64, "a red fox")


@pytest.mark.parametrize("prompt", ["hang", "deaf"])
def test_a_hung_call_is_ended_at_its_deadline(opened: Opened, prompt: str) -> None:
    session = opened()
    started = time.monotonic()
    with pytest.raises(TimedOut, match="deadline"):
        ask(session, prompt, deadline=0.5)
    assert time.monotonic() - started < 0.5 + 2
    wait_until_gone([session.pid], 1)


def test_an_answer_left_over_from_another_request_is_refused(opened: Opened) -> None:
    session = opened()
    session._frames += session._parser.feed(pack({"nonce": "1" * 32, "ok": True}))
    with pytest.raises(MalformedReply, match="wrong nonce"):
        ask(session, "picture")


def test_a_daemon_that_left_its_parents_is_gone_with_the_worker(host: Host, opened: Opened) -> None:
    session = opened()
    ask(session, "daemon")
    # Its keeper has adopted it, so it counts with the worker that it came from.
    *_, worker, daemon = [row.pid for row in psutil.Process(session.pid).children(recursive=True)]
    orphans = [daemon]
    assert len(living([worker, daemon])) == 2
    session.end()
    assert living([*orphans, session.pid]) == []


def test_a_session_may_be_ended_twice(opened: Opened) -> None:
    session = opened()
    session.end()
    session.end()
    assert not session.alive


def test_of_a_megabyte_of_output_the_last_64_kib_are_kept(opened: Opened) -> None:
    session = opened()
    ask(session, "shout")
    for ring in (session.stdout, session.stderr):
        assert ring.total >= 1 << 20
        assert len(ring._data) == LOG_LIMIT == 64 << 10
        assert ring.text().startswith("… (cut)\n")
        assert len(ring.text()) <= 4010


def test_a_ring_keeps_the_last_bytes_and_mends_half_characters() -> None:
    ring = Ring(4)
    ring.add("画画".encode())
    assert ring.text() == "… (cut)\n�画"


def test_a_worker_sees_nothing_of_our_environment(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    session = opened()
    with pytest.raises(PluginError) as refused:
        ask(session, "environment")
    environment, folder = json.loads(refused.value.message)
    assert "GITHUB_TOKEN" not in environment
    assert not [name for name in environment if "PYTEST" in name or "CERTIFY" in name]
    assert [name for name in environment if "PYTHON" in name] == ["PYTHONDONTWRITEBYTECODE"]
    assert environment["HOME"] == str(session.folder / "home")
    assert folder == str(session.folder / "work")


def test_a_worker_holds_no_descriptor_but_its_pipes_and_its_loops(opened: Opened, tmp_path: Path) -> None:
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        with pytest.raises(PluginError) as refused:
            ask(opened(), "descriptors")
    links = [link for link in json.loads(refused.value.message) if "/fd" not in link and link != "gone"]
    kinds = Counter(link.partition(":")[0] for link in links)
    # Requests, answers, stdout, stderr and events; the event loop wakes itself by a pair of sockets.
    assert kinds == {"/dev/null": 1, "pipe": 5, "anon_inode": 1, "socket": 2}


def test_what_a_plugin_starts_inherits_no_pipe_of_the_protocol(opened: Opened) -> None:
    with pytest.raises(PluginError) as refused:
        ask(opened(), "inherited")
    assert json.loads(refused.value.message) == [0, 1, 2]


def test_closing_the_host_leaves_no_process(tmp_path: Path) -> None:
    with Host(tmp_path / "host", warm=False) as host:
        RemotePlugin(host, tmp_path / "workers", Opening(PUPPET, "native", ENTRY, {}, 20, 20)).generate(
            "daemon"
        )
        supervisor = psutil.Process(host._system._supervisor.pid)  # type: ignore[attr-defined]
        pids = [supervisor.pid, *(row.pid for row in supervisor.children(recursive=True))]
        assert len(pids) in (5, 6), (
            "supervisor, nursery, keeper, worker, its daemon, and in namespaces their first"
        )
    assert living(pids) == []


JUDGE = """\
import sys, time
from pathlib import Path
from certify.sandbox.host.host import Host
from certify.sandbox.host.plugin import Opening, RemotePlugin
folder, puppet, entry = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
host = Host(folder / "host", warm=False)
RemotePlugin(host, folder / "workers", Opening(puppet, "native", entry, {}, 20, 20)).generate("daemon")
print("ready", flush=True)
time.sleep(60)
"""


def test_when_the_judge_is_killed_nothing_of_the_candidate_lives_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", JUDGE, str(tmp_path), str(PUPPET), ENTRY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as judge:
        assert judge.stdout is not None
        assert judge.stdout.readline() == "ready\n"
        pids = [row.pid for row in psutil.Process(judge.pid).children(recursive=True)]
        assert len(pids) in (5, 6), (
            "supervisor, nursery, keeper, worker, its daemon, and in namespaces their first"
        )
        judge.send_signal(signal.SIGKILL)
    wait_until_gone(pids, 5)


def test_a_worker_that_floods_its_output_is_ended(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened()
    monkeypatch.setitem(MAX_OUTPUT, "output", 1 << 20)
    with pytest.raises(WorkerEnded, match="more than 1 MiB of output"):
        ask(session, "shout")
    assert not session.alive


def test_a_process_number_that_comes_again_is_a_fresh_worker(host: Host, opened: Opened) -> None:
    first = opened()
    first.end()
    # The kernel hands numbers out in turn, and from 300 on again: the next worker's is one of these.
    for number in (*range(first.pid + 1, first.pid + 500), *range(300, 800)):
        host.exits[number] = 0
        host.passed_limits[number] = "the watchdog: long ago"
    second = opened()
    assert ask(second, "picture").body["width"] == 8


def test_a_strangers_process_is_not_ended_for_a_worker_that_is_gone(host: Host) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        host.kill(stranger.pid)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
