"""`certify check PLUGIN`: what needs no run, in a second; nothing of the plugin is executed."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certify.cli.arguments import EXIT_CODES, add_plugin, add_policy, add_selection
from certify.cli.installation import warn_of_host_program

if TYPE_CHECKING:
    from certify.cli.arguments import Commands
    from certify.record.results import RequirementResult
    from certify.run.check import CheckReport

HELP_ORDER = 2


def add_to(commands: Commands) -> None:
    check = commands.add_parser(
        "check",
        help="the requirements that need no run, in a second; executes nothing of the plugin",
        epilog=EXIT_CODES,
    )
    add_plugin(check)
    add_selection(check)
    add_policy(check)
    check.add_argument("--json", action="store_true", help="as JSON")
    check.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    from certify.run.check import CheckRequest, check
    from certify.terminal.streams import say

    warn_of_host_program()

    def replay(identifier: str) -> str:
        words = ["certify", "check", arguments.plugin, "--requirement", identifier]
        return shlex.join([*words, "--profile", arguments.profile, "--policy", arguments.policy])

    report = check(
        CheckRequest(
            plugin=Path(arguments.plugin),
            replay=replay,
            profile=arguments.profile,
            policy=arguments.policy,
            suites=tuple(arguments.suite),
            requirements=tuple(arguments.requirement),
        )
    )
    if arguments.json:
        say(json.dumps(_as_json(report), indent=2, ensure_ascii=False))
    else:
        say("\n".join(_lines(report)))
    return report.exit_code


def _as_json(report: CheckReport) -> dict[str, Any]:
    return {
        "candidate": {
            "name": report.candidate.name,
            "version": report.candidate.version,
            "digest": report.candidate.digest,
            "kind": report.candidate.kind,
        },
        "profile": report.profile,
        "complete": False,
        "left_out": report.left_out,
        "exit_code": report.exit_code,
        "requirements": [row.model_dump(mode="json") for row in report.results],
    }


def _lines(report: CheckReport) -> list[str]:
    from collections import Counter

    candidate = report.candidate
    lines = [f"{candidate.name} {candidate.version} ({candidate.kind}), profile {report.profile}"]
    for row in report.results:
        if row.outcome.value != "passed":
            lines += _about(row)
    counts = Counter(row.outcome.value for row in report.results)
    sums = ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "nothing"
    lines.append(f"{len(report.results)} requirements checked in files alone: {sums}.")
    more = (
        f"`certify run` measures {report.left_out} more"
        if report.left_out
        else "`certify run` runs the plugin"
    )
    return [*lines, f"This is a part of the certification, and no verdict: {more}."]


def _about(row: RequirementResult) -> list[str]:
    from certify.terminal.lines import log_line, sign

    counted = "" if row.counts else " (does not count at this profile)"
    lines = [f"{sign(row.outcome)} {row.id}  {row.outcome.value}{counted}"]
    lines += [f"    {log_line(line, 300)}" for line in row.message.strip().splitlines()[:1]]
    if row.outcome.value in ("failed", "warned"):
        lines += [f"    fix: {log_line(row.fix, 400)}", f"    again: {log_line(row.replay, 400)}"]
    return lines
