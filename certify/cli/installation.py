"""What a command asks of the installation that it runs from: the engine, and a Python of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from certify.errors import UserError

if TYPE_CHECKING:
    from certify.plan.catalogue import Catalogue


def check_engine(command: str, catalogue: Catalogue, selected: Iterable[str]) -> None:
    """Raises UserError where one of the requirements `selected` has the candidate run and no engine is here.

    Static requirements need none, so that one of them can be measured again where it was measured.
    """
    from certify.plan.machine import INSTALL_ENGINE, missing_of_engine

    static = {row.id for row in catalogue.requirements if row.when == "static"}
    if static.issuperset(selected):
        return
    if missing := missing_of_engine():
        lacking = ", ".join(missing)
        raise UserError(
            f"`certify {command}` needs the extra engine: {INSTALL_ENGINE} (not installed: {lacking})"
        )


def warn_of_host_program() -> None:
    """A line on stderr where this Python is that of a ComfyUI or a WebUI."""
    from certify.plan.host_program import host_program
    from certify.terminal.streams import say

    if program := host_program():
        say(f"warning: {program.warning}", sys.stderr)
