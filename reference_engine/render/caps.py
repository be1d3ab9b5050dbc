"""Hard limits on memory, under the plan that should never reach them."""

from __future__ import annotations

import ctypes
from functools import lru_cache

from .dryrun import MAPPED

RESERVE = 0.1
"""Share of `memory_limit` left to what the allocator's limit does not cover: the CUDA context and workspaces
of its libraries.
"""


_M_MMAP_THRESHOLD = -3


@lru_cache(maxsize=1)
def steady_heap() -> bool:
    """Has the C library map blocks of 4 MiB and more one by one, for the life of the process, as far as it is
    glibc; returns whether it is.

    By itself glibc raises that size to 32 MiB as blocks are freed, and the heap then keeps, by chance, up to
    twice what is in use: a peak that nobody can foretell, and that looks like a leak. See mallopt(3).
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MAPPED))
    except (OSError, AttributeError, TypeError):  # another C library, or none to be had this way
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
    """Lets this process allocate `room` bytes beyond what it has now; more is refused with a RuntimeError or
    MemoryError, and smaller allocations still work. For worker processes: the limit holds for all of the
    process and is never lifted. Returns False where there is no such limit (Windows, macOS).
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
