"""One run, from submission to outputs: composes the rooms and writes down what came of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Set
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from certify import SPEC_REVISION, __version__
from certify.assemble import assemble
from certify.candidate import Candidate, read_candidate
from certify.context import Measurement
from certify.draw import fresh_root_seed
from certify.errors import UserError
from certify.host.faults import CandidateFault, HostError
from certify.host.isolation import measure_isolation
from certify.host.launch import Host
from certify.host.plugin import RemotePlugin
from certify.machine import capabilities, environment
from certify.outputs.write import write_outputs
from certify.plan import Plan, make_plan, plan_event
from certify.policy import LoadedPolicy, load_policy
from certify.profiles import Profile, profile_named
from certify.progress import Progress
from certify.record import BusyError, Isolation, Journal, Results
from certify.requirements import Catalogue, harness_digest, load_catalogue, suite_digest
from certify.resolution import Resolver
from certify.run.opening import check_models, device_of, model_type_of, opening_of
from certify.run.pytest_session import run_suites
from certify.run.request import RunRequest, repeat_command
from certify.run.resume import check_unchanged
from certify.submission import open_submission


@dataclass
class Run:
    """What one run keeps while it works. `host` is lent by who runs several candidates one after another."""

    request: RunRequest
    policy: LoadedPolicy
    catalogue: Catalogue
    candidate: Candidate
    plan: Plan
    journal: Journal
    progress: Progress
    out: Path
    scratch: Path
    host: Host | None = None
    claims: list[str] = field(default_factory=list)
    # What went wrong in the harness itself, outside any requirement.
    trouble: list[str] = field(default_factory=list)
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
            resolver=Resolver(self.request.index),
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
        opening = opening_of(self.request, self.candidate, self.plan.profile, host, self.scratch)
        return RemotePlugin(host, self.scratch / "workers", opening)

    def start_host(self) -> Host:
        """The host. It warms up in processes of its own, so the earlier it starts, the less is waited for."""
        if self.host is None:
            self.host = self._ending.enter_context(Host(self.scratch / "host"))
        return self.host

    def close(self) -> None:
        """Ends the plugin's worker, and the host where it is this run's own."""
        if "plugin" in vars(self):
            self.plugin.close()
        self._ending.close()


def execute(
    request: RunRequest,
    progress: Progress,
    host: Host | None = None,
    profile: Profile | None = None,
    selected: Set[str] | None = None,
) -> tuple[Results, Path]:
    """Runs `request` and writes its folder. Runs one after another may share a `host` that no candidate has
    harmed, take a `profile` of their own, and measure just the requirements `selected`; the project's own
    tests do.

    Raises UserError for mistakes in what was asked or handed in, HostError where nothing can be run.
    """
    profile = profile or _profile_of(request)
    check_models(request)
    policy = load_policy(request.policy)
    catalogue = load_catalogue()
    selected = selected or catalogue.select(request.suites, request.requirements)
    # A worker lies below it and sees its name.
    with tempfile.TemporaryDirectory(prefix="plugin-") as name:
        scratch = Path(name)
        candidate = read_candidate(open_submission(Path(request.plugin), scratch / "submission"))
        model_type_of(candidate)
        plan = make_plan(catalogue, candidate.traits, profile, capabilities(), selected)
        out = _prepare_out(request)
        request = replace(request, seed=request.seed or fresh_root_seed())
        with _journal(out) as journal:
            _measure(Run(request, policy, catalogue, candidate, plan, journal, progress, out, scratch, host))
    results = assemble(journal.events)
    write_outputs(results, out)
    return results, out


def _profile_of(request: RunRequest) -> Profile:
    profile = profile_named(request.profile).with_soak(request.soak)
    return profile.with_deadline(request.deadline) if request.deadline else profile


def _journal(out: Path) -> Journal:
    try:
        return Journal(out / "journal.ndjson")
    except BusyError:
        raise UserError(f"Another run is working in {out}.", "Wait for it, or name another folder.") from None


def _prepare_out(request: RunRequest) -> Path:
    out = Path(request.out)
    if (out / "journal.ndjson").exists() and not request.resume:
        raise UserError(f"{out} already holds a run.", "Name another folder with --out, or remove this one.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{out} cannot be made: {error.strerror}.", "Name another folder with --out."
        ) from None
    return out


def _measure(run: Run) -> None:
    started = time.monotonic()
    journal, plan = run.journal, run.plan
    header = _header(run)
    rows = plan_event(plan.rows)
    if run.request.resume:
        check_unchanged(journal.events, header, rows)
        journal.write("resumed")
    else:
        journal.write("run", **header)
        journal.write("plan", rows=rows)
    run.progress.begin(plan.planned, plan.seconds)
    try:
        if plan.needs_worker:
            run.start_host()
        else:
            journal.write("isolation", **_not_needed(plan.profile).model_dump(mode="json"))
        run_suites(run)
        for text in run.claims:
            journal.write("claim", text=text)
    except (HostError, CandidateFault) as error:
        run.trouble.append(f"The harness could not go on: {error}")
    except KeyboardInterrupt:
        # A record without an end is INCOMPLETE, and says so.
        return
    finally:
        run.close()
        run.progress.end()
    if journal.altered():
        run.trouble.append("journal.ndjson was altered by another process while the run worked")
    journal.write("end", seconds=round(time.monotonic() - started, 3), trouble=run.trouble)


def _not_needed(profile: Profile) -> Isolation:
    return Isolation(level="L0", demanded=profile.isolation, needed=False)


def _header(run: Run) -> dict[str, Any]:
    request, candidate = run.request, run.candidate
    return {
        "certify": {
            "version": __version__,
            "spec_revision": SPEC_REVISION,
            "suite_digest": suite_digest(run.catalogue.root),
            "harness_digest": harness_digest(),
        },
        "candidate": {
            "name": candidate.name,
            "version": candidate.version,
            "digest": candidate.digest,
            "kind": candidate.kind,
            "submission": candidate.submission.kind,
        },
        "profile": run.plan.profile.name,
        "policy": run.policy.label,
        "demanded": run.plan.profile.isolation,
        "seed": request.seed,
        "order": request.to_dict(),
        "environment": {**environment(), "device": device_of(request)},
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "suites": run.catalogue.titles,
        "repeat": repeat_command(request),
    }
