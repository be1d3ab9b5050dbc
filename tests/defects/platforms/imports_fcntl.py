"""Imports at module level what Windows lacks."""

# breaks: platform.imports
import fcntl

from sound.plugin import Sound


class ImportsFcntl(Sound):
    lock = fcntl.LOCK_EX
