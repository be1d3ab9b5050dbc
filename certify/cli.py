"""The commands, nothing else."""

from __future__ import annotations

import argparse
import json
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from certify import __version__, streams
from certify.errors import UserError, did_you_mean, tell
from certify.option_values import index_place

_EPILOG = "exit codes: 0 passed, 1 rejected, 2 usage or bad submission, 3 incomplete, 4 harness error"


class _Parser(argparse.ArgumentParser):
    """argparse with a nearest known name for a wrong command or option."""

    def error(self, message: str) -> None:  # type: ignore[override]
        wrong = re.search(r"(?:invalid choice: '|unrecognized arguments: )([^' ]+)", message)
        hint = did_you_mean(wrong.group(1), _words_of(self)) if wrong else ""
        self.exit(2, f"certify: {message}\n" + (f"  {hint}\n" if hint else f"  See `{self.prog} --help`.\n"))


def _words_of(parser: argparse.ArgumentParser) -> list[str]:
    """The options of a parser, the choices of its arguments, and the same of its commands' parsers."""
    words = list(parser._option_string_actions)
    for action in parser._actions:
        words += [str(choice) for choice in action.choices or ()]
        if isinstance(action.choices, dict):
            words += [word for command in action.choices.values() for word in _words_of(command)]
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; gives its exit code and never a traceback for a user's mistake."""
    streams.ready()
    code = _command(argv)
    streams.settle()
    return code


def _command(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.command(arguments)
        return code
    except UserError as error:
        with suppress(OSError):
            tell(error)
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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="certify", description="Certifies Stable Diffusion plugins.", epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"sd-certify {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    _add_run(commands)
    plan = commands.add_parser(
        "plan", help="what would run, and what would not and why; executes nothing of it"
    )
    _add_choice(plan)
    plan.add_argument("--json", action="store_true", help="as JSON")
    plan.set_defaults(command=_plan)
    _add_licences(commands)
    listing = commands.add_parser("list", help="every requirement")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(command=_list)
    explain = commands.add_parser("explain", help="one requirement: what it demands, why, and how to meet it")
    explain.add_argument("requirement")
    explain.set_defaults(command=_explain)
    doctor = commands.add_parser("doctor", help="what this machine can evidence")
    doctor.add_argument(
        "--isolation", action="store_true", help="every act of the isolation self-test, and nothing else"
    )
    doctor.set_defaults(command=_doctor)
    report = commands.add_parser("report", help="makes the outputs of a run again from its journal")
    report.add_argument("run", metavar="RUN", help="the folder of a run")
    report.set_defaults(command=_report)
    _add_marks(commands)
    replay = commands.add_parser("replay", help="repeats one requirement of a run with the run's seed")
    replay.add_argument("run", metavar="RUN", help="the folder of a run")
    replay.add_argument("requirement")
    replay.set_defaults(command=_replay)
    return parser


def _add_choice(parser: argparse.ArgumentParser, needed: bool = True) -> None:
    parser.add_argument(
        "plugin", nargs=None if needed else "?", metavar="PLUGIN", help="folder, wheel or zip"
    )
    parser.add_argument("--profile", default="quick", help="quick (default), store or certified")
    parser.add_argument(
        "--suite", action="append", default=[], metavar="NAME", help="only this suite (repeatable)"
    )
    parser.add_argument(
        "--requirement", action="append", default=[], metavar="ID", help="only this requirement (repeatable)"
    )


def _add_licences(commands: argparse._SubParsersAction[_Parser]) -> None:
    licences = commands.add_parser(
        "licences", help="the licences of a plugin, its model, LoRAs and dependencies; executes nothing of it"
    )
    licences.add_argument("plugin", metavar="PLUGIN", help="folder, wheel or zip")
    licences.add_argument("--json", action="store_true", help="as JSON")
    licences.add_argument(
        "--index",
        default="",
        metavar="URL|FOLDER",
        help="where dependencies are resolved; asked only if named",
    )
    licences.add_argument("--sbom", default="", metavar="FILE", help="writes a bill of materials (CycloneDX)")
    licences.set_defaults(command=_licences)


def _add_run(commands: argparse._SubParsersAction[_Parser]) -> None:
    run = commands.add_parser("run", help="certifies a plugin", epilog=_EPILOG)
    _add_choice(run, needed=False)
    run.add_argument(
        "--resume", default="", metavar="DIR", help="goes on with a run that was cut short, as it was begun"
    )
    run.add_argument(
        "--soak",
        default="",
        metavar="TIME",
        help="soaks for longer than the profile does, for instance 30m or 24h",
    )
    run.add_argument("--out", metavar="DIR", help="where the run is written (default: certify-runs/NAME-N)")
    run.add_argument(
        "--seed",
        default="",
        help="root seed of prompts and seeds, to repeat a run: a whole number below 2**64",
    )
    run.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    run.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="TYPE=FOLDER",
        help="real weights, for instance v1.5=FOLDER",
    )
    run.add_argument(
        "--deadline", type=float, default=0.0, metavar="SECONDS", help="for one call of the plugin"
    )
    run.add_argument(
        "--index",
        default="",
        metavar="URL|FOLDER",
        help="where dependencies are resolved; asked only if named",
    )
    run.add_argument(
        "--advisories", default="", metavar="URL", help="an OSV service to look dependencies up; likewise"
    )
    run.add_argument(
        "--policy",
        default="store-default",
        metavar="NAME or FILE",
        help="which AI marks are asked for: store-default, cn-2025, eu-2026, us-ca-2026, or a .toml file",
    )
    run.set_defaults(command=_run)


