"""An SDK for Stable Diffusion plugins: one call makes a plugin, one call makes a marked image.

    plugin = SDK.create_plugin({"model_type": "v1.5", "sampler_config": {"algorithm": "DDIM"}})
    result = await plugin.generate_image("a lighthouse in the fog")
    result.save("lighthouse.png")

Importing this package imports no model library; torch, diffusers and transformers come with the first image.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .version import __version__

if TYPE_CHECKING:
    from .accel import CapabilityMissing
    from .config import PluginConfig
    from .errors import (
        ConcurrentUse,
        ConfigError,
        InvalidParameter,
        InvalidPrompt,
        ModelNotLoaded,
        OutOfMemory,
        SDKError,
        TimedOut,
    )
    from .plugin import Plugin
    from .pool import PluginPool
    from .render.engine import Cancelled
    from .result import ImageResult, Marks
    from .sdk import SDK
    from .workflows import Refined, draft_then_refine

__all__ = [
    "SDK",
    "Cancelled",
    "CapabilityMissing",
    "ConcurrentUse",
    "ConfigError",
    "ImageResult",
    "InvalidParameter",
    "InvalidPrompt",
    "Marks",
    "ModelNotLoaded",
    "OutOfMemory",
    "Plugin",
    "PluginConfig",
    "PluginPool",
    "Refined",
    "SDKError",
    "TimedOut",
    "__version__",
    "draft_then_refine",
]

_HOMES = {
    "Cancelled": ".render.engine",
    "CapabilityMissing": ".accel",
    "ConcurrentUse": ".errors",
    "ConfigError": ".errors",
    "ImageResult": ".result",
    "InvalidParameter": ".errors",
    "InvalidPrompt": ".errors",
    "Marks": ".result",
    "ModelNotLoaded": ".errors",
    "OutOfMemory": ".errors",
    "Plugin": ".plugin",
    "PluginConfig": ".config",
    "PluginPool": ".pool",
    "Refined": ".workflows",
    "SDK": ".sdk",
    "SDKError": ".errors",
    "TimedOut": ".errors",
    "draft_then_refine": ".workflows",
}


def __getattr__(name: str) -> object:
    """What a name stands for, imported when it is first used: the tables of names need no NumPy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
