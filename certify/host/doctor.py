"""What `certify doctor` says of the isolation here: a run's self-test, in a worker that loads nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from certify.host.faults import CandidateFault, HostError
from certify.host.isolation import measure_isolation
from certify.host.launch import Host
from certify.machine import Diagnosis
from certify.profiles import PROFILES
from certify.record import Act, Isolation, meets


def self_test() -> Isolation | str:
    """What was measured, or why it could not be."""
    try:
        with tempfile.TemporaryDirectory(prefix="certify-", ignore_cleanup_errors=True) as folder:
            scratch = Path(folder).resolve()
            with Host(scratch / "host", warm=False) as host:
                return measure_isolation(host, scratch, demanded="L2")
    except (HostError, CandidateFault, OSError) as error:
        return str(error)


def diagnose_isolation(told: Isolation | str) -> list[Diagnosis]:
    if isinstance(told, str):
        remedy = "Nothing can be certified here; plan, list, explain and report work."
        return [Diagnosis("isolation", False, f"could not be measured: {told}", remedy)]
    below = [name for name, profile in PROFILES.items() if not meets(told.level, profile.isolation)]
    through = [act.act for act in told.acts if not act.stopped]
    finding = f"{told.level}: {told.walls or 'no walls'}; limits kept by {told.limits_kept_by}"
    if through:
        finding += f"; not stopped: {', '.join(through)}"
    remedy = f"Too weak for {', '.join(below)}: their verdict would be INCOMPLETE." if below else ""
    if told.lacks:
        remedy = " ".join([remedy, "Not built: " + "; ".join(told.lacks) + "."]).strip()
    return [Diagnosis("isolation", not below, finding, remedy)]


def act_lines(told: Isolation | str) -> list[str]:
    """The whole self-test, an act a line."""
    if isinstance(told, str):
        return [f"The isolation could not be measured: {told}"]
    rows = [f"{_word(act):<12} {act.act:<46} {act.note}".rstrip() for act in told.acts]
    lines = [f"level {told.level}: {told.walls or 'no walls'}", f"limits kept by {told.limits_kept_by}"]
    lines += [f"not built: {lack}" for lack in told.lacks]
    return [*lines, "", *rows, "", *(f"not seen: {text}" for text in told.unseen)]


def _word(act: Act) -> str:
    return "stopped" if act.stopped else "got through"
