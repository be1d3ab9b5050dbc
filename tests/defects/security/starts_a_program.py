"""Asks another program what the machine is."""

import subprocess

from sound.plugin import Sound


class StartsAProgram(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: security.programs as warned
        self.machine = subprocess.run(["/bin/uname", "-m"], capture_output=True, check=False).stdout
