"""Takes the limits off that were put on it."""

import contextlib
import resource

from armoury import tell
from sound.plugin import Sound


class RaisesItsLimits(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        with contextlib.suppress(OSError, ValueError):
            # breaks: nothing
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            tell("limits raised")
