"""A plugin that does what its prompt names."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from PIL import Image


class Coded(Exception):
    code, remedies = "ERR_MADE_UP", ("first", "second")


class Puppet:
    def __init__(self, sdk, config):
        if config.get("refuses"):
            raise Coded("not with this config")
        print("loaded", file=sys.stderr)

    async def generate_image(self, prompt, negative_prompt="", steps=28, cfg_scale=7.5, *, most=float("inf")):
        return getattr(self, prompt)() or Image.new("RGB", (8, 6), (1, 2, 3))

    def picture(self):
        """Nothing else."""

    def sentence(self):
        return "a very fine picture"

    def refuse(self):
        raise Coded("no")

    def segfault(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def exit(self):
        os._exit(0)

    def hang(self):
        threading.Event().wait()

    def deaf(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.hang()

    def shout(self):
        print("x" * (1 << 20))
        print("y" * (1 << 20), file=sys.stderr)

    def daemon(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(60)
            os._exit(0)
        os.wait()

    def forge(self):
        text = json.dumps({"nonce": "0" * 32, "ok": True}).encode()
        os.write(4, len(text).to_bytes(4, "little") + bytes(4) + text)

    def babble(self):
        os.write(4, b"GET / HTTP/1.1")

    def environment(self):
        raise Coded(json.dumps([dict(os.environ), str(Path.cwd())]))

    def inherited(self):
        """What a program that the plugin starts would find open."""
        numbers = [int(entry.name) for entry in Path("/proc/self/fd").iterdir() if _link(entry) != "gone"]
        raise Coded(json.dumps([number for number in numbers if os.get_inheritable(number)]))

    def descriptors(self):
        raise Coded(json.dumps([_link(entry) for entry in Path("/proc/self/fd").iterdir()]))


def _link(entry):
    try:
        return str(entry.readlink())
    except OSError:
        # The listing's own.
        return "gone"
