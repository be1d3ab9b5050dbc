"""Looks for what may be installed, and imports some things for type checkers alone."""

import importlib.util
import sys
from typing import TYPE_CHECKING

from sound.plugin import Sound

if TYPE_CHECKING:
    import torch


class LooksForAnOptionalModule(Sound):
    def never_called_in_this_test(self) -> "torch.Tensor | None":
        # breaks: nothing
        return "torch" in sys.modules or importlib.util.find_spec("xformers")
