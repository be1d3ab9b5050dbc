"""Other scanners, each run as its makers mean it to, over a folder: flagged, not scanned or clean, by file.

Each runs in its own Python (`tools`, the folder with its executables), never in this one.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FLAGGED, UNSCANNED, CLEAN = "flagged", "not scanned", "clean"
Verdicts = dict[str, str]

_PICKLESCAN = """
import json, logging, sys
from picklescan.scanner import scan_file_path
logging.disable(logging.CRITICAL)
out = {}
for path in sys.argv[1:]:
    try:
        result = scan_file_path(path)
        out[path] = "flagged" if result.issues_count else "not scanned" if result.scan_err else "clean"
    except BaseException:
        out[path] = "not scanned"
print(json.dumps(out))
"""
_FICKLING = """
import io, json, sys, zipfile
from fickling.analysis import check_safety, Severity
from fickling.fickle import StackedPickle
out = {}
for path in sys.argv[1:]:
    try:
        data = [open(path, "rb").read()]
        if data[0][:2] == b"PK":
            packed = zipfile.ZipFile(path)
            data = [packed.read(name) for name in packed.namelist() if name.endswith(".pkl")]
        pickles = [one for part in data for one in StackedPickle.load(io.BytesIO(part))]
        worst = max(check_safety(one).severity for one in pickles)
        out[path] = "clean" if worst <= Severity.LIKELY_SAFE else "flagged"
    except BaseException:
        out[path] = "not scanned"
print(json.dumps(out))
"""


@dataclass(frozen=True)
class Result:
    """What a tool said of each file, and the wall time for all of them."""

    verdicts: Verdicts
    seconds: float


def timed(scan: Callable[[Path, Path], Verdicts], tools: Path, folder: Path) -> Result:
    begin = time.perf_counter()
    verdicts = scan(tools, folder)
    names = sorted(path.name for path in folder.iterdir())
    return Result({name: verdicts.get(name, CLEAN) for name in names}, time.perf_counter() - begin)


def output(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=900)
    return done.stdout


def by_script(script: str) -> Callable[[Path, Path], Verdicts]:
    def scan(tools: Path, folder: Path) -> Verdicts:
        paths = sorted(map(str, folder.iterdir()))
        text = output(tools / "python", "-c", script, *paths)
        return {Path(path).name: verdict for path, verdict in json.loads(text.splitlines()[-1]).items()}

    return scan


def modelscan(tools: Path, folder: Path) -> Verdicts:
    """By its report over the folder; what it does not list as scanned it has not scanned."""
    with tempfile.TemporaryDirectory() as name:
        told = Path(name) / "report.json"
        output(tools / "modelscan", "-p", folder, "-r", "json", "-o", told)
        report = json.loads(told.read_text("utf-8"))
    verdicts = {path.name: UNSCANNED for path in folder.iterdir()}
    scanned = report["summary"]["scanned"].get("scanned_files", [])
    verdicts |= dict.fromkeys(map(_name, scanned), CLEAN)
    return verdicts | {_name(issue["source"]): FLAGGED for issue in report["issues"]}


def modelaudit(tools: Path, folder: Path) -> Verdicts:
    """Each issue of severity critical flags; exit code 2 says that a file could not be scanned."""
    verdicts: Verdicts = {}
    for path in sorted(folder.iterdir()):
        done = subprocess.run(
            [str(tools / "modelaudit"), "scan", "--no-cache", "--format", "json", str(path)],
            capture_output=True,
            text=True,
            timeout=300,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(folder.parent),
                "NO_ANALYTICS": "1",
                "PROMPTFOO_DISABLE_TELEMETRY": "1",
            },
        )
        try:
            report = json.loads(done.stdout)
            critical = any(issue["severity"] == "critical" for issue in report["issues"])
        except (ValueError, KeyError):
            report, critical = {}, False
        missed = done.returncode == 2 or not report.get("files_scanned", 1)
        verdicts[path.name] = FLAGGED if critical else UNSCANNED if missed else CLEAN
    return verdicts


def bandit(level: str) -> Callable[[Path, Path], Verdicts]:
    """`level`: the lowest severity that counts, LOW or MEDIUM."""

    def scan(tools: Path, folder: Path) -> Verdicts:
        report = json.loads(output(tools / "bandit", "-q", "-r", "-f", "json", folder))
        counted = ("LOW", "MEDIUM", "HIGH") if level == "LOW" else ("MEDIUM", "HIGH")
        verdicts = {_name(error["filename"]): UNSCANNED for error in report["errors"]}
        hits = (hit for hit in report["results"] if hit["issue_severity"] in counted)
        return verdicts | {_name(hit["filename"]): FLAGGED for hit in hits}

    return scan


def ruff(select: str) -> Callable[[Path, Path], Verdicts]:
    def scan(tools: Path, folder: Path) -> Verdicts:
        text = output(
            tools / "ruff",
            "check",
            "--isolated",
            "--no-cache",
            "--select",
            select,
            "--output-format",
            "json",
            folder,
        )
        return {_name(hit["filename"]): FLAGGED for hit in json.loads(text)}

    return scan


def hexora(tools: Path, folder: Path) -> Verdicts:
    text = output(tools / "hexora", "audit", folder, "--output-format", "json")
    verdicts: Verdicts = {}
    for line in text.splitlines():
        for hit in (
            json.loads(line) if line.startswith("[") else [json.loads(line)] if line.startswith("{") else []
        ):
            verdicts[_name(hit["path"])] = FLAGGED
    return verdicts


def _name(path: str) -> str:
    """The file in the folder that a path belongs to; members of archives are told as `file.pt:member`."""
    return Path(path.partition(":")[0]).name


WEIGHTS: dict[str, tuple[str, Callable[[Path, Path], Verdicts]]] = {
    "picklescan": ("python", by_script(_PICKLESCAN)),
    "fickling": ("python", by_script(_FICKLING)),
    "modelscan": ("modelscan", modelscan),
    "modelaudit (critical)": ("modelaudit", modelaudit),
}
CODE: dict[str, tuple[str, Callable[[Path, Path], Verdicts]]] = {
    "bandit (any)": ("bandit", bandit("LOW")),
    "bandit (medium)": ("bandit", bandit("MEDIUM")),
    "ruff S": ("ruff", ruff("S")),
    "ruff S102,S307": ("ruff", ruff("S102,S307")),
    "hexora": ("hexora", hexora),
}
