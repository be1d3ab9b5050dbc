"""The context of a run for the tests of the suites: the fixture `measurement`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from certify.candidate.candidate import Candidate
from certify.measure.licensing.resolution import Resolver
from certify.plan.policy import LoadedPolicy
from certify.plan.profiles import Profile

_Reading = TypeVar("_Reading")


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
    _readings: dict[str, object] = field(default_factory=dict, repr=False)

    def once(self, name: str, read: Callable[[], _Reading]) -> _Reading:
        """What `read` gives, read once in a run for all requirements that ask for it by this name."""
        if name not in self._readings:
            self._readings[name] = read()
        return cast("_Reading", self._readings[name])
