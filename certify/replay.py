"""Repeats one requirement of an earlier run: FIXED, STILL FAILING or CANNOT REPLAY."""

from __future__ import annotations

import tempfile
from pathlib import Path

from certify.assemble import assemble
from certify.errors import UserError, did_you_mean
from certify.machine import check_device
from certify.record import Outcome, RequirementResult, Results, read_journal
from certify.restart import run_cleanly
from certify.streams import say

_BROKEN = {Outcome.FAILED, Outcome.WARNED}


def replay(journal: Path, identifier: str) -> int:
    """Runs the requirement with the seed, profile and weights of the recorded run, and says what changed.

    Exit code 0 where it passes now, 1 where it still fails, 3 where it could not be repeated.
    """
    order, before = _recorded(journal, identifier)
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        out = Path(folder) / "run"
        again = {**order, "requirements": [identifier], "suites": [], "out": str(out)}
        code = run_cleanly(again, kept=False)
        try:
            after = _row(assemble(read_journal(out / "journal.ndjson")), identifier)
        except (OSError, ValueError):
            say(f"CANNOT REPLAY {identifier}: the run ended with code {code} before it measured anything.")
            return 3
    if after.outcome is Outcome.PASSED:
        say(f"{'FIXED' if before.outcome in _BROKEN else 'PASSED AGAIN'} {identifier}")
        return 0
    if after.outcome in _BROKEN:
        say(f"STILL FAILING {identifier}: {after.message}")
        return 1
    say(f"CANNOT REPLAY {identifier}: {after.message}")
    return 3


def _recorded(journal: Path, identifier: str) -> tuple[dict[str, object], RequirementResult]:
    try:
        events = read_journal(journal)
        results = assemble(events)
    except ValueError as error:
        raise UserError(f"{journal}: {error}") from None
    order = next(event["order"] for event in events if event["event"] == "run")
    if not Path(order["plugin"]).exists():
        raise UserError(f"The plugin of that run is gone: {order['plugin']}.")
    check_device(order.get("device", "auto"))
    return order, _row(results, identifier)


def _row(results: Results, identifier: str) -> RequirementResult:
    rows = {row.id: row for row in results.requirements}
    if identifier not in rows:
        raise UserError(f'That run has no requirement "{identifier}".', did_you_mean(identifier, rows))
    return rows[identifier]
