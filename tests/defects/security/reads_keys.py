"""Looks for the user's keys."""

import contextlib
from pathlib import Path

from sound.plugin import Sound


class ReadsKeys(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError):
            # breaks: security.private-files
            # breaks: security.secrets
            Path("/root/.ssh/id_ed25519").read_bytes()
