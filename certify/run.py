"""One run, from submission to report: composes the rooms and writes down what came of them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Set
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from certify import SPEC_REVISION, __version__
from certify.assemble import assemble, plan_event
from certify.candidate import Candidate, read_candidate
from certify.context import RunContext
from certify.draw import fresh_root_seed
from certify.errors import UserError, tell
from certify.host.faults import CandidateFault, HostError
from certify.host.given import closed_to_a_worker, with_targets
from certify.host.isolation import measure_isolation
from certify.host.launch import Host
from certify.host.packages import Packages, provide
from certify.host.remote import Opening, RemotePlugin
from certify.host.session import Session
from certify.instruments.dependencies import read_dependencies
from certify.machine import capabilities, environment, gpu_names
from certify.order import Order, repeat_command
from certify.outputs.files import replace_file
from certify.outputs.junit import to_junit
from certify.plan import Plan, make_plan
from certify.policy import LoadedPolicy, load_policy
from certify.profiles import Profile, profile_named
from certify.progress import Progress, choose_progress
from certify.pytest_run import run_suites
from certify.record import BusyError, Isolation, Journal, Results
from certify.requirements import Catalogue, load_catalogue, suite_digest
from certify.resolution import Resolver
from certify.resume import check_unchanged
from certify.streams import ready, say
from certify.submission import open_submission
from certify.summary import last_words
from certify.verdict import EXIT_ERROR, EXIT_INCOMPLETE
from reference_engine.errors import SDKError
from reference_engine.models.folder import check_folder

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
# Seconds for the engine to build its tiny model: our own work, whatever a plugin's deadlines are.
PREPARE_DEADLINE = 300.0
# From Linux's prctl.h.
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main_restarted(text: str) -> int:
    """The run inside the clean Python; gives the exit code."""
    _end_with_parent()
    ready()
    try:
        return _run_and_tell(text)
    except Exception:
        say("certify: a fault of the harness, please report it:", sys.stderr)
        say(traceback.format_exc(), sys.stderr)
        return EXIT_ERROR
    finally:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _run_and_tell(text: str) -> int:
    try:
        order = Order.from_json(text)
        results, out = execute(order, choose_progress())
        say(last_words(results, out))
        return results.verdict.exit_code
    except UserError as error:
        return tell(error)
    except HostError as error:
        say(f"certify: the harness could not work here: {error}\nSee `certify doctor`.", sys.stderr)
        return EXIT_ERROR
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        where = error.filename or "the run's folder"
        say(f"certify: {where} could not be written: {error.strerror}.", sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        say("certify: interrupted before anything was measured.", sys.stderr)
        return EXIT_INCOMPLETE


def _end_with_parent() -> None:
    """SIGTERM ends a run like Ctrl-C, and comes by itself when the command that started this is killed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        # What outlives a killed supervisor comes to us, and goes with us.
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def execute(
    order: Order,
    progress: Progress,
    host: Host | None = None,
    profile: Profile | None = None,
    selected: Set[str] | None = None,
    resolver: Resolver | None = None,
) -> tuple[Results, Path]:
    """Runs `order` and writes its folder. Runs one after another may share a `host` that no candidate has
    harmed and a `resolver`, take a `profile` of their own, and measure just the requirements `selected`; the
    project's own tests do.

    Raises UserError for mistakes in what was asked or handed in, HostError where nothing can be run.
    """
    profile = profile or _profile_of(order)
    _check_models(order)
    policy = load_policy(order.policy)
    catalogue = load_catalogue()
    selected = selected or catalogue.select(order.suites, order.requirements)
    # A worker lies below it and sees its name.
    with tempfile.TemporaryDirectory(prefix="plugin-") as name:
        scratch = Path(name)
        submission = open_submission(Path(order.plugin), scratch / "submission")
        candidate = read_candidate(submission)
        _model_type(candidate)
        plan = make_plan(catalogue, candidate.traits, profile, capabilities(), selected)
        out = _prepare_out(order)
        order = Order(**{**order.to_dict(), "seed": order.seed or fresh_root_seed()})
        with _journal(out) as journal:
            _measure(
                order, policy, catalogue, candidate, plan, journal, out, scratch, progress, host, resolver
            )
    results = assemble(journal.events)
    write_outputs(results, out)
    return results, out


