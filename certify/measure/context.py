"""The context of a run for the tests of the suites: the fixture `measurement`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from certify.candidate.candidate import Candidate
from certify.measure.licensing.resolution import Resolver
from certify.plan.policy import LoadedPolicy
from certify.plan.profiles import Profile


@dataclass
class Measurement:
    """`worker_root` is the copy of the candidate that the worker uses; `candidate.root` is the judge's."""

    candidate: Candidate
    profile: Profile
    policy: LoadedPolicy
    seed: str
    out: Path
    worker_root: Path
    resolver: Resolver = field(default_factory=Resolver)
    # The URL of an OSV service for vulnerabilities; empty where none was named.
    advisories: str = ""
    # True where seccomp reports refused calls; otherwise only in-process audit events are known.
    is_filtered: bool = False
