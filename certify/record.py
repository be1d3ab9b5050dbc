"""The record of a run: an append-only journal and the results derived from it.

The journal (`journal.ndjson`) is the only thing written while a run works; `results.json` and every
other output are computed from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RESULTS_SCHEMA = 1


class Outcome(str, Enum):
    """What became of one requirement."""

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warned"
    WAIVED = "waived"
    NOT_APPLICABLE = "not-applicable"
    NOT_EVIDENCED = "not-evidenced"
    FLAKY = "flaky"
    ERROR = "error"


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Value(_Row):
    """One measured figure or fact."""

    kind: Literal["value"] = "value"
    name: str
    value: str | int | float | bool
    unit: str = ""


class Text(_Row):
    """Text to show as it is (a log's last lines, a list of findings); cut before it is recorded."""

    kind: Literal["text"] = "text"
    name: str
    text: str


class Picture(_Row):
    """An image among the evidence; `file` is relative to the run's folder."""

    kind: Literal["image"] = "image"
    name: str
    file: str
    width: int
    height: int
    caption: str = ""


class Overlay(_Row):
    """A line that is drawn over a curve, in the curve's own units."""

    name: str
    points: tuple[tuple[float, float], ...]


class Series(_Row):
    """A curve; `points` are thinned to at most 300, `file` (CSV, relative to the run) has them all."""

    kind: Literal["series"] = "series"
    name: str
    x_label: str
    y_label: str
    points: tuple[tuple[float, float], ...]
    file: str = ""
    summary: str = ""
    overlays: tuple[Overlay, ...] = ()


Evidence = Value | Text | Picture | Series


class RequirementResult(_Row):
    """One requirement's row in results.json."""

    id: str
    suite: str
    level: Literal["must", "should", "info"]
    outcome: Outcome
    message: str = ""
    evidence: tuple[Evidence, ...] = ()
    seconds: float = 0.0
    replay: str = ""
    attempts: int = 0
    # True where the outcome enters the verdict at the profile of this run.
    counts: bool = True
    title: str = ""
    sentence: str = ""
    source: tuple[str, ...] = ()
    why: str = ""
    fix: str = ""
    # How long the fix usually takes; empty in records that were made before this key.
    effort: Literal["", "minutes", "hours", "days"] = ""


class Act(_Row):
    """One line of the isolation self-test: what was tried inside, and whether it was stopped."""

    act: str
    stopped: bool
    note: str = ""


class Isolation(_Row):
    """The level in force and the level that the profile demands; the walls that stood, which could not be
    built and why, what none of them makes visible, and who holds a worker's tree to its limits."""

    level: str
    demanded: str
    # False where nothing of the candidate was executed: there was nothing to isolate.
    needed: bool = True
    acts: tuple[Act, ...] = ()
    walls: str = ""
    lacks: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    limits_kept_by: str = ""


LEVELS = ("L0", "L1", "L2", "L3")


def meets(level: str, demanded: str) -> bool:
    """Whether isolation `level` is at least `demanded`; raises ValueError for an unknown level."""
    return LEVELS.index(level) >= LEVELS.index(demanded)


class VerdictRow(_Row):
    name: Literal["PASSED", "CERTIFIED", "REJECTED", "INCOMPLETE", "ERROR"]
    reasons: tuple[str, ...] = ()
    exit_code: int


class CandidateRow(_Row):
    name: str
    version: str
    digest: str
    kind: str
    submission: str = ""


class CertifyRow(_Row):
    version: str
    spec_revision: str
    suite_digest: str
    # Over certify, its reports and the engine: what judged.
    harness_digest: str = ""


class Results(_Row):
    """The whole of results.json. Further keys may be added; these stay."""

    schema_: int = Field(default=RESULTS_SCHEMA, alias="schema")
    certify: CertifyRow
    candidate: CandidateRow
    profile: str
    # The policy of marks: name, version and the SHA-256 of its file.
    policy: str = ""
    seed: str
    environment: dict[str, str]
    isolation: Isolation
    planned: int
    verdict: VerdictRow
    claims: tuple[str, ...]
    requirements: tuple[RequirementResult, ...]
    started: str = ""
    seconds: float = 0.0
    suites: dict[str, str] = Field(default_factory=dict)
    # The command that does this run again, with its seed.
    repeat: str = ""

    def to_json(self) -> str:
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"


def schema_text() -> str:
    """The JSON Schema of results.json, as it is published in `certify/schemas/`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Results.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


class Journal:
    """Appends events to `journal.ndjson`, each on disk before the next thing happens.

    Keeps them in memory as well: the judge believes what it wrote, and `altered` tells whether the file still
    is that. A journal that is there already goes on after its last whole line. Raises BusyError where another
    process is writing it, and ValueError for damage, see `read_journal`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.fdopen(open_for_adding(path), "ab", buffering=0)
        _hold(self._file.fileno(), path)
        kept = path.read_bytes()
        kept = kept[: kept.rfind(b"\n") + 1]
        self._file.truncate(len(kept))
        self.events: list[dict[str, Any]] = read_journal(path)
        self._digest = hashlib.sha256(kept)

    def write(self, event: str, **body: Any) -> None:
        """One line `{"event", "time", ...}`; `time` is seconds since the epoch, by the judge's clock."""
        line = json.dumps(
            {"event": event, "time": round(time.time(), 3), **body}, ensure_ascii=False, default=str
        )
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        self.events.append(json.loads(data))
        self._digest.update(data)
        while data:
            # A full disk shows as a short write first, then as an error.
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def altered(self) -> bool:
        """Whether the file holds anything but what was written here."""
        return hashlib.sha256(self.path.read_bytes()).digest() != self._digest.digest()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BusyError(Exception):
    """Another process is writing this record."""


def _hold(number: int, path: Path) -> None:
    """Until the file is closed, or the process is gone; on Windows nothing holds it."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(f"another process is writing {path}") from None


def open_for_adding(path: Path) -> int:
    """Never by way of a link, which somebody else may have put there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o644)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All whole lines; a last line that a crash cut short is left out. Raises OSError, and ValueError for
    damage anywhere else."""
    lines = path.read_bytes().split(b"\n")
    events = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        elif number < len(lines):
            raise ValueError(f"{path}:{number}: not an event in JSON")
    return events


if __name__ == "__main__":
    (Path(__file__).parent / "schemas" / "results.schema.json").write_text(schema_text(), "utf-8")
