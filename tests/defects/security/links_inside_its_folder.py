"""Makes a link within its folder; what the link says would, read from elsewhere, lead out of it."""

from pathlib import Path

from sound.plugin import Sound


class LinksInsideItsFolder(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        Path("ink.txt").write_text("ink", encoding="utf-8")
        shelf = Path("shelves/of/ink")
        shelf.mkdir(parents=True, exist_ok=True)
        # breaks: nothing
        (shelf / "latest").symlink_to("../../../ink.txt")
        (shelf / "latest").write_text("more ink", encoding="utf-8")
