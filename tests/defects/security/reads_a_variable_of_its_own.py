"""Reads variables by their names, and gives a child of its own the whole environment."""

import os
import subprocess
from pathlib import Path

from sound.plugin import Sound

# breaks: nothing
BLOCKED = ("password", "wallet", "private key")


class ReadsAVariableOfItsOwn(Sound):
    def never_called_in_this_test(self):
        home = os.environ.get("HOME", "")
        token = os.environ.get("SOUND_TOKEN")
        surroundings = {**os.environ, "LC_ALL": "C"}
        subprocess.run(["git", "--version"], env=surroundings, check=False)
        return Path(home) / ".cache" / "sound", token
