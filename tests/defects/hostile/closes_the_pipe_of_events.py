"""Closes the pipe by which the watch tells, and writes where it may not."""

import contextlib
import os
from pathlib import Path

from armoury import DECOYS, EVENTS
from sound.plugin import Sound


class ClosesThePipeOfEvents(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        os.close(EVENTS)
        with contextlib.suppress(OSError):
            # breaks: security.writes
            Path(DECOYS["outside"]).write_text("x", encoding="utf-8")
