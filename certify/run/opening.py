"""How the candidate is opened: its config, the weights of this run, the packages that it needs."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

from certify.candidate.candidate import Candidate
from certify.errors import UserError
from certify.instruments.packages.dependencies import read_dependencies
from certify.plan.machine import gpu_names
from certify.plan.profiles import Profile
from certify.run.request import RunRequest
from certify.sandbox.host.grants import closed_to_a_worker, with_targets
from certify.sandbox.host.host import Host
from certify.sandbox.host.packages import Packages, provide
from certify.sandbox.host.plugin import Opening
from certify.sandbox.host.session import Session
from reference_engine.errors import SDKError
from reference_engine.models.folder import check_folder

# Seconds for the engine to build its tiny model: our own work, whatever a plugin's deadlines are.
PREPARE_DEADLINE = 300.0


def opening_of(
    request: RunRequest, candidate: Candidate, profile: Profile, host: Host, scratch: Path, model: str
) -> Opening:
    """The opening with the weights in the folder `model`, and with a copy of the candidate that the worker
    uses at `root`. Raises HostError.
    """
    worker_root = scratch / "plugin"
    shutil.copytree(candidate.root, worker_root)
    packages = _packages(request, candidate, host, scratch)
    return Opening(
        root=worker_root,
        kind=candidate.kind,
        entry=candidate.manifest.plugin.entry or "",
        config=_config(request, candidate, model),
        load_deadline=profile.load_deadline,
        call_deadline=profile.call_deadline,
        readable=with_targets(request.models.values()),
        packages=packages.folder,
        # What cannot be installed at all shows where it is imported, and in deps.resolves.
        blocked=packages.missing,
    )


def check_models(request: RunRequest) -> None:
    """Weights that the user named and that cannot be loaded are no fault of the candidate."""
    for name, folder in request.models.items():
        try:
            check_folder(Path(folder))
        except SDKError as error:
            hint = error.remedies[0] if error.remedies else ""
            raise UserError(f"--model {name}: {error.message}", hint) from None
        closed = closed_to_a_worker(Path(folder))
        if closed:
            message = f"--model {name}: {closed} is closed to others; a plugin runs as a user of its own."
            inside = Path(closed).is_relative_to(Path(folder).resolve())
            raise UserError(message, f"chmod -R a+rX {shlex.quote(folder if inside else closed)}")


def device_of(request: RunRequest) -> str:
    return request.device if request.device != "auto" else "cuda" if gpu_names() else "cpu"


def _packages(request: RunRequest, candidate: Candidate, host: Host, scratch: Path) -> Packages:
    """What its dependencies ask for beyond the engine's own packages, where an index was named."""
    if not request.index:
        return Packages()
    files = [row.path for row in candidate.submission.files]
    declared = read_dependencies(candidate.root, files).declared
    named = [row.requirement for row in declared if not row.requirement.url]
    return provide(host, scratch / "packages", named, request.index)


def _config(request: RunRequest, candidate: Candidate, model: str) -> dict[str, Any]:
    """The author's own config with the weights of this run: for its model type, or the manifest's first."""
    model_type = model_type_of(candidate)
    return {
        **candidate.manifest.config,
        "model_type": model_type,
        "model": {"path": model},
        "device": request.device,
    }


def model_type_of(candidate: Candidate) -> str:
    """The model type that is run; raises UserError where the config names one that the manifest does not."""
    known = candidate.manifest.plugin.model_types
    model_type = str(candidate.manifest.config.get("model_type", known[0]))
    if model_type not in known:
        message = f"config.model_type is {model_type}, but plugin.model_types lists {', '.join(known)}."
        raise UserError(f"{candidate.manifest_file}: {message}", "Make the two agree.")
    return model_type


def model_folder(request: RunRequest, candidate: Candidate, host: Host, scratch: Path) -> str:
    """The weights of this run: the user's, or the tiny model. Raises HostError and CandidateFault."""
    model_type = model_type_of(candidate)
    return request.models.get(model_type) or _tiny_model(host, scratch, model_type)


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
