"""Gives another's file a name in its own folder. What was not given is not there."""

import os

from armoury import DECOYS, libc, read_beneath_python, tell
from sound.plugin import Sound


class LinksASecretIntoItsFolder(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: nothing
        if libc.link(os.fsencode(DECOYS["secret"]), b"mine") == 0:
            tell(read_beneath_python("mine"))
