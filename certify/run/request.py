"""What is asked of a run, and the command that asks for it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from certify.policy import DEFAULT


@dataclass(frozen=True)
class RunRequest:
    """What is asked of a run. Paths are absolute."""

    plugin: str
    profile: str = "quick"
    suites: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    out: str = ""
    seed: str = ""
    device: str = "auto"
    models: dict[str, str] = field(default_factory=dict)
    deadline: float = 0.0
    # Where dependencies are resolved (URL or folder of wheels) and looked up (an OSV service), if anywhere.
    index: str = ""
    advisories: str = ""
    # Which marks are asked for: a policy's name, or the absolute path of a store's own.
    policy: str = DEFAULT
    # Seconds that the real engine is soaked for, where that is longer than the profile's own.
    soak: float = 0.0
    # Whether `out` holds a run that was cut short, to go on with.
    resume: bool = False
    # How the plugin was named on the command line, for the commands that the report shows.
    shown: str = ""

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> RunRequest:
        """The request that `to_dict` gave, also by way of JSON."""
        lists = {name: tuple(table.get(name, ())) for name in ("suites", "requirements")}
        return cls(**{**table, **lists})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def repeat_command(request: RunRequest, *more: str) -> str:
    """The command that does this run again with the same seed; `more` narrows it."""
    words = ["certify", "run", request.shown or request.plugin, *more]
    words += ["--seed", request.seed, "--profile", request.profile]
    if request.policy != DEFAULT:
        words += ["--policy", request.policy]
    if request.device != "auto":
        words += ["--device", request.device]
    if request.deadline:
        words += ["--deadline", f"{request.deadline:g}"]
    if request.soak:
        words += ["--soak", f"{request.soak:g}"]
    for name, value in (("--index", request.index), ("--advisories", request.advisories)):
        words += [name, value] if value else []
    for name, folder in request.models.items():
        words += ["--model", f"{name}={folder}"]
    return shlex.join(words)
