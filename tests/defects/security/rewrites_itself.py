"""Changes its own source when it runs."""

import contextlib
from pathlib import Path

from sound.plugin import Sound


class RewritesItself(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # Behind walls it is refused; it was tried all the same.
        with contextlib.suppress(OSError):
            # breaks: security.digest-unchanged
            Path(__file__).with_name("FACES.md").write_text("No terms.\n", encoding="utf-8")
