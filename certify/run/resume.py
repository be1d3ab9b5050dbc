"""Going on with a run that was cut short: what it was asked for, and whether that still fits.

Everything is measured again, for judgements over a whole run need all of its calls; but a soak that has come
to its end in its own journal is not. What was found before the cut stays found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from certify.assemble import assemble
from certify.errors import UserError
from certify.record import read_journal
from certify.run.request import RunRequest
from certify.soak.journal import Altered, read_lines

# What must be the same before and after, and what a user calls it.
_SAME = {
    "certify": "the version of certify",
    "candidate": "the plugin",
    "environment": "this machine",
    "policy": "the policy",
}
_ANEW = "Start a new run instead: `certify run PLUGIN`."


def recorded_request(folder: Path) -> RunRequest:
    """What the run in `folder` was asked for, with its seed.

    Raises UserError where there is none, where it came to its end (a fault of the harness is none), and where
    the record of a soak was altered.
    """
    try:
        events = read_journal(folder / "journal.ndjson")
    except OSError:
        raise UserError(f"{folder} is not the folder of a run: it has no journal.ndjson.") from None
    except ValueError as error:
        raise UserError(str(error), "The record is damaged. " + _ANEW) from None
    try:
        results = assemble(events)
    except ValueError as error:
        raise UserError(f"{folder}: {error}", _ANEW) from None
    if events[-1].get("event") == "end" and results.verdict.name != "ERROR":
        raise UserError(f"{folder}: that run came to its end.", _ANEW)
    for journal in sorted(folder.glob("soak-*.ndjson")):
        try:
            read_lines(journal)
        except Altered as error:
            raise UserError(f"{error}: it was altered.", _ANEW) from None
    run = next(event for event in events if event["event"] == "run")
    recorded = RunRequest.from_dict(run["order"])
    return replace(recorded, seed=run["seed"], out=str(folder.absolute()), resume=True)


def check_unchanged(events: Iterable[Mapping[str, Any]], header: Mapping[str, Any], rows: object) -> None:
    """Raises UserError where the run would not be the same: another plugin, certify, policy or machine."""
    by_kind = {str(event["event"]): event for event in events if event["event"] in ("run", "plan")}
    before = by_kind["run"]
    for key, name in _SAME.items():
        if before.get(key) != header.get(key):
            raise UserError(f"{name} is not what it was when this run began.", _ANEW)
    if by_kind["plan"]["rows"] != rows:
        raise UserError("What can be measured here is not what it was when this run began.", _ANEW)
