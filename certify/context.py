"""What a suite's test may read of the run that it measures for: the fixture `measurement`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from certify.candidate import Candidate
from certify.policy import LoadedPolicy
from certify.profiles import Profile
from certify.resolution import Resolver


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
    # An OSV service to ask for vulnerabilities; empty where none was named.
    advisories: str = ""
    # True where seccomp reports refused calls; otherwise only in-process audit events are known.
    is_filtered: bool = False
