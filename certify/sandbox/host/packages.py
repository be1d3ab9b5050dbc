"""Installs the dependencies of a candidate that the engine does not have, in a folder that only its workers
see.

There are two steps. The first contacts the registry and executes nothing: pip resolves wheels that fit the
installed packages, and downloads them by hash. The second installs them (and builds source packages that the
user provides) in a sandboxed worker without network. The host never imports any of them.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from certify.sandbox.host.faults import CandidateFault
from certify.sandbox.host.host import Host
from certify.sandbox.host.session import Session

_PACKAGES = (".whl", ".tar.gz", ".zip")
FETCH_SECONDS, INSTALL_SECONDS = 300, 600
# Messages of pip and urllib3 for a registry that cannot be reached.
_UNREACHABLE = re.compile(
    r"NewConnectionError|Failed to establish|ConnectTimeout|Read timed out"
    r"|Temporary failure in name resolution|Name or service not known|ProxyError|Network is unreachable"
    r"|Connection (refused|reset|broken)"
    r"|check your internet connection|SSLError|Max retries exceeded"
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "HOME", "PATH", "TMPDIR")


@dataclass(frozen=True)
class Packages:
    """The result. `folder` contains the packages (empty: none are needed), `installed` lists their names and
    versions. `missing` is why they could not be fetched here, which is not a fault of the candidate;
    `broken` is why they cannot be installed together with the engine."""

    folder: str = ""
    installed: tuple[str, ...] = ()
    missing: str = ""
    broken: str = ""


def provide(host: Host, scratch: Path, requirements: Iterable[Requirement], index: str = "") -> Packages:
    """The packages for a candidate with these requirements.

    `index` is a folder of wheels and source packages, or the address of a registry; empty: pip's own.
    Raises HostError where no worker can be started.
    """
    given = index if index and Path(index).is_dir() else ""
    needed = [str(requirement) for requirement in requirements if not is_satisfied(requirement)]
    if not needed:
        return Packages()
    scratch.mkdir(parents=True, exist_ok=True)
    source = str(scratch / "fetched")
    if given:
        _take(Path(given), Path(source))
    else:
        failure = _fetch(needed, scratch, index)
        if failure is not None:
            return failure
    return _install(host, scratch, needed, source)


def _take(given: Path, into: Path) -> None:
    """Copies the packages of a folder that the worker's user may be unable to read."""
    into.mkdir()
    for file in sorted(given.iterdir()):
        if file.name.endswith(_PACKAGES) and file.is_file():
            shutil.copyfile(file, into / file.name)


def is_satisfied(requirement: Requirement) -> bool:
    """Whether an installed package satisfies it, or it does not apply to this system."""
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return not requirement.extras and requirement.specifier.contains(version, prereleases=True)


def _fetch(needed: Sequence[str], scratch: Path, index: str) -> Packages | None:
    """Downloads the wheels; None on success."""
    (scratch / "constraints.txt").write_text("\n".join(_constraints()), "utf-8")
    report = scratch / "report.json"
    place = ["--index-url", index] if index else []
    resolve = ["install", "--dry-run", "--report", str(report), "--only-binary=:all:", *place]
    failure = _pip([*resolve, "-c", str(scratch / "constraints.txt"), *needed], scratch)
    if failure is not None:
        return failure
    lock = scratch / "lock.txt"
    lock.write_text("\n".join(_locked(json.loads(report.read_text("utf-8")))), "utf-8")
    fetch = [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "-d",
        str(scratch / "fetched"),
        *place,
    ]
    return _pip([*fetch, "-r", str(lock)], scratch)


def _constraints() -> list[str]:
    """The installed packages, with which a candidate's dependencies must be compatible."""
    rows = {
        canonicalize_name(row.metadata["Name"]): row.version for row in importlib.metadata.distributions()
    }
    return sorted(f"{name}=={version}" for name, version in rows.items() if "+" not in version)


def _locked(report: dict[str, Any]) -> list[str]:
    rows = []
    for row in report["install"]:
        hashes = row["download_info"]["archive_info"]["hashes"]
        rows.append(
            f"{row['metadata']['name']}=={row['metadata']['version']} --hash=sha256:{hashes['sha256']}"
        )
    return rows


def _pip(arguments: list[str], scratch: Path) -> Packages | None:
    """Runs pip in a subprocess; None on success."""
    environment = {name: os.environ[name] for name in _PROXIES if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    # With one retry pip reports that the registry cannot be reached.
    command = [sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "--retries=1"]
    try:
        completed = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            cwd=scratch,
            timeout=FETCH_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Packages(missing=f"pip did not end within {FETCH_SECONDS} s.")
    if completed.returncode == 0:
        return None
    return _reason(completed.stdout + completed.stderr)


def _reason(text: str) -> Packages:
    if "No module named pip" in text:
        return Packages(missing="pip is not in this environment (python -m ensurepip).")
    if _UNREACHABLE.search(text):
        return Packages(missing="The package registry could not be reached from here.")
    lines = [line.strip() for line in text.splitlines() if "ERROR" in line or "conflict" in line.lower()]
    return Packages(broken=" ".join(lines[:4])[:600] or text.strip()[-300:])


def _install(host: Host, scratch: Path, needed: Sequence[str], source: str) -> Packages:
    session = Session(host, scratch / "install", readable=[source])
    try:
        reply = session.ask("install", INSTALL_SECONDS, needed=list(needed), source=source)
    except CandidateFault as fault:
        return Packages(broken=f"Installing its dependencies failed: {fault.message[:400]}")
    finally:
        session.end()
    if reply.body.get("code") != 0:
        return _reason(str(reply.body.get("output", "")))
    folder = scratch / "packages"
    try:
        _copy_plain(session.folder / "work" / "packages", folder)
        names = tuple(_names_in(folder))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        # That they are there is only a claim of the worker.
        return Packages(broken=f"Installing its dependencies left no packages: {str(error)[:300]}")
    return Packages(folder=str(folder), installed=names)


def _copy_plain(source: Path, target: Path) -> None:
    """Copies files and folders, without symbolic links and .pth files."""
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.is_symlink():
            continue
        if entry.is_dir():
            _copy_plain(entry, target / entry.name)
        elif entry.is_file() and not entry.name.endswith(".pth"):
            shutil.copyfile(entry, target / entry.name)


def _names_in(folder: Path) -> list[str]:
    rows = importlib.metadata.distributions(path=[str(folder)])
    return sorted(
        f"{canonicalize_name(str(row.metadata['Name'])[:100])}=={str(row.version)[:50]}" for row in rows
    )
