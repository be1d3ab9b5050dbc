"""The filter says of every call what its rules say: run by an interpreter, for both machines.

On arm64 itself nothing of this runs here; its program is interpreted, and no kernel of it has loaded it.
"""

from __future__ import annotations

import errno
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.sandbox.jail.calls import AUDIT_ARCH, NUMBERS
from certify.sandbox.jail.filter import (
    ALLOW,
    CLONE_NEW,
    ERRNO,
    KILL_PROCESS,
    PATHS,
    USER_NOTIF,
    Instruction,
    Rule,
    Verdict,
    program,
    rules,
)
from tests.sandbox.jail.interpreter import MAX_INSTRUCTIONS, call_data, run

MACHINES = tuple(AUDIT_ARCH)
FILTERS = list(itertools.product(MACHINES, (False, True), (False, True)))
PROGRAMS: dict[tuple[str, bool, bool], list[Instruction]] = {
    (machine, own, heard): program(rules(own), machine, heard) for machine, own, heard in FILTERS
}
words = st.integers(0, 2**64 - 1)
# What rules look at lies among small numbers, flags and halves of addresses.
arguments = st.lists(
    words | st.integers(0, 64) | st.sampled_from([0x5412, 0x541C, 1 << 32, CLONE_NEW, 0x20000]), max_size=6
)
filters = st.sampled_from(FILTERS)
every_filter = pytest.mark.parametrize(("machine", "own", "heard"), FILTERS)


def outcome(machine: str, own: bool, heard: bool, call: str | int, given: list[int] | None = None) -> int:
    number = NUMBERS[machine][call] if isinstance(call, str) else call
    return run(PROGRAMS[machine, own, heard], call_data(number, AUDIT_ARCH[machine], given or []))


def expected(table: list[Rule], call: str, given: list[int], heard: bool) -> int:
    """The rules read once more, in the plainest way."""
    words = [*given, *[0] * (6 - len(given))]
    for rule in table:
        if rule.call != call:
            continue
        if rule.argument >= 0:
            word = words[rule.argument]
            if not (word & rule.bits if rule.value is None else word % 2**32 == rule.value):
                continue
        notified = USER_NOTIF if heard else None
        return {
            Verdict.REFUSED: notified or ERRNO | errno.EPERM,
            Verdict.DECIDED: notified or ALLOW,
            Verdict.WATCHED: notified or ALLOW,
            Verdict.QUIETLY: ERRNO | errno.EACCES,
            Verdict.ABSENT: ERRNO | errno.ENOSYS,
            Verdict.ALLOWED: ALLOW,
        }[rule.verdict]
    return ALLOW


@given(filters, arguments, st.data())
def test_every_call_gets_what_the_rules_say(
    built: tuple[str, bool, bool], given: list[int], data: st.DataObject
) -> None:
    machine, own, heard = built
    call = data.draw(st.sampled_from(sorted(NUMBERS[machine])))
    assert outcome(machine, own, heard, call, given) == expected(rules(own), call, given, heard)


@every_filter
def test_every_rule_decides_a_call_of_its_own(machine: str, own: bool, heard: bool) -> None:
    table = rules(own)
    for rule in table:
        if rule.call not in NUMBERS[machine]:
            continue
        given = [0] * 6
        if rule.argument >= 0:
            given[rule.argument] = rule.bits if rule.value is None else rule.value
        assert outcome(machine, own, heard, rule.call, given) == expected([rule], rule.call, given, heard)


@given(filters, st.integers(0, 1000), arguments)
def test_a_call_without_a_rule_is_allowed(
    built: tuple[str, bool, bool], number: int, given: list[int]
) -> None:
    machine, own, heard = built
    ruled = {NUMBERS[machine].get(rule.call) for rule in rules(own)}
    if number not in ruled:
        assert outcome(machine, own, heard, number, given) == ALLOW


@given(filters, st.integers(0, 2**32 - 1), st.integers(0, 500), arguments)
def test_a_call_for_another_machine_ends_the_process(
    built: tuple[str, bool, bool], architecture: int, number: int, given: list[int]
) -> None:
    if architecture != AUDIT_ARCH[built[0]]:
        assert run(PROGRAMS[built], call_data(number, architecture, given)) == KILL_PROCESS


@given(st.sampled_from([built for built in FILTERS if built[0] == "x86_64"]), st.integers(2**30, 2**32 - 1))
def test_x32_numbers_are_none(built: tuple[str, bool, bool], number: int) -> None:
    assert outcome(*built, number) == ERRNO | errno.ENOSYS


@given(filters, st.sampled_from([1 << bit for bit in range(32) if CLONE_NEW >> bit & 1]), words)
def test_clone_with_any_new_namespace_is_refused(built: tuple[str, bool, bool], bit: int, more: int) -> None:
    machine, own, heard = built
    assert outcome(machine, own, heard, "clone", [bit | more]) == (
        USER_NOTIF if heard else ERRNO | errno.EPERM
    )
    assert outcome(machine, own, heard, "clone", [more & ~CLONE_NEW]) == ALLOW


@given(filters, st.integers(1, 2**64 - 1))
def test_an_address_is_seen_wherever_it_lies(built: tuple[str, bool, bool], address: int) -> None:
    machine, own, heard = built
    if own and heard:
        assert outcome(machine, own, heard, "sendto", [3, 0, 0, 0, address, 16]) == USER_NOTIF
        assert outcome(machine, own, heard, "sendto", [3, 0, 0, 0, 0, 16]) == ALLOW


@every_filter
def test_sockets_are_made_only_in_a_network_of_its_own(machine: str, own: bool, heard: bool) -> None:
    refused = USER_NOTIF if heard else ERRNO | errno.EPERM
    for family in (1, 2, 10):
        assert outcome(machine, own, heard, "socket", [family, 1]) == (ALLOW if own else refused)
    for family in (0, 3, 17, 38, 40):
        assert outcome(machine, own, heard, "socket", [family, 1]) == refused
    assert outcome(machine, own, heard, "socket", [16, 3]) == ERRNO | errno.EACCES


@every_filter
def test_the_kernel_would_load_it(machine: str, own: bool, heard: bool) -> None:
    lines = PROGRAMS[machine, own, heard]
    assert 0 < len(lines) < MAX_INSTRUCTIONS
    for place, (code, if_true, if_false, constant) in enumerate(lines):
        assert 0 <= if_true < 256 and 0 <= if_false < 256 and 0 <= constant < 2**32 and code < 2**16
        assert place + 1 + max(if_true, if_false) < len(lines) or code == 0x06
    assert lines[-1][0] == 0x06


@pytest.mark.parametrize("machine", MACHINES)
def test_every_rule_names_a_call_that_a_machine_has(machine: str) -> None:
    known = {name for numbers in NUMBERS.values() for name in numbers}
    assert {rule.call for rule in (*rules(True), *rules(False))} <= known
    assert len(set(NUMBERS[machine].values())) == len(NUMBERS[machine])
    assert set(PATHS) <= known


HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_systems_headers(machine: str) -> None:
    header = next((Path(path) for path in HEADERS[machine] if Path(path).exists()), None)
    if header is None:
        pytest.skip(f"the kernel's headers are not installed ({', '.join(HEADERS[machine])})")
    numbers = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text("ascii"))
    }
    # Newer than a distribution's headers may be.
    compared = {name: number for name, number in NUMBERS[machine].items() if name in numbers}
    assert len(compared) > 60
    assert compared == {name: numbers[name] for name in compared}
    assert set(NUMBERS[machine]) - set(numbers) <= {"memfd_secret", "process_madvise", "mount_setattr"}
