"""What is asked of a run, and the command that asks for it again."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from typing import Any

from certify.policy import DEFAULT


@dataclass(frozen=True)
class Order:
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
    def from_json(cls, text: str) -> Order:
        table: dict[str, Any] = json.loads(text)
        table["suites"], table["requirements"] = tuple(table["suites"]), tuple(table["requirements"])
        return cls(**table)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def repeat_command(order: Order, *more: str) -> str:
    """The command that does this run again with the same seed; `more` narrows it."""
    words = ["certify", "run", order.shown or order.plugin, *more]
    words += ["--seed", order.seed, "--profile", order.profile]
    if order.policy != DEFAULT:
        words += ["--policy", order.policy]
    if order.device != "auto":
        words += ["--device", order.device]
    if order.deadline:
        words += ["--deadline", f"{order.deadline:g}"]
    if order.soak:
        words += ["--soak", f"{order.soak:g}"]
    for name, value in (("--index", order.index), ("--advisories", order.advisories)):
        words += [name, value] if value else []
    for name, folder in order.models.items():
        words += ["--model", f"{name}={folder}"]
    return shlex.join(words)
