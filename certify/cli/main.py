"""`certify`: finds the command's module, runs it, and turns what it raises into an exit code."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType

import certify.cli
from certify import __version__, streams
from certify.cli.arguments import EXIT_CODES, Parser
from certify.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; gives its exit code and never a traceback for a user's mistake."""
    streams.ready()
    code = _command(argv)
    streams.settle()
    return code


def _command(argv: Sequence[str] | None) -> int:
    try:
        arguments = parser().parse_args(argv)
        code: int = arguments.command(arguments)
        return code
    except UserError as error:
        with suppress(OSError):
            streams.report_mistake(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader of a long answer went away (`certify list | head`).
        return 0
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 2
    except Exception:
        # Python would leave with 1, which says "rejected".
        with suppress(OSError):
            print("certify: a fault of the harness, please report it:", file=sys.stderr)
            traceback.print_exc()
        return 4


def parser() -> Parser:
    """The parser of all commands, in the order of their `HELP_ORDER`."""
    whole = Parser(prog="certify", description="Certifies Stable Diffusion plugins.", epilog=EXIT_CODES)
    whole.add_argument("--version", action="version", version=f"sd-certify {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for module in command_modules():
        module.add_to(commands)
    return whole


def command_modules() -> list[ModuleType]:
    """The modules of this package that are commands: those with `add_to`."""
    names = [row.name for row in pkgutil.iter_modules(certify.cli.__path__)]
    modules = [importlib.import_module(f"certify.cli.{name}") for name in names if name != "main"]
    return sorted((row for row in modules if hasattr(row, "add_to")), key=lambda row: int(row.HELP_ORDER))
