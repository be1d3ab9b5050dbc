"""The models of results.json, which is computed from the journal alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from certify.terms.outcomes import Outcome
from certify.terms.verdicts import VerdictName

RESULTS_SCHEMA = 1


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


class VerdictRow(_Row):
    name: VerdictName
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
    # Over certify, its reports and the engine.
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
    """The JSON Schema of results.json, as it is published beside this module."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Results.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("results.schema.json").write_text(schema_text(), "utf-8")
