"""Values of options as a run needs them: it works elsewhere, and asks nobody that was not named in full."""

from __future__ import annotations

import re
from pathlib import Path

from certify.errors import UserError


def index_place(place: str) -> str:
    """A folder of wheels as an absolute path, or a URL."""
    if place and Path(place).is_dir():
        return str(Path(place).absolute())
    return address("--index", place)


def address(option: str, place: str) -> str:
    if place and not re.match(r"https?://[^\s/]+", place):
        raise UserError(
            f"{option} {place}: this is no address" + (" and no folder." if option == "--index" else "."),
            "Name it in full, for instance https://pypi.org/simple.",
        )
    return place


def seconds(option: str, text: str) -> float:
    """`90`, `30m` or `24h` as seconds."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text)
    if found is None:
        raise UserError(f'{option} takes a time such as 90, 30m or 24h, not "{text[:40]}".')
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def policy_place(name: str) -> str:
    """A policy's name as it is; a file by its whole path, for the run works elsewhere."""
    return str(Path(name).absolute()) if name.endswith(".toml") else name
