"""`certify report RUN`: makes every output again from the journal."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from certify.errors import UserError

if TYPE_CHECKING:
    from certify.cli.arguments import Commands

HELP_ORDER = 7


def add_to(commands: Commands) -> None:
    report = commands.add_parser("report", help="makes the outputs of a run again from its journal")
    report.add_argument("run", metavar="RUN", help="the folder of a run")
    report.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    from certify.assemble import assemble
    from certify.outputs.write import write_outputs
    from certify.record import read_journal
    from certify.streams import say
    from certify.summary import last_words

    journal = journal_of(arguments.run)
    try:
        results = assemble(read_journal(journal))
    except ValueError as error:
        raise UserError(f"{journal}: {error}", "The record is damaged or was cut before the plan.") from None
    write_outputs(results, journal.parent)
    say(last_words(results, journal.parent.absolute()))
    return results.verdict.exit_code


def journal_of(folder: str) -> Path:
    """The journal in the folder of a run. Raises UserError where there is none."""
    journal = Path(folder) / "journal.ndjson"
    if not journal.is_file():
        raise UserError(f"{folder} is not the folder of a run: it has no journal.ndjson.")
    return journal
