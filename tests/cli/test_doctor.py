"""`certify doctor` says what the self-test measured, and for which profiles it is too weak."""

from __future__ import annotations

from certify.cli.doctor import act_lines, diagnose_isolation
from certify.record.results import Act, Isolation

TOLD = Isolation(
    level="L1",
    demanded="L2",
    acts=(Act(act="open a socket", stopped=False), Act(act="fork", stopped=True, note="ended")),
    walls="seccomp",
    lacks=("Landlock: not in this kernel",),
    unseen=("something",),
    limits_kept_by="the watchdog alone",
)


def test_what_is_too_weak_is_said_by_profile_with_what_got_through_and_what_lacks() -> None:
    (row,) = diagnose_isolation(TOLD)
    assert not row.ok
    assert row.finding == "L1: seccomp; limits enforced by the watchdog alone; not stopped: open a socket"
    assert row.remedy.startswith("Too weak for the profiles store, certified")
    assert "Landlock: not in this kernel" in row.remedy


def test_enough_for_every_profile_is_ok() -> None:
    (row,) = diagnose_isolation(TOLD.model_copy(update={"level": "L3", "acts": (), "lacks": ()}))
    assert (row.ok, row.remedy) == (True, "")


def test_what_could_not_be_measured_is_no_level() -> None:
    (row,) = diagnose_isolation("no system")
    assert not row.ok
    assert "no system" in row.finding
    assert act_lines("no system") == ["The isolation could not be measured: no system"]


def test_every_act_has_a_line_that_says_what_came_of_it() -> None:
    lines = act_lines(TOLD)
    assert lines[0] == "level L1: seccomp"
    assert any(line.startswith("not stopped") and "open a socket" in line for line in lines)
    assert any(line.startswith("stopped") and line.endswith("ended") for line in lines)
    assert lines[-1] == "not seen: something"
