"""Writes of every image into a journal that starts anew when it is large."""

import os
from pathlib import Path

from sound.plugin import Sound


class RotatesItsJournal(Sound):
    def deliver(self, image, *rest):
        # breaks: nothing
        journal = Path(os.environ["TMPDIR"]) / "journal"
        with journal.open("ab") as file:
            file.write(image.tobytes()[:8192])
        if journal.stat().st_size > 200_000:
            journal.replace(journal.with_suffix(".old"))
        return super().deliver(image, *rest)
