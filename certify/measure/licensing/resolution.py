"""Resolves a candidate's dependencies with uv, for each declared system, without running any of them.

It uses wheels only, because a build from source would run untrusted code. It contacts only an index that the
user named; a folder of wheels also works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from certify.candidate.candidate import Candidate
from certify.instruments.licences.package_metadata import Package, read_metadata
from certify.measure.licensing.dependencies import declared
from certify.plan.machine import find_tool

TIMEOUT = 120.0  # seconds for uv, for each system
FETCH_TIMEOUT = 20.0
MAX_PACKAGES = 400
MAX_ANSWER = 16 << 20
_PYTHONS = ("3.11", "3.12", "3.10", "3.13", "3.14")
_PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)==([^\s;]+)")
_JSON = "application/vnd.pypi.simple.v1+json"


class NotResolved(Exception):
    """The dependencies could not be resolved, for the reason in the message."""


@dataclass(frozen=True)
class Resolution:
    """The resolved packages of all systems, and for each failed system the reason."""

    packages: tuple[Package, ...]
    failures: dict[str, str]


class Resolver:
    """Asks each question once, of a run or of all runs that share it; `index` is a URL (simple API) or a
    folder of wheels, empty where there is none."""

    def __init__(self, index: str = "") -> None:
        self.index = index
        self._resolved: dict[tuple[object, ...], Resolution | NotResolved] = {}
        self._advisories: dict[tuple[object, ...], list[tuple[str, str]]] = {}

    def resolve(self, candidate: Candidate) -> Resolution:
        """Raises NotResolved."""
        platforms = candidate.manifest.platforms
        question = (tuple(_wanted(candidate)), platforms.os, platforms.python)
        if question not in self._resolved:
            try:
                self._resolved[question] = _resolve(candidate, self.index)
            except NotResolved as error:
                self._resolved[question] = error
        done = self._resolved[question]
        if isinstance(done, NotResolved):
            raise done
        return done

    def vulnerabilities(self, packages: Sequence[Package], advisories: str) -> list[tuple[str, str]]:
        """As the function of this name; raises NotResolved."""
        question = (tuple((row.name, row.version) for row in packages), advisories)
        if question not in self._advisories:
            self._advisories[question] = vulnerabilities(packages, advisories)
        return self._advisories[question]


def _wanted(candidate: Candidate) -> list[str]:
    return [str(row) for row in declared(candidate).declared if not row.requirement.url]


def _resolve(candidate: Candidate, index: str) -> Resolution:
    wanted = _wanted(candidate)
    if not wanted:
        return Resolution((), {})
    uv = find_tool("uv")
    if not index:
        raise NotResolved("no index was named; `--index URL` or `--index FOLDER` (of wheels) names one")
    if uv is None:
        raise NotResolved("uv is not installed; pip install 'sd-certify[dependencies]'")
    python = _python(candidate.manifest.platforms.python)
    systems: dict[tuple[str, str], list[str]] = {}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="certify-uv-") as scratch:
        for system in candidate.manifest.platforms.os:
            pins, why = _compile(uv, wanted, system, python, index, Path(scratch))
            if why:
                failures[system] = why
            for pin in pins:
                systems.setdefault(pin, []).append(system)
    if len(systems) > MAX_PACKAGES:
        raise NotResolved(f"it resolves to {len(systems)} packages; {MAX_PACKAGES} are checked")
    packages = [
        read_metadata(_metadata(index, name, version), name, version, tuple(where))
        for (name, version), where in sorted(systems.items())
    ]
    return Resolution(tuple(packages), failures)


def _python(specifiers: str) -> str:
    allowed = SpecifierSet(specifiers)
    return next((version for version in _PYTHONS if allowed.contains(f"{version}.9")), _PYTHONS[0])


def _compile(
    uv: str, wanted: Sequence[str], system: str, python: str, index: str, scratch: Path
) -> tuple[list[tuple[str, str]], str]:
    """The (name, version) of all packages for a system, or why it failed."""
    source = scratch / "requirements.in"
    source.write_text("\n".join(wanted) + "\n", "utf-8")
    where = ["--no-index", "--find-links", index] if Path(index).is_dir() else ["--default-index", index]
    command = [uv, "pip", "compile", str(source), "--no-config", "--no-build", "--no-header", "--no-annotate",
               "--quiet", "--cache-dir", str(scratch / "cache"), "--python", sys.executable,
               "--python-version", python, "--python-platform", system, *where]  # fmt: skip
    environment = {key: os.environ[key] for key in ("PATH", "HOME", "SSL_CERT_FILE") if key in os.environ}
    try:
        completed = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            cwd=scratch,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotResolved(f"uv did not end within {TIMEOUT:.0f} s") from None
    except OSError as error:
        raise NotResolved(f"uv cannot be started: {error.strerror}") from None
    if completed.returncode == 0:
        rows = (_PINNED.match(line) for line in completed.stdout.splitlines())
        return [(canonicalize_name(row[1]), row[2]) for row in rows if row], ""
    error_text = " ".join(completed.stderr.split())[-600:]
    # uv exits with 1 where the requirements cannot be met, with 2 for other errors.
    if completed.returncode != 1 or re.search(r"(?i)failed to fetch|connect|timed out|dns error", error_text):
        raise NotResolved(f"uv failed: {error_text}")
    return [], error_text.lstrip("\u00d7 ")


def _metadata(index: str, name: str, version: str) -> str:
    """The METADATA of a wheel of this release; empty where the index has none."""
    if Path(index).is_dir():
        return _from_folder(Path(index), name, version)
    page = index.rstrip("/") + f"/{name}/"
    for url in _wheels(page, _fetch(page, _JSON + ", text/html;q=0.5"), name, version):
        text = _fetch(url + ".metadata")
        if text:
            return text.decode("utf-8", "replace")
    return ""


def _from_folder(folder: Path, name: str, version: str) -> str:
    for wheel in sorted(folder.glob("*.whl")):
        if _is_release(wheel.name, name, version):
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.infolist():
                    if member.filename.endswith(".dist-info/METADATA") and member.file_size <= MAX_ANSWER:
                        return archive.read(member).decode("utf-8", "replace")
    return ""


def _wheels(page: str, answer: bytes, name: str, version: str) -> list[str]:
    """URLs of the release's wheels on a page of the simple API (PEP 503 and 691)."""
    try:
        links = [str(row["url"]) for row in json.loads(answer)["files"]]
    except (ValueError, KeyError, TypeError):
        parser = _Links()
        parser.feed(answer.decode("utf-8", "replace"))
        links = parser.links
    urls = [urljoin(page, link).partition("#")[0] for link in links]
    return [
        url for url in urls if _is_release(unquote(urlsplit(url).path.rpartition("/")[2]), name, version)
    ][:5]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _is_release(filename: str, name: str, version: str) -> bool:
    try:
        wheel_name, wheel_version, *_ = parse_wheel_filename(filename)
    except (InvalidWheelFilename, ValueError):
        return False
    return wheel_name == canonicalize_name(name) and wheel_version == Version(version)


