"""An SDK for Stable Diffusion plugins: one call makes a plugin, one call makes a marked image.

    plugin = SDK.create_plugin({"model_type": "v1.5", "sampler_config": {"algorithm": "DDIM"}})
    result = await plugin.generate_image("a lighthouse in the fog")
    result.save("lighthouse.png")

Importing this package imports no model library; torch, diffusers and transformers come with the first image.
"""

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
from .version import __version__
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
