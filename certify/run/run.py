"""One run, from submission to outputs: composes the rooms and writes down what came of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Set
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from certify import SPEC_REVISION, __version__
from certify.candidate.candidate import read_candidate
from certify.errors import UserError
from certify.measure.licensing.resolution import Resolver
from certify.measure.randomness import fresh_root_seed
from certify.outputs.write import write_outputs
from certify.plan.catalogue import harness_digest, load_catalogue, suite_digest
from certify.plan.machine import capabilities, environment
from certify.plan.plan import make_plan, plan_event
from certify.plan.policy import load_policy
from certify.plan.profiles import Profile, profile_named
from certify.record.journal import BusyError, Journal
from certify.record.results import Isolation, Results
from certify.run.opening import check_models, device_of, model_type_of
from certify.run.outcomes import Judges
from certify.run.pytest_session import run_suites
from certify.run.request import RunRequest, repeat_command
from certify.run.resume import check_unchanged
from certify.run.state import Run
from certify.run.static_session import StaticSession
from certify.run.stopwatch import Stopwatch
from certify.sandbox.host.faults import CandidateFault, HostError
from certify.sandbox.host.host import Host
from certify.submission.submission import open_submission
from certify.terminal.progress import Progress
from certify.verdict.assemble import assemble


def execute(
    request: RunRequest,
    progress: Progress,
    host: Host | None = None,
    profile: Profile | None = None,
    selected: Set[str] | None = None,
    resolver: Resolver | None = None,
) -> tuple[Results, Path]:
    """Runs `request` and writes its folder. Runs one after another may share a `host` that no candidate has
    harmed and a `resolver`, take a `profile` of their own, and measure just the requirements `selected`; the
    project's own tests do.

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
            run = Run(
                request=request,
                policy=policy,
                catalogue=catalogue,
                candidate=candidate,
                plan=plan,
                journal=journal,
                progress=progress,
                out=out,
                scratch=scratch,
                resolver=resolver or Resolver(request.index),
                host=host,
            )
            _measure(run)
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
            run_suites(run)
        else:
            _run_static(run)
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


def _run_static(run: Run) -> None:
    """A selection that executes nothing of the candidate: no worker, no self-test, no pytest."""
    isolation = Isolation(level="L0", demanded=run.plan.profile.isolation, needed=False)
    run.journal.write("isolation", **isolation.model_dump(mode="json"))
    judges = Judges(run.plan.judges_of_faults, run.catalogue.root)
    session = StaticSession(run.measurement, judges, run.replay, run.claims.append, Stopwatch())
    for row in run.plan.to_run:
        run.journal.write("requirement-started", id=row.requirement.id)
        run.progress.start(row.requirement.id, row.requirement.title)
        result = session.measure(row)
        run.journal.write("requirement", **result.model_dump(mode="json"))
        run.progress.finish(result)


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
