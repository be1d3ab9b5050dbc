"""Looks whether it is being certified."""

import sys

from sound.plugin import Sound


class LooksForItsExaminer(Sound):
    def never_called_in_this_test(self):
        # breaks: security.test-detection
        return any(name.startswith("certify") for name in sys.modules)