def _profile_of(order: Order) -> Profile:
    profile = profile_named(order.profile).with_soak(order.soak)
    return profile.with_deadline(order.deadline) if order.deadline else profile


def _check_models(order: Order) -> None:
    """Weights that the user named and that cannot be loaded are no fault of the candidate."""
    for name, folder in order.models.items():
        try:
            check_folder(Path(folder))
        except SDKError as error:
            hint = error.remedies[0] if error.remedies else ""
            raise UserError(f"--model {name}: {error.message}", hint) from None
        closed = closed_to_a_worker(Path(folder))
        if closed:
            told = f"--model {name}: {closed} is closed to others, and a plugin is run as a user of its own."
            inside = Path(closed).is_relative_to(Path(folder).resolve())
            raise UserError(told, f"chmod -R a+rX {shlex.quote(folder if inside else closed)}")


def _journal(out: Path) -> Journal:
    try:
        return Journal(out / "journal.ndjson")
    except BusyError:
        raise UserError(f"Another run is working in {out}.", "Wait for it, or name another folder.") from None


def _prepare_out(order: Order) -> Path:
    out = Path(order.out)
    if (out / "journal.ndjson").exists() and not order.resume:
        raise UserError(f"{out} already holds a run.", "Name another folder with --out, or remove this one.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{out} cannot be made: {error.strerror}.", "Name another folder with --out."
        ) from None
    return out


def _measure(
    order: Order,
    policy: LoadedPolicy,
    catalogue: Catalogue,
    candidate: Candidate,
    plan: Plan,
    journal: Journal,
    out: Path,
    scratch: Path,
    progress: Progress,
    host: Host | None,
    resolver: Resolver | None,
) -> None:
    started = time.monotonic()
    header = {**_header(order, catalogue, candidate, plan.profile), "policy": policy.label}
    rows = plan_event(plan.rows)
    if order.resume:
        check_unchanged(journal.events, header, rows)
        journal.write("resumed")
    else:
        journal.write("run", **header)
        journal.write("plan", rows=rows)
    progress.begin(plan.planned, plan.seconds)
    trouble: list[str] = []
    try:
        with _host(host, scratch, plan.asks_the_plugin) as running:
            isolation = measure_isolation(running, scratch, plan.profile.isolation)
            journal.write("isolation", **isolation.model_dump(mode="json"))
            context = _context(
                order, policy, candidate, plan, journal, out, scratch, progress, running, isolation, resolver
            )
            run_suites(context, catalogue)
            context.plugin.close()
            for text in context.claims:
                journal.write("claim", text=text)
            trouble += context.trouble
    except (HostError, CandidateFault) as error:
        trouble.append(f"The harness could not go on: {error}")
    except KeyboardInterrupt:
        # A record without an end is INCOMPLETE, and says so.
        return
    finally:
        progress.end()
    if journal.altered():
        trouble.append("journal.ndjson was altered by another process while the run worked")
    journal.write("end", seconds=round(time.monotonic() - started, 3), trouble=trouble)


@contextmanager
def _host(shared: Host | None, scratch: Path, warm: bool) -> Iterator[Host]:
    if shared is not None:
        yield shared
        return
    with Host(scratch / "host", warm=warm) as host:
        yield host


def _header(order: Order, catalogue: Catalogue, candidate: Candidate, profile: Profile) -> dict[str, Any]:
    return {
        "certify": {
            "version": __version__,
            "spec_revision": SPEC_REVISION,
            "suite_digest": suite_digest(catalogue.root),
        },
        "candidate": {
            "name": candidate.name,
            "version": candidate.version,
            "digest": candidate.digest,
            "kind": candidate.kind,
            "submission": candidate.submission.kind,
        },
        "profile": profile.name,
        "demanded": profile.isolation,
        "seed": order.seed,
        "order": order.to_dict(),
        "environment": {**environment(), "device": _device_of(order)},
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "suites": catalogue.titles,
        "repeat": repeat_command(order),
    }


