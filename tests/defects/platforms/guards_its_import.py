"""Imports what Windows lacks only where it is."""

import sys

from sound.plugin import Sound

# breaks: nothing
if sys.platform != "win32":
    import fcntl


class GuardsItsImport(Sound):
    lock = fcntl.LOCK_EX if sys.platform != "win32" else 0
