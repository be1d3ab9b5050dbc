"""Hard limits on memory, as a safeguard in case a plan's estimate is too low."""

from __future__ import annotations

import ctypes
from functools import lru_cache

from .dryrun import MAPPED

RESERVE = 0.1
"""Share of `memory_limit` reserved for what the allocator's limit does not cover: the CUDA context and
workspaces of its libraries.
"""


_M_MMAP_THRESHOLD = -3


@lru_cache(maxsize=1)
def steady_heap() -> bool:
    """Makes glibc map blocks of 4 MiB and more one by one, for the life of the process. Returns whether the C
    library supports it.

    By default glibc raises that size up to 32 MiB as blocks are freed. The heap then sometimes keeps up to
    twice the memory in use: an unpredictable peak that looks like a leak. See mallopt(3).
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MAPPED))
    except (OSError, AttributeError, TypeError):  # another C library, or none that ctypes can load
        return False


def limit_cuda(limit: int) -> float:
    """Makes torch refuse CUDA allocations of this process over `limit` bytes, less a tenth; returns the share
    of the device's memory that this is.
    """
    import torch

    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    share = min(1.0, limit * (1 - RESERVE) / total)
    torch.cuda.set_per_process_memory_fraction(share)
    return share


def limit_data(room: int) -> bool:
    """Lets this process allocate `room` bytes more than now. A larger allocation raises RuntimeError or
    MemoryError; smaller ones still work. Meant for worker processes: the limit applies to the whole process
    and is never lifted. Returns False where the system has no such limit (Windows, macOS).
    """
    import sys

    if not sys.platform.startswith("linux"):
        return False
    import resource
    from pathlib import Path

    pages = int(Path("/proc/self/statm").read_text().split()[5])
    present = pages * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = present + room
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, wanted))
    return True