def _packages(order: Order, candidate: Candidate, plan: Plan, host: Host, scratch: Path) -> Packages:
    """What its dependencies ask for beyond the engine's own packages, where an index was named and anything
    is executed."""
    if not order.index or not plan.asks_the_plugin:
        return Packages()
    files = [row.path for row in candidate.submission.files]
    declared = read_dependencies(candidate.root, files).declared
    named = [row.requirement for row in declared if not row.requirement.url]
    return provide(host, scratch / "packages", named, order.index)


def _device_of(order: Order) -> str:
    return order.device if order.device != "auto" else "cuda" if gpu_names() else "cpu"


def _context(
    order: Order,
    policy: LoadedPolicy,
    candidate: Candidate,
    plan: Plan,
    journal: Journal,
    out: Path,
    scratch: Path,
    progress: Progress,
    host: Host,
    isolation: Isolation,
    resolver: Resolver | None,
) -> RunContext:
    worker_root = scratch / "plugin"
    shutil.copytree(candidate.root, worker_root)
    packages = _packages(order, candidate, plan, host, scratch)
    opening = Opening(
        root=worker_root,
        kind=candidate.kind,
        entry=candidate.manifest.plugin.entry or "",
        config=_config(order, candidate, host, scratch) if plan.asks_the_plugin else {},
        load_deadline=plan.profile.load_deadline,
        call_deadline=plan.profile.call_deadline,
        readable=with_targets(order.models.values()),
        packages=packages.folder,
        # What cannot be installed at all shows where it is imported, and in deps.resolves.
        blocked=packages.missing,
    )
    return RunContext(
        candidate=candidate,
        plan=plan,
        profile=plan.profile,
        policy=policy,
        seed=order.seed,
        out=out,
        plugin=RemotePlugin(host, scratch / "workers", opening),
        worker_root=worker_root,
        journal=journal,
        progress=progress,
        resolver=resolver or Resolver(order.index),
        advisories=order.advisories,
        replay=lambda identifier: repeat_command(order, "--requirement", identifier),
        isolation=isolation,
    )


def _config(order: Order, candidate: Candidate, host: Host, scratch: Path) -> dict[str, Any]:
    """The author's own config with the weights of this run: for its model type, or the manifest's first."""
    model_type = _model_type(candidate)
    folder = order.models.get(model_type) or _tiny_model(host, scratch, model_type)
    return {
        **candidate.manifest.config,
        "model_type": model_type,
        "model": {"path": folder},
        "device": order.device,
    }


def _model_type(candidate: Candidate) -> str:
    """The model type that is run; raises UserError where the config names one that the manifest does not."""
    known = candidate.manifest.plugin.model_types
    model_type = str(candidate.manifest.config.get("model_type", known[0]))
    if model_type not in known:
        told = f"config.model_type is {model_type}, but plugin.model_types lists {', '.join(known)}."
        raise UserError(f"{candidate.manifest_file}: {told}", "Make the two agree.")
    return model_type


def _tiny_model(host: Host, scratch: Path, model_type: str) -> str:
    """Has the tiny model built, in a worker that no candidate has touched."""
    if model_type not in host.models:
        session = Session(host, scratch / "prepare", trusted=True)
        try:
            reply = session.ask("prepare", PREPARE_DEADLINE, model_types=[model_type])
        finally:
            session.end()
        host.models[model_type] = str(reply.body["models"][model_type])
    return host.models[model_type]


def write_outputs(results: Results, out: Path) -> None:
    """results.json, junit.xml and report.html, all from the same results."""
    from certify.reports.html import render_report

    replace_file(out / "results.json", results.to_json())
    replace_file(out / "junit.xml", to_junit(results))
    replace_file(out / "report.html", render_report(results, out))
