"""Writes a temporary file for every request and deletes none."""

import tempfile

from sound.plugin import Sound


class LeavesTemporaryFiles(Sound):
    def check(self, *request):
        super().check(*request)
        with tempfile.NamedTemporaryFile(delete=False) as file:
            # breaks: leak.handles
            file.write(b"scratch")
