"""What one run knows while it works; made by `run`, read by the pytest plugin's fixtures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from certify.candidate import Candidate
from certify.host.remote import RemotePlugin
from certify.plan import Plan
from certify.policy import LoadedPolicy
from certify.profiles import Profile
from certify.progress import Progress
from certify.record import Isolation, Journal
from certify.resolution import Resolver


@dataclass
class RunContext:
    """`worker_root` is the copy of the candidate that the worker uses; `candidate.root` is the judge's."""

    candidate: Candidate
    plan: Plan
    profile: Profile
    policy: LoadedPolicy
    seed: str
    out: Path
    plugin: RemotePlugin
    worker_root: Path
    journal: Journal
    progress: Progress
    replay: Callable[[str], str]
    isolation: Isolation
    resolver: Resolver = field(default_factory=Resolver)
    # An OSV service to ask for vulnerabilities; empty where none was named.
    advisories: str = ""
    claims: list[str] = field(default_factory=list)
    # What went wrong in the harness itself, outside any requirement.
    trouble: list[str] = field(default_factory=list)

    @property
    def is_filtered(self) -> bool:
        """Whether the kernel tells of what the plugin tries, or only the watch inside."""
        return "seccomp" in self.isolation.walls
