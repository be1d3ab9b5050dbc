"""The model libraries, imported by one thread."""

from __future__ import annotations

import threading

_importing = threading.Lock()


def import_libraries() -> None:
    """Imports torch, transformers and diffusers, once. The latter two put stand-ins into `sys.modules` while
    they are imported; a second thread that imports them meanwhile finds those, without the classes.
    """
    with _importing:
        from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
        from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401
