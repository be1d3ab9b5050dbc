"""Finds what the watch tells with, puts silence in its place, and writes where it may not."""

import contextlib
import gc
import types
from pathlib import Path

from armoury import DECOYS
from sound.plugin import Sound


class UnhooksTheWatch(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        for found in gc.get_objects():
            if isinstance(found, types.FunctionType) and found.__qualname__.startswith("_hook."):
                for cell in found.__closure__:
                    if callable(cell.cell_contents):
                        cell.cell_contents = lambda *_: None
        with contextlib.suppress(OSError):
            # breaks: security.writes
            Path(DECOYS["outside"]).write_text("x", encoding="utf-8")
