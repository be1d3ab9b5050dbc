"""Imports the model libraries in one thread at a time."""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec

from ..errors import ModelNotLoaded

_importing = threading.Lock()


def import_libraries() -> None:
    """Imports torch, transformers and diffusers once. The last two put stand-ins into `sys.modules` during
    their import; a second thread would see the stand-ins, without the classes.
    """
    check_libraries()
    with _importing:
        from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
        from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401


def check_libraries() -> None:
    """Raises ModelNotLoaded where one of the model libraries is not installed; imports none."""
    names = ("torch", "diffusers", "transformers")
    missing = [name for name in names if name not in sys.modules and find_spec(name) is None]
    if missing:
        raise ModelNotLoaded(
            f"The engine's libraries are not installed: {', '.join(missing)}.",
            ["pip install 'sd-certify[engine]'"],
        )
