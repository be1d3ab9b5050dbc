"""`certify run`: the options are checked, and a clean Python does the run."""

from __future__ import annotations

import argparse
import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from certify.cli.arguments import EXIT_CODES, add_index, add_plugin, add_policy, add_selection
from certify.cli.installation import check_engine, warn_of_host_program
from certify.cli.option_values import address, index_place, policy_place, seconds
from certify.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from certify.cli.arguments import Commands

HELP_ORDER = 1


def add_to(commands: Commands) -> None:
    run_parser = commands.add_parser("run", help="certifies a plugin", epilog=EXIT_CODES)
    _add_options(run_parser)
    run_parser.set_defaults(command=run)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_plugin(parser, needed=False)
    add_selection(parser)
    parser.add_argument(
        "--resume", default="", metavar="DIR", help="goes on with a run that was cut short, as it was begun"
    )
    parser.add_argument(
        "--soak",
        default="",
        metavar="TIME",
        help="soaks for longer than the profile does, for instance 30m or 24h",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="where the run is written (default: certify-runs/NAME-N)"
    )
    parser.add_argument(
        "--seed",
        default="",
        help="root seed of prompts and seeds, to repeat a run: a whole number below 2**64",
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="TYPE=FOLDER",
        help="real weights, for instance v1.5=FOLDER",
    )
    parser.add_argument(
        "--deadline", type=float, default=0.0, metavar="SECONDS", help="for one call of the plugin"
    )
    add_index(parser)
    parser.add_argument(
        "--advisories", default="", metavar="URL", help="an OSV service to look dependencies up; likewise"
    )
    add_policy(parser)


def run(arguments: argparse.Namespace) -> int:
    """Checks the options, starts the run, and gives its exit code. Raises UserError for a mistake in them."""
    from certify.plan.catalogue import load_catalogue
    from certify.plan.machine import check_device
    from certify.plan.policy import load_policy
    from certify.plan.profiles import profile_named
    from certify.run.request import RunRequest
    from certify.run.restart import run_cleanly
    from certify.terminal.streams import say

    if arguments.resume:
        return _resume(arguments)
    if arguments.plugin is None:
        raise UserError("certify run takes a PLUGIN: a folder, wheel or zip.", "Or --resume DIR.")
    profile_named(arguments.profile)
    catalogue = load_catalogue()
    catalogue.select(arguments.suite, arguments.requirement)
    check_engine("run")
    load_policy(arguments.policy)
    _check_seed(arguments.seed)
    check_device(arguments.device)
    if not 0 <= arguments.deadline < math.inf:
        raise UserError(f"--deadline takes a number of seconds above 0, not {arguments.deadline}.")
    plugin = Path(arguments.plugin).absolute()
    out = Path(arguments.out).absolute() if arguments.out else _next_folder(plugin)
    _check_out(out, plugin)
    warn_of_host_program()
    if addition := catalogue.explain_addition(arguments.suite, arguments.requirement):
        say(addition)
    return run_cleanly(
        RunRequest(
            plugin=str(plugin),
            shown=arguments.plugin,
            profile=arguments.profile,
            suites=tuple(arguments.suite),
            requirements=tuple(arguments.requirement),
            out=str(out),
            seed=arguments.seed,
            device=arguments.device,
            models=_models(arguments.model),
            deadline=arguments.deadline,
            soak=seconds("--soak", arguments.soak) if arguments.soak else 0.0,
            index=index_place(arguments.index),
            advisories=address("--advisories", arguments.advisories),
            policy=policy_place(arguments.policy),
        )
    )


def _resume(arguments: argparse.Namespace) -> int:
    from certify.plan.machine import check_device
    from certify.run.restart import run_cleanly
    from certify.run.resume import recorded_request

    folder = arguments.resume
    usual = argparse.ArgumentParser()
    _add_options(usual)
    defaults = vars(usual.parse_args([]))
    others = [name for name, value in defaults.items() if name != "resume" and vars(arguments)[name] != value]
    if others:
        named = ", ".join("PLUGIN" if name == "plugin" else f"--{name}" for name in others)
        raise UserError(
            f"--resume goes on with what the run was asked for: leave out {named}.",
            f"certify run --resume {shlex.quote(folder)}",
        )
    request = recorded_request(Path(folder))
    check_engine("run")
    check_device(request.device)
    warn_of_host_program()
    return run_cleanly(request)


def _check_seed(text: str) -> None:
    # The length first: Python refuses to read thousands of digits.
    if not re.fullmatch("[0-9]{0,20}", text) or int(text or 0) >= 2**64:
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        raise UserError(f'--seed takes a whole number below 2**64 ({2**64}), not "{shown}".')


def _check_out(out: Path, plugin: Path) -> None:
    """A run gets a folder of its own. One that holds a run already is told when the run begins."""
    if plugin.is_dir() and out.resolve().is_relative_to(plugin.resolve()):
        raise UserError(
            f"{out} lies inside the plugin, and would become a part of it.",
            "Name a folder elsewhere with --out.",
        )
    if out.is_dir() and not (out / "journal.ndjson").exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty.", "Name a new or an empty folder with --out.")


def _next_folder(plugin: Path) -> Path:
    """`certify-runs/NAME-N` with the first free N, here or, inside the plugin's own folder, beside that."""
    inside = plugin.is_dir() and Path.cwd().is_relative_to(plugin.resolve())
    runs = (plugin.resolve().parent if inside else Path.cwd()) / "certify-runs"
    stem = plugin.resolve().name.split("-")[0] if plugin.suffix == ".whl" else plugin.resolve().stem
    number = 1
    while (runs / f"{stem}-{number}").exists():
        number += 1
    return runs / f"{stem}-{number}"


def _models(pairs: Sequence[str]) -> dict[str, str]:
    known = ("v1.4", "v1.5", "v2.0")
    models = {}
    for pair in pairs:
        name, equals, folder = pair.partition("=")
        if not (equals and folder) or name not in known:
            hint = did_you_mean(name, known) or "Known model types: " + ", ".join(known) + "."
            raise UserError(f'--model takes TYPE=FOLDER, not "{pair}".', hint)
        if not Path(folder).is_dir():
            raise UserError(
                f"--model {name}: {folder} is not a folder.", "Name a folder in the diffusers layout."
            )
        models[name] = str(Path(folder).absolute())
    return models
