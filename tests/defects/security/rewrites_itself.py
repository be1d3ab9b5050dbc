"""Changes its own source when it runs."""

from pathlib import Path

from sound.plugin import Sound


class RewritesItself(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: security.digest-unchanged
        Path(__file__).with_name("FACES.md").write_text("No terms.\n", encoding="utf-8")
