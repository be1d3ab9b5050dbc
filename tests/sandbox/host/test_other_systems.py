"""What of the backends for macOS and Windows can be held on any system: texts, structures, claims."""

from __future__ import annotations

import ctypes
import re

from hypothesis import given
from hypothesis import strategies as st

from certify.record.results import Act
from certify.sandbox.guest.probe import _not_tried
from certify.sandbox.host.isolation import L1_ACTS, L2_ACTS, L3_ACTS, level_of
from certify.sandbox.host.systems.macos import profile, quoted
from certify.sandbox.host.systems.windows import BasicLimits, Counters, ExtendedLimits, limits_of
from certify.sandbox.jail.plan import Jail, weaker

paths = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1).map(
    lambda name: "/" + name
)


def strings(text: str) -> list[str]:
    """What SBPL would read as strings."""
    return [
        re.sub(r"\\(.)", r"\1", literal, flags=re.S)
        for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', text, re.S)
    ]


def rules(text: str, operation: str) -> str:
    return "".join(rule for rule in text.split("\n(") if operation in rule.split("\n")[0])


def test_the_profile_of_a_small_plan() -> None:
    jail = Jail("/w", seatbelt=True, readable=("/usr/lib",), writable=("/w/work",), devices=("/dev/null",))
    assert profile(jail) == (
        "(version 1)\n"
        "(deny default)\n"
        "(allow process-exec* process-fork)\n"
        "(allow process-info* (target same-sandbox))\n"
        "(allow signal (target same-sandbox))\n"
        "(allow sysctl-read)\n"
        "(allow file-read-metadata\n"
        '    (literal "/")\n    (literal "/dev")\n    (literal "/usr")\n    (literal "/w"))\n'
        '(allow file-read* file-map-executable\n    (subpath "/usr/lib")\n    (subpath "/w/work"))\n'
        '(allow file-write*\n    (subpath "/w/work"))\n'
        '(allow file-read* file-write-data file-ioctl\n    (literal "/dev/null"))\n'
    )


@given(paths)
def test_a_path_with_quotes_stays_one_string(path: str) -> None:
    assert strings(quoted(path)) == [path]


@given(st.lists(paths, max_size=4), st.lists(paths, max_size=4))
def test_the_profile_gives_what_the_plan_gives_and_no_more(readable: list[str], writable: list[str]) -> None:
    text = profile(Jail("/w", seatbelt=True, readable=tuple(readable), writable=tuple(writable)))
    assert text.startswith("(version 1)\n(deny default)\n")
    assert set(strings(text)) == {*readable, *writable, *(["/"] if readable or writable else [])}
    assert "network" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.S)


def test_what_is_read_alone_is_not_written() -> None:
    text = profile(Jail("/w", seatbelt=True, readable=("/given",), writable=("/w/work",)))
    assert strings(rules(text, "file-write*")) == ["/w/work"]


def test_nothing_given_is_no_rule_for_every_path() -> None:
    assert "(allow file-write*)" not in profile(Jail("/w", seatbelt=True))


def test_the_structures_have_the_sizes_and_places_of_64_bit_windows() -> None:
    # As a 64-bit compiler lays out winnt.h.
    assert (ctypes.sizeof(BasicLimits), ctypes.sizeof(Counters), ctypes.sizeof(ExtendedLimits)) == (
        64,
        48,
        144,
    )
    places = [getattr(BasicLimits, name).offset for name, _ in BasicLimits._fields_]
    assert places == [0, 8, 16, 24, 32, 40, 48, 56, 60]
    assert [getattr(ExtendedLimits, name).offset for name, _ in ExtendedLimits._fields_] == [
        0,
        64,
        112,
        120,
        128,
        136,
    ]


def test_a_job_is_told_its_limits_and_to_end_with_us() -> None:
    limits = limits_of({"processes": 64, "memory": 12 << 30})
    assert (limits.basic.active_processes, limits.job_memory) == (64, 12 << 30)
    assert limits.basic.flags == 0x2000 | 0x400 | 0x200 | 0x8


def test_a_wall_of_another_system_can_be_left_out_too() -> None:
    for jail in (Jail("/w", seatbelt=True), Jail("/w", job=True)):
        assert list(weaker(jail)) == [Jail("/w")]
    assert Jail("/w", seatbelt=True).walls == "a sandbox profile"
    assert Jail("/w", job=True).walls == "a job object"


def test_no_other_system_reaches_level_2_by_acts_that_are_not_tried() -> None:
    for system in ("darwin", "win32"):
        acts = []
        for name in (*L1_ACTS, *L2_ACTS, *L3_ACTS):
            act = _not_tried(name, system) or {"act": name, "stopped": True}
            acts.append(Act.model_validate(act))
        assert level_of(acts) == "L1"
    assert not any(_not_tried(name, "linux") for name in (*L1_ACTS, *L2_ACTS, *L3_ACTS))
