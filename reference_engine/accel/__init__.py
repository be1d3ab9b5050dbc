"""Accelerations of a GPU beyond plain torch. The configuration names one, and it is never replaced by
another.

The configuration's `acceleration` is "none", "compile" (torch.compile; on a GPU with CUDA graphs) or
"tensorrt" (through torch-tensorrt). `streams` is the number of images on the GPU at a time, each on its own
CUDA stream. `create_plugin` calls `require`, which refuses what the machine lacks. `capabilities` lists what
there is.
"""

from .capabilities import Capability, CapabilityMissing, capabilities, require
from .networks import OPT_BATCH_SIZE, network
from .streams import lane

ACCELERATIONS = ("none", "compile", "tensorrt")
MAX_STREAMS = 16

__all__ = [
    "ACCELERATIONS",
    "MAX_STREAMS",
    "OPT_BATCH_SIZE",
    "Capability",
    "CapabilityMissing",
    "capabilities",
    "lane",
    "network",
    "require",
]
