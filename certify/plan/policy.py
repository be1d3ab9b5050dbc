"""Policies: the marks that a store or a law requires, as data with their sources.

A policy is a TOML file in `certify/plan/policies/`, or a file of a store. A policy that is met means "check
passed", never "lawful": the rows come from secondary sources, and courts decide.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from certify.errors import UserError, did_you_mean
from certify.instruments.marks.layers import LAYERS, Layer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "policies"
DEFAULT = "store-default"
MAX_BYTES = 1 << 20


def _known_layer(name: str) -> str:
    if name not in LAYERS:
        hint = did_you_mean(name, LAYERS) or f"Layers are {', '.join(LAYERS)}."
        raise ValueError(f'there is no layer "{name}". {hint}')
    return name


class Rule(BaseModel):
    """`required`: one of `layers` must be present; `accepted`: a layer may be absent, but must be valid
    where it is present; `informational`: it is reported and decides nothing. `source` is the clause of the
    law or standard, `read` the day on which it was read (YYYY-MM-DD).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: tuple[Annotated[str, AfterValidator(_known_layer)], ...] = Field(min_length=1)
    demand: Literal["required", "accepted", "informational"]
    source: str = Field(min_length=1)
    read: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")


class Policy(BaseModel):
    """`level` is the robustness level that the invisible mark must reach; `anchors` a PEM file, beside
    the policy, with the certificates whose signatures count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: int = Field(ge=1)
    title: str = Field(min_length=1)
    summary: str = ""
    level: Literal["R0", "R1", "R2", "R3"] = "R0"
    anchors: str = ""
    rule: tuple[Rule, ...] = Field(min_length=1)


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy with the SHA-256 of its file and trust list, and that list's text (PEM)."""

    policy: Policy
    digest: str
    anchors: str

    @property
    def label(self) -> str:
        """For results: name, version, digest."""
        return f"{self.policy.name} {self.policy.version} ({self.digest})"


def load_policy(name_or_file: str = DEFAULT) -> LoadedPolicy:
    """A policy by its name, or from a file (`*.toml`).

    Raises UserError for an unknown name, and for a file that cannot be read or is not a policy.
    """
    known = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
    file = known.get(name_or_file) or Path(name_or_file)
    if file.suffix != ".toml":
        hint = (
            did_you_mean(name_or_file, known) or f"Known policies: {', '.join(known)}; or name a .toml file."
        )
        raise UserError(f'There is no policy "{name_or_file}".', hint)
    try:
        data = _read(file)
        policy = Policy.model_validate(tomllib.loads(data.decode("utf-8")))
        anchors = _read(file.parent / policy.anchors) if policy.anchors else b""
        text = anchors.decode("ascii")
    except OSError as error:
        raise UserError(f"{error.filename or file} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{file}: {place}: {first['msg']}.", "docs/marks.md explains every key.") from None
    except ValueError as error:
        raise UserError(f"{file} is not a policy: {error}.", "docs/marks.md shows an example.") from None
    return LoadedPolicy(policy, "sha256:" + hashlib.sha256(data + anchors).hexdigest(), text)


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{file} is larger than {MAX_BYTES} bytes")
    return data


@dataclass(frozen=True)
class Judgement:
    """The result of a policy for one image: what is `wrong`, and what could not be checked here (`open`)."""

    wrong: tuple[str, ...]
    open: tuple[str, ...]


def judge(policy: Policy, layers: Mapping[str, Layer]) -> Judgement:
    """An image's layers against every rule."""
    wrong: list[str] = []
    unknown: list[str] = []
    for rule in policy.rule:
        read = [layers[name] for name in rule.layers if name in layers]
        present = any(layer.state == "present" for layer in read)
        if rule.demand == "informational":
            continue
        broken = [layer for layer in read if layer.state in ("malformed", "contradictory")]
        wrong += [f"{layer.name} is {layer.state}: {layer.reason}" for layer in broken]
        if rule.demand == "required" and not present and not broken:
            unsure = [layer for layer in read if layer.state in ("not-checkable-here", "cannot-carry")]
            if unsure:
                unknown += [f"{layer.name}: {layer.reason}" for layer in unsure]
            else:
                wrong.append(f"{' or '.join(rule.layers)} is required, but absent ({rule.source})")
    return Judgement(tuple(dict.fromkeys(wrong)), tuple(dict.fromkeys(unknown)))


def rows(policy: Policy) -> Iterable[tuple[str, str, str, str]]:
    """Layer, demand, source and the day it was read: for tables."""
    for rule in policy.rule:
        for layer in rule.layers:
            yield layer, rule.demand, rule.source, rule.read
