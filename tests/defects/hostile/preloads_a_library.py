"""Has another program load a library of its own."""

import contextlib
import subprocess
from pathlib import Path

from sound.plugin import Sound


class PreloadsALibrary(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        library = {"LD_PRELOAD": str(Path("ink.so").resolve())}
        with contextlib.suppress(OSError):
            # breaks: security.programs as warned
            subprocess.run(["/bin/true"], env=library, check=False, capture_output=True)
