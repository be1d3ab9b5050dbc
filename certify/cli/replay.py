"""Repeats one requirement of an earlier run: FIXED, STILL FAILING or CANNOT REPLAY."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from certify.cli.installation import check_engine, warn_of_host_program
from certify.cli.report import journal_of
from certify.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from certify.cli.arguments import Commands
    from certify.record.results import RequirementResult, Results
    from certify.run.request import RunRequest

HELP_ORDER = 9
_BROKEN = {"failed", "warned"}


def add_to(commands: Commands) -> None:
    replay_parser = commands.add_parser("replay", help="repeats one requirement of a run with the run's seed")
    replay_parser.add_argument("run", metavar="RUN", help="the folder of a run")
    replay_parser.add_argument("requirement")
    replay_parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    return replay(journal_of(arguments.run), arguments.requirement)


def replay(journal: Path, identifier: str) -> int:
    """Runs the requirement with the seed, profile and weights of the recorded run, and says what changed.

    Exit code 0 where it passes now, 1 where it still fails, 3 where it could not be repeated.
    """
    from certify.record.journal import read_journal
    from certify.run.restart import run_cleanly
    from certify.terminal.streams import say
    from certify.verdict.assemble import assemble

    request, before = _recorded(journal, identifier)
    warn_of_host_program()
    with tempfile.TemporaryDirectory(prefix="certify-") as folder:
        out = Path(folder) / "run"
        again = replace(request, requirements=(identifier,), suites=(), out=str(out))
        code = run_cleanly(again, kept=False)
        try:
            after = _row(assemble(read_journal(out / "journal.ndjson")), identifier)
        except (OSError, ValueError):
            say(f"CANNOT REPLAY {identifier}: the run ended with code {code} before it measured anything.")
            return 3
    if after.outcome.value == "passed":
        say(f"{'FIXED' if before.outcome.value in _BROKEN else 'PASSED AGAIN'} {identifier}")
        return 0
    if after.outcome.value in _BROKEN:
        say(f"STILL FAILING {identifier}: {after.message}")
        return 1
    say(f"CANNOT REPLAY {identifier}: {after.message}")
    return 3


def _recorded(journal: Path, identifier: str) -> tuple[RunRequest, RequirementResult]:
    from certify.plan.machine import check_device
    from certify.record.journal import read_journal
    from certify.run.request import RunRequest
    from certify.verdict.assemble import assemble

    try:
        events = read_journal(journal)
        results = assemble(events)
    except ValueError as error:
        raise UserError(f"{journal}: {error}") from None
    recorded = next(event["order"] for event in events if event["event"] == "run")
    request = RunRequest.from_dict(recorded)
    if not Path(request.plugin).exists():
        raise UserError(f"The plugin of that run is gone: {request.plugin}.")
    check_device(request.device)
    row = _row(results, identifier)
    check_engine("replay")
    return request, row


def _row(results: Results, identifier: str) -> RequirementResult:
    rows = {row.id: row for row in results.requirements}
    if identifier not in rows:
        raise UserError(f'That run has no requirement "{identifier}".', did_you_mean(identifier, rows))
    return rows[identifier]
