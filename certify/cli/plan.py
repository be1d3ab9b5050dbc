"""`certify plan PLUGIN`: what would run, what would not and why; nothing of the plugin is executed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from certify.cli.arguments import add_plugin, add_selection

if TYPE_CHECKING:
    from certify.cli.arguments import Commands
    from certify.plan.plan import PlanRow

HELP_ORDER = 3


def add_to(commands: Commands) -> None:
    plan = commands.add_parser(
        "plan", help="what would run, and what would not and why; executes nothing of it"
    )
    add_plugin(plan)
    add_selection(plan)
    plan.add_argument("--json", action="store_true", help="as JSON")
    plan.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    import tempfile

    from certify.candidate.candidate import read_candidate
    from certify.plan.catalogue import load_catalogue
    from certify.plan.machine import INSTALL_ENGINE, capabilities, missing_of_engine
    from certify.plan.plan import make_plan
    from certify.plan.profiles import profile_named
    from certify.submission.submission import open_submission

    profile = profile_named(arguments.profile)
    catalogue = load_catalogue()
    selected = catalogue.select(arguments.suite, arguments.requirement)
    with tempfile.TemporaryDirectory(prefix="certify-") as scratch:
        candidate = read_candidate(open_submission(Path(arguments.plugin), Path(scratch) / "submission"))
    plan = make_plan(catalogue, candidate.traits, profile, capabilities(), selected)
    if arguments.json:
        rows = [
            {"id": row.requirement.id, "action": row.action, "counts": row.counts, "reason": row.reason}
            for row in plan.rows
        ]
        table = {
            "planned": plan.planned,
            "seconds": plan.seconds,
            "addition": catalogue.explain_addition(arguments.suite, arguments.requirement),
            "requirements": rows,
        }
        print(json.dumps(table, indent=2))
        return 0
    print(f"{candidate.name} {candidate.version} ({candidate.kind}), profile {profile.name}")
    if addition := catalogue.explain_addition(arguments.suite, arguments.requirement):
        print(addition)
    for row in plan.rows:
        print(_line(row))
    print(f"{plan.planned} of {len(plan.rows)} requirements would run, in about {plan.seconds:.0f} s.")
    if plan.needs_worker and missing_of_engine():
        print(f"Those that are not static need the extra engine, which is not installed: {INSTALL_ENGINE}")
    return 0


def _line(row: PlanRow) -> str:
    action = row.action if not row.reason else f"{row.action}: {row.reason}"
    later = "" if row.counts or row.action == "not-applicable" else row.requirement.counts_from
    return f"  {row.requirement.id:<32} {action}" + (f" (counts from {later})" if later else "")
