"""Enters itself in the user's table of scheduled programs."""

import subprocess

from sound.plugin import Sound


class SchedulesItself(Sound):
    def never_called_in_this_test(self):
        # breaks: security.persistence
        subprocess.run(["crontab", "-"], input=b"@daily true\n", check=False)
