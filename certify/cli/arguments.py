"""What the commands' parsers share."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, TypeAlias

from certify.errors import did_you_mean

EXIT_CODES = "exit codes: 0 passed, 1 rejected, 2 usage or bad submission, 3 incomplete, 4 harness error"


class Parser(argparse.ArgumentParser):
    """argparse that suggests the nearest known name for a wrong command or option."""

    def error(self, message: str) -> None:  # type: ignore[override]
        wrong = re.search(r"(?:invalid choice: '|unrecognized arguments: )([^' ]+)", message)
        hint = did_you_mean(wrong.group(1), _words_of(self)) if wrong else ""
        self.exit(2, f"certify: {message}\n" + (f"  {hint}\n" if hint else f"  See `{self.prog} --help`.\n"))


if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[Parser]


def _words_of(parser: argparse.ArgumentParser) -> list[str]:
    """The options of a parser, the choices of its arguments, and the same of its commands' parsers."""
    words = list(parser._option_string_actions)
    for action in parser._actions:
        words += [str(choice) for choice in action.choices or ()]
        if isinstance(action.choices, dict):
            words += [word for command in action.choices.values() for word in _words_of(command)]
    return words


def add_plugin(parser: argparse.ArgumentParser, needed: bool = True) -> None:
    parser.add_argument(
        "plugin", nargs=None if needed else "?", metavar="PLUGIN", help="folder, wheel or zip"
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which requirements count, and which are measured at all."""
    parser.add_argument("--profile", default="quick", help="quick (default), store or certified")
    parser.add_argument(
        "--suite", action="append", default=[], metavar="NAME", help="only this suite (repeatable)"
    )
    parser.add_argument(
        "--requirement", action="append", default=[], metavar="ID", help="only this requirement (repeatable)"
    )


def add_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--policy",
        default="store-default",
        metavar="NAME or FILE",
        help="which AI marks are required: store-default, cn-2025, eu-2026, us-ca-2026, or a .toml file",
    )


def add_index(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--index",
        default="",
        metavar="URL|FOLDER",
        help="where dependencies are resolved; contacted only if named",
    )
