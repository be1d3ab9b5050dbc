"""Third-party pickle scanners, run for a second opinion if they are installed (extra `security`).

Our own scanner decides; a file that another scanner calls dangerous is rejected too. If a scanner can't read
a file, the others decide: a file is cleared only if our own scanner followed it to its end.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from certify.instruments.findings import Finding

from .inspection import sniff
from .rules import finding

SECONDS = 180.0  # for all files
_PLAIN = ("safetensors", "other")


def second_opinions(root: Path, files: Iterable[str]) -> tuple[list[Finding], list[str]]:
    """(findings, scanners that ran and files they could not read) for the files with more than numbers."""
    selected = [file for file in files if _needs_scan(root / file)]
    findings: list[Finding] = []
    notes: list[str] = []
    for scanner, here, ask in (
        ("picklescan", _has_picklescan(), _picklescan),
        ("modelaudit", _modelaudit() is not None, _audit),
    ):
        if not here:
            continue
        notes.append(f"scanned with {scanner}")
        dangers = ask([root / file for file in selected]) if selected else {}
        notes += [f"{scanner} could not read {file}" for file in selected if root / file not in dangers]
        findings += [
            finding(file, "second-opinion", f"{scanner}: {danger}")
            for file in selected
            for danger in dangers.get(root / file, [])
        ]
    return findings, notes


def _needs_scan(path: Path) -> bool:
    try:
        return path.is_file() and sniff(path) not in _PLAIN
    except OSError:
        return False  # reported by our own scanner


def _has_picklescan() -> bool:
    return importlib.util.find_spec("picklescan") is not None


def _modelaudit() -> str | None:
    return shutil.which("modelaudit")


def _picklescan(paths: list[Path]) -> dict[Path, list[str]]:
    """The dangerous names in each readable file. The scanner reads and never loads."""
    from picklescan.scanner import SafetyLevel, scan_file_path

    logging.getLogger("picklescan").setLevel(logging.CRITICAL)
    dangers: dict[Path, list[str]] = {}
    for path in paths:
        try:
            result = scan_file_path(str(path))
        except Exception:  # a hostile file can raise anything
            continue
        names = [
            f"{entry.module}.{entry.name}"
            for entry in result.globals
            if entry.safety is SafetyLevel.Dangerous
        ]
        if names or not result.scan_err:
            dangers[path] = names
    return dangers


def _audit(paths: list[Path]) -> dict[Path, list[str]]:
    """The critical issues of each readable file, from a single subprocess for all files."""
    with tempfile.TemporaryDirectory() as home:
        # Disables its telemetry.
        silence = {"NO_ANALYTICS": "1", "PROMPTFOO_DISABLE_TELEMETRY": "1"}
        command = [str(_modelaudit()), "scan", "--no-cache", "--format", "json", *map(str, paths)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=SECONDS,
                cwd=home,
                env={"PATH": os.defpath, "HOME": home, **silence},
            )
            report = json.loads(done.stdout)
            scanned = [path for path in paths if str(path) in report["file_metadata"]]
            issues = [issue for issue in report["issues"] if issue["severity"] == "critical"]
            return {
                path: [
                    str(issue["message"])[:160] for issue in issues if _is_about(str(issue["location"]), path)
                ]
                for path in scanned
            }
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
            return {}


def _is_about(location: str, path: Path) -> bool:
    """A location is the path, with an optional suffix ` (pos 3)` or `:member`."""
    return location == str(path) or location.startswith((f"{path} ", f"{path}:"))
