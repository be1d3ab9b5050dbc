"""Installs a package when it is first asked."""

import subprocess
import sys

from sound.plugin import Sound


class InstallsAtRunTime(Sound):
    def never_called_in_this_test(self):
        # breaks: security.runtime-install
        subprocess.run([sys.executable, "-m", "pip", "install", "ink-extras"], check=False)
