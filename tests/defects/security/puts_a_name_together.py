"""Reaches a function of the system by a name in two halves."""

import os

from sound.plugin import Sound


class PutsANameTogether(Sound):
    def never_called_in_this_test(self):
        # breaks: security.obfuscation
        return getattr(os, "sys" + "tem")