def _add_marks(commands: argparse._SubParsersAction[_Parser]) -> None:
    marks = commands.add_parser("marks", help="the AI marks of any image: PNG, JPEG or WebP")
    marks.add_argument("images", nargs="+", metavar="IMAGE")
    marks.add_argument("--json", action="store_true", help="as JSON")
    marks.add_argument("--payload", default="", metavar="HEX", help="look for this word too")
    marks.add_argument(
        "--method", default="", choices=("", "lumaQim", "dwtDctSvd", "dwtDct", "rivaGan"), help="of --payload"
    )
    marks.add_argument("--trustmark", default="", metavar="FOLDER", help="read TrustMark by these weights")
    marks.add_argument("--size", default="", metavar="WxH", help="what the images were made in, where known")
    marks.add_argument("--trust", default="", metavar="PEM", help="whose signatures of credentials count")
    marks.add_argument(
        "--policy", default="", metavar="NAME or FILE", help="judge them; exit code 1 if wrong"
    )
    marks.set_defaults(command=_marks)


def _marks(arguments: argparse.Namespace) -> int:
    from certify.marks_command import run

    return run(
        arguments.images,
        arguments.json,
        payload=arguments.payload,
        method=arguments.method,
        trustmark=arguments.trustmark,
        size=arguments.size,
        trust=arguments.trust,
        policy=arguments.policy,
    )


def _run(arguments: argparse.Namespace) -> int:
    from certify.run_command import run

    usual = vars(_parser().parse_args(["run"]))
    return run(arguments, [name for name, value in vars(arguments).items() if usual[name] != value])


def _plan(arguments: argparse.Namespace) -> int:
    import tempfile

    from certify.candidate import read_candidate
    from certify.machine import capabilities
    from certify.plan import make_plan
    from certify.profiles import profile_named
    from certify.requirements import load_catalogue
    from certify.submission import open_submission

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
        print(json.dumps({"planned": plan.planned, "seconds": plan.seconds, "requirements": rows}, indent=2))
        return 0
    print(f"{candidate.name} {candidate.version} ({candidate.kind}), profile {profile.name}")
    for row in plan.rows:
        told = row.action if not row.reason else f"{row.action}: {row.reason}"
        counted = (
            ""
            if row.counts or row.action == "not-applicable"
            else f" (counts from {row.requirement.counts_from})"
        )
        print(f"  {row.requirement.id:<32} {told}{counted}")
    print(f"{plan.planned} of {len(plan.rows)} requirements would run, in about {plan.seconds:.0f} s.")
    return 0


def _licences(arguments: argparse.Namespace) -> int:
    from certify.licensing.command import show

    return show(Path(arguments.plugin), index_place(arguments.index), arguments.json, arguments.sbom)


def _list(arguments: argparse.Namespace) -> int:
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


def _explain(arguments: argparse.Namespace) -> int:
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


def _doctor(arguments: argparse.Namespace) -> int:
    from certify.host.doctor import act_lines, diagnose_isolation, self_test
    from certify.machine import diagnose, environment

    told = self_test()
    if arguments.isolation:
        print("\n".join(act_lines(told)))
        return 0
    for name, value in environment().items():
        print(f"{name:<20} {value}")
    print()
    for line in [*diagnose(), *diagnose_isolation(told)]:
        print(f"{'ok ' if line.ok else 'no '} {line.name:<16} {line.finding}")
        if line.remedy:
            print(f"    {'':<16} {line.remedy}")
    return 0


def _record_of(folder: str) -> Path:
    journal = Path(folder) / "journal.ndjson"
    if not journal.is_file():
        raise UserError(f"{folder} is not the folder of a run: it has no journal.ndjson.")
    return journal


def _report(arguments: argparse.Namespace) -> int:
    from certify.assemble import assemble
    from certify.record import read_journal
    from certify.run import write_outputs
    from certify.streams import say
    from certify.summary import last_words

    journal = _record_of(arguments.run)
    try:
        results = assemble(read_journal(journal))
    except ValueError as error:
        raise UserError(f"{journal}: {error}", "The record is damaged or was cut before the plan.") from None
    write_outputs(results, journal.parent)
    say(last_words(results, journal.parent.absolute()))
    return results.verdict.exit_code


def _replay(arguments: argparse.Namespace) -> int:
    from certify.replay import replay

    return replay(_record_of(arguments.run), arguments.requirement)
