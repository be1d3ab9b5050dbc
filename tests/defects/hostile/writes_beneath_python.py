"""Writes by the C library, where Python sees nothing."""

from armoury import DECOYS, write_beneath_python
from sound.plugin import Sound


class WritesBeneathPython(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: security.writes
        write_beneath_python(DECOYS["outside"])
