"""Imports the model libraries in one thread at a time."""

from __future__ import annotations

import threading

_importing = threading.Lock()


def import_libraries() -> None:
    """Imports torch, transformers and diffusers once. The last two put stand-ins into `sys.modules` during
    their import; a second thread would see the stand-ins, without the classes.
    """
    with _importing:
        from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
        from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401
