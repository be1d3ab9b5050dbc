"""The nursery: imports the heavy libraries once, before it has seen any candidate, and forks workers.

A fork costs milliseconds where an import of torch, diffusers and transformers costs seconds.

It listens on one socket for `{"folder", "environment", "limits"}` with five descriptors (requests, answers,
stdout, stderr, events) and tells `{"started": pid}` and, later, `{"exited": pid, "status": wait status}`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

WARM = (
    "numpy",
    "torch",
    "PIL.Image",
    "safetensors.torch",
    "transformers",
    "diffusers",
    "peft",
    "imwatermark",
)
WARM_NAMES = {
    "transformers": ("CLIPTextModel", "CLIPTokenizer"),
    "diffusers": (
        "AutoencoderKL",
        "UNet2DConditionModel",
        "DDIMScheduler",
        "EulerDiscreteScheduler",
        "StableDiffusionPipeline",
    ),
}
REQUESTS, ANSWERS, EVENTS = 3, 4, 5
# Where a worker finds what it is sent: requests, answers, stdout, stderr, events.
ARRANGED = (REQUESTS, ANSWERS, 1, 2, EVENTS)
# From Linux's prctl.h.
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main(descriptor: int, warm: bool) -> None:
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)
    if warm:
        _import_heavy()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    channel.send(json.dumps({"ready": os.getpid()}).encode())
    while True:
        watched: list[Any] = [channel, wake_read]
        ready, _, _ = select.select(watched, [], [])
        if wake_read in ready:
            _drain(wake_read)
            _report_ended(channel)
        if channel in ready and not _answer(channel, (wake_read, wake_write)):
            return


def _import_heavy() -> None:
    """A library that fails to import here fails again, and is told, where a worker needs it."""
    for name in WARM:
        try:
            module = importlib.import_module(name)
            for attribute in WARM_NAMES.get(name, ()):
                getattr(module, attribute)
        except Exception as error:
            print(f"{name} did not import: {error}", file=sys.stderr)


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        pass


def _report_ended(channel: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        channel.send(json.dumps({"exited": pid, "status": status}).encode())


def _answer(channel: socket.socket, ours: tuple[int, int]) -> bool:
    message, descriptors, _, _ = socket.recv_fds(channel, 65536, len(ARRANGED))
    if not message:
        return False
    order = json.loads(message)
    pid = os.fork()
    if pid == 0:
        try:
            channel.close()
            for descriptor in ours:
                os.close(descriptor)
            _keep(order, descriptors)
        finally:
            os._exit(70)
    for descriptor in descriptors:
        os.close(descriptor)
    channel.send(json.dumps({"started": pid}).encode())
    return True


def _keep(order: dict[str, Any], descriptors: list[int]) -> None:
    """Stands between nursery and worker: what the worker's daemons become orphans of stays in its tree.

    Reaps them as an init would, and leaves as the worker left.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _call_prctl(PR_SET_CHILD_SUBREAPER, 1)
    _call_prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    worker = os.fork()
    if worker == 0:
        _call_prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _become_worker(order, descriptors)
    os.closerange(3, 4096)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == worker:
            break
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _call_prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _become_worker(order: dict[str, Any], descriptors: list[int]) -> None:
    os.setsid()
    _arrange(descriptors)
    os.environ.clear()
    os.environ.update(order["environment"])
    # The libraries imported in the nursery have made tempfile remember its folder.
    tempfile.tempdir = None
    os.chdir(Path(order["folder"]) / "work")
    sys.argv = ["plugin-host"]
    for name, value in order["limits"].items():
        number = getattr(resource, name)
        resource.setrlimit(number, (value, value))
    from certify.guest.worker import serve

    code = 0
    try:
        serve(REQUESTS, ANSWERS, EVENTS)
    except SystemExit as leaving:
        traceback.print_exc()
        code = leaving.code if isinstance(leaving.code, int) else 1 if leaving.code else 0
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


def _arrange(descriptors: list[int]) -> None:
    """0 is null, then as ARRANGED says; nothing else stays open."""
    high = [os.dup2(descriptor, 200 + index) for index, descriptor in enumerate(map(os.dup, descriptors))]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for target, source in zip(ARRANGED, high, strict=True):
        os.dup2(source, target)
    os.closerange(max(ARRANGED) + 1, 4096)


if __name__ == "__main__":
    main(int(sys.argv[1]), warm=sys.argv[2] == "warm")