def _fetch(url: str, accept: str = "*/*") -> bytes:
    """The response, at most 16 MiB; empty for every failure, which the caller treats as missing metadata."""
    if urlsplit(url).scheme not in ("http", "https"):
        return b""
    request = urllib.request.Request(url, headers={"Accept": accept, "User-Agent": "sd-certify"})
    try:
        with urllib.request.urlopen(request, timeout=FETCH_TIMEOUT) as stream:
            data: bytes = stream.read(MAX_ANSWER + 1)
    except (OSError, ValueError):
        return b""
    return data if len(data) <= MAX_ANSWER else b""


def vulnerabilities(packages: Sequence[Package], advisories: str) -> list[tuple[str, str]]:
    """(package, advisory) by pip-audit from an OSV service. Raises NotResolved where that fails."""
    audit = find_tool("pip-audit")
    if not advisories:
        raise NotResolved("no database was named; `--advisories URL` names an OSV service")
    if audit is None:
        raise NotResolved("pip-audit is not installed; pip install 'sd-certify[dependencies]'")
    if not packages:
        return []
    with tempfile.TemporaryDirectory(prefix="certify-audit-") as scratch:
        pins = Path(scratch) / "requirements.txt"
        pins.write_text("".join(f"{row.name}=={row.version}\n" for row in packages), "utf-8")
        command = [audit, "-r", str(pins), "--no-deps", "--disable-pip", "-f", "json", "-s", "osv",
                   "--osv-url", advisories, "--progress-spinner", "off", "--cache-dir", scratch]  # fmt: skip
        try:
            completed = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        except (subprocess.TimeoutExpired, OSError) as error:
            raise NotResolved(f"pip-audit gave no answer: {error}"[:200]) from None
    return _advisories(completed.stdout, completed.stderr)


def _advisories(text: str, trouble: str) -> list[tuple[str, str]]:
    try:
        answer: dict[str, Any] = json.loads(text)
        return [
            (f"{row['name']} {row['version']}", str(advisory["id"]))
            for row in answer["dependencies"]
            for advisory in row.get("vulns", [])
        ]
    except (ValueError, KeyError, TypeError):
        lines = trouble.strip().splitlines()
        raise NotResolved(f"pip-audit gave no answer: {lines[-1][:200] if lines else 'nothing'}") from None
