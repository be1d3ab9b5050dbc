"""Classic BPF as the kernel runs it, for the few instructions of our filters."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from certify.sandbox.jail.filter import Instruction

MAX_INSTRUCTIONS = 4096


def call_data(number: int, architecture: int, arguments: Sequence[int]) -> bytes:
    """struct seccomp_data of linux/seccomp.h: number, architecture, where it was called, six arguments."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    return struct.pack("<IIQ6Q", number, architecture, 0, *words)


def run(lines: Sequence[Instruction], data: bytes) -> int:
    """What the filter returns; raises ValueError where the kernel would refuse to load it."""
    accumulator, place = 0, 0
    while True:
        if not 0 <= place < len(lines):
            raise ValueError(f"jumps out of the program, to {place}")
        code, if_true, if_false, constant = lines[place]
        place += 1
        if code == 0x06:
            return constant
        if code == 0x20:
            if constant % 4 or constant + 4 > len(data):
                raise ValueError(f"loads from {constant}")
            accumulator = int.from_bytes(data[constant : constant + 4], "little")
            continue
        tests = {0x15: accumulator == constant, 0x35: accumulator >= constant, 0x45: accumulator & constant}
        if code not in tests:
            raise ValueError(f"instruction {code:#x}")
        place += if_true if tests[code] else if_false
