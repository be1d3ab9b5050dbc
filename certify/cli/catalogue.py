"""`certify list` and `certify explain ID`: the requirements."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certify.cli.arguments import Commands

HELP_ORDER = 5


def add_to(commands: Commands) -> None:
    listing = commands.add_parser("list", help="every requirement")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(command=run_list)
    explain = commands.add_parser("explain", help="one requirement: what it demands, why, and how to meet it")
    explain.add_argument("requirement")
    explain.set_defaults(command=run_explain)


def run_list(arguments: argparse.Namespace) -> int:
    from certify.requirements import load_catalogue

    catalogue = load_catalogue()
    if arguments.json:
        print(json.dumps([row.model_dump(mode="json") for row in catalogue.requirements], indent=2))
        return 0
    for suite in catalogue.suites:
        print(f"{suite.name}: {suite.summary or suite.title}")
        for row in suite.requirement:
            print(f"  {row.id:<32} {row.level:<6} {','.join(row.source):<12} {row.title}")
    print(f"{len(catalogue.requirements)} requirements. `certify explain ID` tells more of one.")
    return 0


def run_explain(arguments: argparse.Namespace) -> int:
    from certify.requirements import load_catalogue

    row = load_catalogue().find(arguments.requirement)
    print(f"{row.id}: {row.title}\n\n  {row.sentence}\n")
    print(f"level      {row.level}, counts from profile {row.counts_from}")
    print(f"source     {', '.join(row.source)}")
    print(f"applies to {' and '.join(row.applies) or 'every candidate'}")
    print(f"needs      {', '.join(row.needs) or 'nothing special'}")
    print(f"since      spec revision {row.introduced}")
    print(f"lifecycle  {row.lifecycle}")
    print(f"effort     {row.effort} to fix\n\nwhy  {row.why}\n\nfix  {row.fix}")
    return 0
