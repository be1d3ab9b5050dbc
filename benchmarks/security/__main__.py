"""The static instruments beside other scanners, on files that are written here and now.

    python -m benchmarks.security --tools /path/to/venv/bin [--honest PACKAGE ...]

Found is what a tool flags of the bad; not scanned is what it says it could not look at. Ours counts band A
alone, and A or B in a row of its own. The cases are ours: a tool that looks for other things is no worse for
missing them. `--honest` counts our findings in installed packages that nobody suspects; band A there is a
false alarm, or a package that does what the rule says.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.security import tools as others
from benchmarks.security.tools import CLEAN, FLAGGED, UNSCANNED, Result
from certify.instruments.code import check_source
from certify.instruments.code.source import Source, parse_source
from certify.instruments.findings import CERTAIN, SUSPICIOUS, Band, Finding
from certify.instruments.weights import check_weights
from tests.corpora import code, weights


def ours(check: Callable[[Path], list[Finding]], bands: set[Band]) -> Callable[[Path, Path], others.Verdicts]:
    def scan(_: Path, folder: Path) -> others.Verdicts:
        found = {path.name: {finding.band for finding in check(path)} for path in folder.iterdir()}
        return {name: FLAGGED if seen & bands else CLEAN for name, seen in found.items()}

    return scan


def both(check: Callable[[Path], list[Finding]]) -> list[tuple[str, Callable[[Path, Path], others.Verdicts]]]:
    return [("ours", ours(check, {CERTAIN})), ("ours, A or B", ours(check, {CERTAIN, SUSPICIOUS}))]


def check_code(path: Path) -> list[Finding]:
    source = parse_source(path.read_bytes(), path.name)
    return check_source(source, code.DECLARED) if isinstance(source, Source) else [source]


def check_weights_file(path: Path) -> list[Finding]:
    return check_weights(path.parent, [path.name])


def row(name: str, bad: Result, good: Result) -> str:
    def count(result: Result, verdict: str) -> int:
        return sum(given == verdict for given in result.verdicts.values())

    found, missed = count(bad, FLAGGED), count(bad, UNSCANNED)
    alarms, unscanned = count(good, FLAGGED), count(good, UNSCANNED)
    return (
        f"{name:24} {found:4} of {len(bad.verdicts):2}   {missed:11}   "
        f"{alarms:4} of {len(good.verdicts):2}   "
        f"{unscanned:11}   {bad.seconds + good.seconds:7.2f} s"
    )


def table(
    title: str,
    places: tuple[Path, Path],
    ways: Iterable[tuple[str, Callable[[Path, Path], others.Verdicts]]],
    tools: Path,
    verbose: bool,
) -> None:
    heads = ("found", "not scanned", "false", "not scanned", "time")
    print(f"\n{title}\n{'':24}", "   ".join(f"{head:>{max(len(head), 10)}}" for head in heads))
    for name, scan in ways:
        bad, good = (others.timed(scan, tools, place) for place in places)
        print(row(name, bad, good), flush=True)
        if verbose:
            print("    missed:", *(file for file, verdict in bad.verdicts.items() if verdict == CLEAN))
            print("    alarms:", *(file for file, verdict in good.verdicts.items() if verdict == FLAGGED))


def installed(
    tools: Path, which: dict[str, tuple[str, Callable[[Path, Path], others.Verdicts]]], module: bool
) -> Iterable[tuple[str, Callable[[Path, Path], others.Verdicts]]]:
    for name, (program, scan) in which.items():
        package = name.partition(" ")[0]
        here = (
            any(tools.glob(f"../lib/python*/site-packages/{package}"))
            if module
            else (tools / program).exists()
        )
        if here:
            yield name, scan
        else:
            print(f"{name}: not installed in {tools}, left out")


def write_sources(folder: Path, cases: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    for name, text in cases.items():
        (folder / f"{name.replace('-', '_')}.py").write_bytes(text.encode())
    return folder


def honest(names: list[str]) -> None:
    print(f"\n{'honest packages':24} {'files':>6} {'MB':>6} {'A':>4} {'B':>5} {'time':>9}")
    alarms: list[Finding] = []
    for name in names:
        spec = find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            print(f"{name}: not installed, left out")
            continue
        root = Path(spec.submodule_search_locations[0])
        begin, size, found, files = time.perf_counter(), 0, [], 0
        for path in sorted(root.rglob("*.py")):
            data = path.read_bytes()
            source = parse_source(data, f"{name}/{path.relative_to(root).as_posix()}")
            files, size = files + 1, size + len(data)
            found += check_source(source) if isinstance(source, Source) else []
        proofs = [finding for finding in found if finding.band == CERTAIN]
        signs = sum(finding.band == SUSPICIOUS for finding in found)
        alarms += proofs
        seconds = time.perf_counter() - begin
        print(f"{name:24} {files:6} {size / 1e6:6.1f} {len(proofs):4} {signs:5} {seconds:7.1f} s", flush=True)
    print(*(f"  {finding}  {finding.snippet}" for finding in alarms), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tools", type=Path, default=Path(sys.executable).parent, help="bin folder of the scanners"
    )
    parser.add_argument("--honest", nargs="*", default=[], help="packages to look for false alarms in")
    parser.add_argument("--verbose", action="store_true", help="name what each tool missed")
    arguments = parser.parse_args()
    tools = arguments.tools.resolve()
    with tempfile.TemporaryDirectory() as name:
        places = weights.write(Path(name) / "weights")
        mine = both(check_weights_file)
        ways = [*mine, *installed(tools, others.WEIGHTS, module=True)]
        table("weight files", places, ways, tools, arguments.verbose)
        bad = write_sources(Path(name) / "code" / "bad", code.BAD)
        suspect = write_sources(Path(name) / "code" / "suspect", code.SUSPECT)
        good = write_sources(Path(name) / "code" / "good", code.GOOD)
        mine = both(check_code)
        ways = [*mine, *installed(tools, others.CODE, module=False)]
        table("sources that reject", (bad, good), ways, tools, arguments.verbose)
        table("sources that warn", (suspect, good), ways, tools, arguments.verbose)
    if arguments.honest:
        honest(arguments.honest)


if __name__ == "__main__":
    main()
