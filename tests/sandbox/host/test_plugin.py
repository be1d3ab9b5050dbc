"""The plugin as the suites see it: lost workers are replaced, faults are kept, patience ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from certify.sandbox.host.faults import LoadFailed, MalformedReply, TimedOut, Unreachable, WorkerEnded
from certify.sandbox.host.host import Host
from certify.sandbox.host.ledger import MAX_EVENTS, Ledger
from certify.sandbox.host.plugin import Opening, RemotePlugin
from certify.sandbox.host.session import Event

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are run on Linux")
Remote = Callable[..., RemotePlugin]


def test_the_declaration_of_generate_image_is_told_with_a_default_that_json_lacks(remote: Remote) -> None:
    signature = remote().load()
    assert signature.callable and signature.asynchronous
    defaults = {row.name: row.default for row in signature.parameters}
    assert defaults == {
        "prompt": None,
        "negative_prompt": "",
        "steps": 28,
        "cfg_scale": 7.5,
        "most": "inf",
    }


def test_a_lost_worker_is_replaced_and_every_fault_is_kept(remote: Remote) -> None:
    plugin = remote()
    plugin.ledger.requirement = "sdk.made-up"
    for prompt, kind in (("segfault", WorkerEnded), ("sentence", MalformedReply), ("exit", WorkerEnded)):
        with pytest.raises(kind):
            plugin.generate(prompt)
        assert plugin.generate("picture").pixels.shape == (6, 8, 3)
    ledger = plugin.ledger
    assert (ledger.calls, len(ledger.generations)) == (6, 3)
    assert [type(fault) for _, fault in ledger.faults] == [WorkerEnded, MalformedReply, WorkerEnded]
    assert {identifier for identifier, _ in ledger.faults} == {"sdk.made-up"}


def test_what_is_no_picture_is_told(remote: Remote) -> None:
    with pytest.raises(MalformedReply, match="no image came back, but str"):
        remote().generate("sentence")


def test_a_plugin_that_hangs_twice_is_not_tried_again(remote: Remote) -> None:
    plugin = remote()
    for _ in range(2):
        with pytest.raises(TimedOut):
            plugin.generate("hang")
    with pytest.raises(Unreachable) as error:
        plugin.generate("picture")
    assert error.value.kind == "timed-out"
    assert plugin.ledger.calls == 2


def test_a_plugin_that_does_not_load_is_not_tried_again(remote: Remote) -> None:
    plugin = remote(refuses=True)
    with pytest.raises(LoadFailed):
        plugin.load()
    with pytest.raises(Unreachable) as error:
        plugin.generate("picture")
    assert error.value.kind == "load-failed"
    assert plugin.ledger.calls == 0


def test_another_config_is_tried_in_a_worker_of_its_own(remote: Remote) -> None:
    plugin = remote()
    plugin.generate("picture")
    with plugin.opened_with(other=1) as generate:
        assert generate("picture").pixels.shape == (6, 8, 3)
        with pytest.raises(WorkerEnded):
            generate("exit")
    with pytest.raises(LoadFailed), plugin.opened_with(refuses=True):
        pass
    assert plugin.generate("picture").pixels.shape == (6, 8, 3)


def test_a_soaked_worker_is_measured_by_its_own_pid_and_keeps_no_images(remote: Remote) -> None:
    plugin = remote()
    with plugin.soaking() as worker:
        worker.freeze()
        worker.call({"prompt": "picture"})
        worker.call({"prompt": "picture"}, keep=True)
        assert worker.quiesce()
        assert worker.pid > 0
        assert (worker.folder / "work").is_dir()
    assert (plugin.ledger.calls, len(plugin.ledger.generations)) == (2, 1)


def test_events_beyond_the_most_that_is_kept_are_told_and_not_dropped() -> None:
    ledger = Ledger()
    for number in range(MAX_EVENTS + 5):
        ledger.enter_event(Event(kind="network", detail=str(number)))
    ledger.enter_event(Event(kind="write", detail="/etc/x"))
    kinds = [event.kind for _, event in ledger.events]
    assert kinds.count("network") == MAX_EVENTS
    assert "overflow" in kinds
    assert kinds[-1] == "write"


SHARES = """
from pathlib import Path


class Plugin:
    def __init__(self, *given):
        note = Path("/dev/shm/kept")
        note.write_text("a memory map of numpy's lies there as well", "utf-8")
        note.unlink()

    async def generate_image(self, prompt):
        return None
"""


def test_shared_memory_is_the_workers_own_behind_namespaces_and_everybodys_without(
    host: Host, tmp_path: Path
) -> None:
    root = tmp_path / "plugin"
    root.mkdir()
    (root / "shares.py").write_text(SHARES, "utf-8")
    opening = Opening(root, "native", "shares:Plugin", {}, load_deadline=20, call_deadline=5)
    plugin = RemotePlugin(host, tmp_path / "workers", opening)
    try:
        plugin.load()
        writes = [event.detail for _, event in plugin.ledger.events if event.kind == "write"]
    finally:
        plugin.close()
    assert bool(writes) == ("own namespaces" not in host.walls), (writes, host.walls)
