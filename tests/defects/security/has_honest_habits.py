"""Finds files beside itself, quietens libraries, hints at what to install, and counts its calls."""

import functools
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from sound.plugin import Sound

PRESETS = __file__.replace("defect.py", "presets.json")
FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0)
HINTS = ["xformers makes it faster:", "  pip install xformers"]


def counted(method):
    @functools.wraps(method)
    def call(self, *given, **named):
        self.calls.execute("update calls set made = made + 1")
        return method(self, *given, **named)

    return call


class HasHonestHabits(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        self.calls = sqlite3.connect(":memory:", check_same_thread=False)
        self.calls.execute("create table calls as select 0 as made")

    # breaks: nothing
    @counted
    async def generate_image(self, prompt, negative_prompt="", steps=28, cfg_scale=7.5, **parameters):
        return await super().generate_image(prompt, negative_prompt, steps, cfg_scale, **parameters)

    def quiet(self):
        with Path(os.devnull).open("wb") as null:
            os.dup2(null.fileno(), sys.stderr.fileno())
