"""The bytes in use on the C library's heap, by the library's own counters."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_ARENAS = ["arena", "ordblks", "smblks", "hblks", "hblkhd"]
_FIELDS = [*_ARENAS, "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]


class _Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


def heap_counter() -> Callable[[], int]:
    """A function that gives the bytes in use; 0 where the library has no such counter (glibc before 2.33)."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return lambda: 0
    mallinfo2.restype = _Mallinfo2

    def count() -> int:
        counters = mallinfo2()
        return int(counters.uordblks + counters.hblkhd)

    return count
