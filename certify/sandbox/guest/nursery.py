"""The nursery: imports the heavy libraries once, before any candidate is loaded, and forks workers.

A fork takes milliseconds; an import of torch, diffusers and transformers takes seconds.

It listens on one socket for a worker specification (`{"environment", "limits", "jail"}`) with the descriptors
of one worker (`keeper.ARRANGED`, and the socket to the supervisor), forks a keeper that starts it, and sends
`{"started": pid}` and, later, `{"exited": pid, "status": wait status}`."""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from .keeper import ARRANGED, keep

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
    """A library that fails to import here fails again, with an error, in the worker that needs it."""
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
    message, descriptors, _, _ = socket.recv_fds(channel, 1 << 17, len(ARRANGED) + 1)
    if not message:
        return False
    spec = json.loads(message)
    pid = os.fork()
    if pid == 0:
        try:
            channel.close()
            for descriptor in ours:
                os.close(descriptor)
            keep(spec, descriptors)
        finally:
            os._exit(70)
    for descriptor in descriptors:
        os.close(descriptor)
    channel.send(json.dumps({"started": pid}).encode())
    return True
