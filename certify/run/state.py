"""What one run keeps while it works; the suites see its `measurement` and its `plugin` alone."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from certify.candidate.candidate import Candidate
from certify.measure.context import Measurement
from certify.measure.licensing.resolution import Resolver
from certify.measure.soak.soak_run import SoakRun
from certify.plan.catalogue import Catalogue
from certify.plan.plan import Plan
from certify.plan.policy import LoadedPolicy
from certify.record.journal import Journal
from certify.run.opening import device_of, model_folder, opening_of
from certify.run.request import RunRequest, repeat_command
from certify.sandbox.host.host import Host
from certify.sandbox.host.isolation import measure_isolation
from certify.sandbox.host.plugin import RemotePlugin
from certify.terminal.progress import Progress


@dataclass
class Run:
    """`host` is lent by who runs several candidates one after another."""

    request: RunRequest
    policy: LoadedPolicy
    catalogue: Catalogue
    candidate: Candidate
    plan: Plan
    journal: Journal
    progress: Progress
    out: Path
    scratch: Path
    resolver: Resolver
    host: Host | None = None
    claims: list[str] = field(default_factory=list)
    # What went wrong in the harness itself, outside any requirement.
    trouble: list[str] = field(default_factory=list)
    # Whether a requirement of this run needs the soak.
    soaks: bool = False
    _ending: ExitStack = field(default_factory=ExitStack)

    def replay(self, requirement: str) -> str:
        """The command that repeats this requirement."""
        return repeat_command(self.request, "--requirement", requirement)

    @cached_property
    def measurement(self) -> Measurement:
        return Measurement(
            candidate=self.candidate,
            profile=self.plan.profile,
            policy=self.policy,
            seed=self.request.seed,
            out=self.out,
            worker_root=self.scratch / "plugin",
            resolver=self.resolver,
            advisories=self.request.advisories,
        )

    @cached_property
    def plugin(self) -> RemotePlugin:
        """The candidate behind walls that were measured first; opened when a requirement first asks for it.

        Raises HostError where no worker can be had, CandidateFault where the self-test's worker ended.
        """
        host = self.start_host()
        isolation = measure_isolation(host, self.scratch, self.plan.profile.isolation)
        self.journal.write("isolation", **isolation.model_dump(mode="json"))
        self.measurement.is_filtered = "seccomp" in isolation.walls
        model = model_folder(self.request, self.candidate, host, self.scratch)
        opening = opening_of(self.request, self.candidate, self.plan.profile, host, self.scratch, model)
        return RemotePlugin(host, self.scratch / "workers", opening)

    @cached_property
    def soak(self) -> SoakRun:
        return SoakRun(self.plugin, self.measurement, self.progress.note)

    @property
    def soaks_beside(self) -> bool:
        """Whether the soak may work while other requirements do: it is short, has a core for itself, and its
        memory is the worker's own.
        """
        has_cores = len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else False
        return self.plan.profile.soak_beside and has_cores and device_of(self.request) == "cpu"

    def begin_soak(self) -> None:
        """Starts the soak beside the others once the plugin is open; does nothing where there is none."""
        if self.soaks and self.soaks_beside and self.plugin.is_open:
            self.soak.start()

    def start_host(self) -> Host:
        """The host. It warms up in processes of its own, so the earlier it starts, the less is waited for."""
        if self.host is None:
            self.host = self._ending.enter_context(Host(self.scratch / "host"))
        return self.host

    def close(self) -> None:
        """Ends the soak and the plugin's worker, and the host where it is this run's own."""
        if "soak" in vars(self):
            self.soak.end()
        if "plugin" in vars(self):
            self.plugin.close()
        self._ending.close()
