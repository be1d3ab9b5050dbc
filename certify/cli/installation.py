"""What a command asks of the installation that it runs from: the engine, and a Python of its own."""

from __future__ import annotations

import sys

from certify.errors import UserError


def check_engine(command: str) -> None:
    """Raises UserError where the extra `engine`, which runs candidates, is not installed."""
    from certify.plan.machine import INSTALL_ENGINE, missing_of_engine

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
