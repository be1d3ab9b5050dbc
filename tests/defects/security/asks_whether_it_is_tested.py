"""Looks whether pytest runs it."""

import os

from sound.plugin import Sound


class AsksWhetherItIsTested(Sound):
    def never_called_in_this_test(self):
        # breaks: security.second-look as warned
        return "PYTEST_CURRENT_TEST" in os.environ
