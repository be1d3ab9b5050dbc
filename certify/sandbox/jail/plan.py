"""How a worker is confined: the walls, and the paths that it may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

SHARED_MEMORY = "shm"
ROOT = "root"


@dataclass(frozen=True)
class Jail:
    """Paths are absolute and resolved. `folder` is the worker's; `user` is a uid to change to (as root)."""

    folder: str
    namespaces: bool = False
    landlock: bool = False
    seccomp: bool = False
    user: int | None = None
    # Walls of other systems: a sandbox profile on macOS, a job object on Windows.
    seatbelt: bool = False
    job: bool = False
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    # Resolved paths below readable ones that a new root does not contain.
    hidden: tuple[str, ...] = ()

    @property
    def walls(self) -> str:
        """The walls as text, for the report."""
        named = [
            name
            for name, there in (
                ("own namespaces", self.namespaces),
                ("Landlock", self.landlock),
                ("seccomp", self.seccomp),
                ("a user of its own", self.user is not None),
                ("a sandbox profile", self.seatbelt),
                ("a job object", self.job),
            )
            if there
        ]
        return ", ".join(named) or "a process of its own alone"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Jail:
        lists = ("readable", "writable", "devices", "hidden")
        return cls(**{**table, **{name: tuple(table[name]) for name in lists}})


def weaker(jail: Jail) -> Sequence[Jail]:
    """Weaker jails to try where `jail` cannot be built, strongest first; the last has no walls."""
    ladder = [jail]
    for change in (
        {"user": None},
        {"namespaces": False, "user": jail.user},
        {"namespaces": False, "user": None},
        {"namespaces": False, "user": None, "landlock": False},
        {
            "namespaces": False,
            "user": None,
            "landlock": False,
            "seccomp": False,
            "seatbelt": False,
            "job": False,
        },
    ):
        step = replace(jail, **change)
        if step not in ladder:
            ladder.append(step)
    return ladder[1:]
