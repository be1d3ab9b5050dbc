"""What makes a GPU faster than plain torch does, asked for by name and never replaced by something else.

The configuration's `acceleration` is "none", "compile" (torch.compile; on a GPU with CUDA graphs) or
"tensorrt" (through torch-tensorrt), and `streams` says how many images may be on the GPU at a time, each on a
CUDA stream of its own. `require` refuses at `create_plugin` what the machine lacks; `capabilities` lists it.
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
