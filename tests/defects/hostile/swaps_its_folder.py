"""Moves its own folder away and puts a link in its place."""

import contextlib
from pathlib import Path

from sound.plugin import Sound


class SwapsItsFolder(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        root = Path(__file__).parent
        aside = root.with_name("aside")
        with contextlib.suppress(OSError):
            # breaks: security.writes
            root.rename(aside)
        with contextlib.suppress(OSError):
            # breaks: security.digest-unchanged
            root.symlink_to(aside)
