"""The catalogue of requirements: rows of data beside the tests that measure them.

Rows live in `suites/*/requirements.toml`. Suites are read as data and never imported here.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

import certify
from certify.errors import UserError, did_you_mean
from certify.terms.faults import FaultKind
from certify.terms.traits import Capability, Trait

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


# What a trait says of a plugin, for readers. The traits are those of `certify.candidate`.
TRAIT_PHRASES: dict[Trait, str] = {
    "native": "are native",
    "diffusers-pipeline": "are diffusers pipelines",
    "uses-lora": "use LoRAs",
    "generates-faces": "generate faces",
    "commercial": "are commercial",
    "above-50k": "come from authors with more than 50,000 US dollars of revenue a year",
    "declares-marks": "declare marks",
    "has-samplers": "have samplers",
    "has-a-sampler-by-name": "have a sampler that names an algorithm of the SDK",
    "has-a-deterministic-sampler": "have a deterministic sampler",
    "has-a-stochastic-sampler": "have a stochastic sampler",
    "has-a-sampler-of-several-predictions": "have a sampler for several prediction types",
    "ships-derivatives": "ship weights derived from a base model",
    "has-dependencies": "have dependencies",
    "marks-by-sdk": "use the SDK's marks",
}


def plugins_with(traits: Iterable[Trait]) -> str:
    """`plugins that use LoRAs and are commercial`."""
    return "plugins that " + " and ".join(TRAIT_PHRASES[trait] for trait in traits)


class CatalogueError(Exception):
    """The project's own catalogue is broken: a fault of the harness, never of a plugin."""


class Requirement(BaseModel):
    """One demand on a plugin, in one MUST or SHOULD sentence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z]+\.[a-z0-9-]+$")
    suite: str
    title: str = Field(min_length=4)
    sentence: str = Field(pattern=r"MUST|SHOULD")
    source: tuple[str, ...] = Field(min_length=1)
    level: Literal["must", "should", "info"]
    introduced: str
    removed: str | None = None
    # What an author may rely on; the outcome and the verdict do not depend on it.
    # stable: only a new spec revision changes the meaning, and the changelog names the change.
    # experimental: any spec revision may change or remove it. The rule rests on heuristics, thresholds or
    #   drawn samples, or no run on the real system has confirmed it yet.
    # deprecated: a later spec revision removes it, and the changelog names what replaces it.
    lifecycle: Literal["experimental", "stable", "deprecated"]
    # How long an author usually works on the fix; waiting for other people is included.
    # minutes: a line in the manifest, a file, an argument. hours: a change to the code, and a new run.
    # days: a search for the cause, another model or package, a permission, or a run of a day.
    effort: Literal["minutes", "hours", "days"]
    # Capabilities of this machine. Where one is missing, the requirement is not-evidenced.
    needs: tuple[Capability, ...] = ()
    # Traits that a plugin must all have for the requirement to apply; empty: every plugin.
    applies: tuple[Trait, ...] = ()
    # The first profile at which the outcome enters the verdict.
    counts_from: Literal["quick", "store", "certified"] = "quick"
    # static: reads files and executes nothing; run: calls the plugin; end: judges the whole run.
    when: Literal["static", "run", "end"] = "run"
    # The kind of fault that it judges over the whole run, for plugins that it applies to.
    judges: FaultKind | None = None
    why: str = Field(min_length=20)
    fix: str = Field(min_length=20)
    # Seconds at profile quick on two CPU cores, for the plan.
    budget: float = Field(default=1.0, ge=0)


class Suite(BaseModel):
    """A family of requirements, one folder under `suites/`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    # One short phrase for `certify list`.
    summary: str = ""
    # Former names, which `--suite` still accepts.
    aliases: tuple[str, ...] = ()
    order: int
    requirement: tuple[Requirement, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Catalogue:
    suites: tuple[Suite, ...]
    root: Path

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        return tuple(row for suite in self.suites for row in suite.requirement)

    @property
    def titles(self) -> dict[str, str]:
        return {suite.name: suite.title for suite in self.suites}

    def suite_named(self, name: str) -> Suite:
        """The suite with this name or alias; UserError with the nearest of both otherwise."""
        by_name = {known: suite for suite in self.suites for known in (*suite.aliases, suite.name)}
        if name not in by_name:
            hint = did_you_mean(name, by_name) or "Known suites: " + ", ".join(self.titles) + "."
            raise UserError(f'There is no suite "{name}".', hint)
        return by_name[name]

    def find(self, identifier: str) -> Requirement:
        """The requirement with this id; UserError with the nearest known id otherwise."""
        by_id = {row.id: row for row in self.requirements}
        if identifier not in by_id:
            hint = did_you_mean(identifier, by_id) or "`certify list` shows every requirement."
            raise UserError(f'There is no requirement "{identifier}".', hint)
        return by_id[identifier]

    def select(self, suites: Iterable[str], identifiers: Iterable[str]) -> frozenset[str]:
        """Ids chosen by suite names (or aliases) and requirement ids, with those that they need; everything
        where neither is given. Raises UserError for an unknown name.
        """
        chosen = self._named(suites, identifiers)
        return frozenset(chosen | self.needed_by(chosen) or {row.id for row in self.requirements})

    def needed_by(self, chosen: Set[str]) -> frozenset[str]:
        """Ids that are measured because of others: a judgement over the whole run needs the run, so with one
        of those everything that calls the plugin is chosen.
        """
        if not any(row.when == "end" for row in self.requirements if row.id in chosen):
            return frozenset()
        return frozenset(row.id for row in self.requirements if row.when == "run" and row.id not in chosen)

    def explain_addition(self, suites: Iterable[str], identifiers: Iterable[str]) -> str:
        """A sentence on what is measured besides the named and why; empty where nothing is."""
        chosen = self._named(suites, identifiers)
        added = [row.id for row in self.requirements if row.id in self.needed_by(chosen)]
        if not added:
            return ""
        judging = [row.id for row in self.requirements if row.id in chosen and row.when == "end"]
        verb = "judges" if len(judging) == 1 else "judge"
        return (
            f"Also measured, because {', '.join(judging)} {verb} every call of a run: "
            f"{', '.join(added)} ({len(added)} requirements)."
        )

    def _named(self, suites: Iterable[str], identifiers: Iterable[str]) -> set[str]:
        chosen = {self.find(identifier).id for identifier in identifiers}
        for name in suites:
            chosen |= {row.id for row in self.suite_named(name).requirement}
        return chosen


def suites_root() -> Path:
    """The folder that holds the suites: inside the installed package, or beside it in a checkout."""
    for parent in certify.__path__:
        root = Path(parent) / "suites"
        if (root / "__init__.py").is_file():
            return root
    return _folder_of("certify.suites")


def _folder_of(package: str) -> Path:
    """The folder of a package, without importing it. Raises CatalogueError where it is not installed."""
    from importlib.util import find_spec

    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CatalogueError(f"{package} is not installed beside certify: reinstall sd-certify.")
    return Path(next(iter(spec.submodule_search_locations)))


def load_catalogue(root: Path | None = None) -> Catalogue:
    """All suites in their order.

    Raises CatalogueError where a row is malformed, or an id or a suite's name or alias is used twice.
    """
    root = root or suites_root()
    suites = [_read_suite(path) for path in sorted(root.glob("*/requirements.toml"))]
    if not suites:
        raise CatalogueError(f"No requirements.toml below {root}.")
    suites.sort(key=lambda suite: (suite.order, suite.name))
    catalogue = Catalogue(tuple(suites), root)
    _expect_once("Requirement ids", [row.id for row in catalogue.requirements])
    # A suite may name itself as its alias, so each suite's names are a set.
    _expect_once("Names of suites", [name for suite in suites for name in {suite.name, *suite.aliases}])
    return catalogue


def _expect_once(what: str, words: list[str]) -> None:
    twice = sorted(word for word, count in Counter(words).items() if count > 1)
    if twice:
        raise CatalogueError(f"{what} used twice: " + ", ".join(twice))


def _read_suite(path: Path) -> Suite:
    name = path.parent.name
    try:
        table: Mapping[str, Any] = tomllib.loads(path.read_text("utf-8"))
        rows = [{**row, "suite": name} for row in table.get("requirement", [])]
        return Suite.model_validate({"name": name, **table, "requirement": rows})
    except (ValueError, TypeError) as error:
        raise CatalogueError(f"{path}: {error}") from error


def suite_digest(root: Path) -> str:
    """`sha256:...` over every file of the suites: the requirements and their tests."""
    return digest_of_files({path.relative_to(root).as_posix(): path for path in _sources(root)})


def harness_digest() -> str:
    """`sha256:...` over certify, its reports and the engine, wherever they are installed."""
    package = Path(certify.__path__[0])
    reports, engine = (_folder_of(name) for name in ("certify.reports", "reference_engine"))
    outside = (package / "suites", package / "reports")
    named = {
        f"certify/{path.relative_to(package).as_posix()}": path
        for path in _sources(package)
        if not any(path.is_relative_to(folder) for folder in outside)
    }
    for name, folder in (("reports", reports), ("reference_engine", engine)):
        named |= {f"{name}/{path.relative_to(folder).as_posix()}": path for path in _sources(folder)}
    return digest_of_files(named)


def digest_of_files(named: Mapping[str, Path]) -> str:
    """`sha256:...` over the names and bytes of these files."""
    total = hashlib.sha256()
    for name, path in sorted(named.items()):
        total.update(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n".encode())
    return "sha256:" + total.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    """Every file below a folder, without Python's caches."""
    for path in root.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def as_markdown(catalogue: Catalogue) -> str:
    """The text of docs/requirements.md."""
    origin = "Written from the rows in `suites/`; `python -m certify.plan.catalogue` prints it."
    lines = ["# Requirements", "", origin, ""]
    for suite in catalogue.suites:
        lines += [f"## {suite.title}", "", *([suite.summary, ""] if suite.summary else [])]
        for row in suite.requirement:
            where = "" if row.counts_from == "quick" else f", counts from profile {row.counts_from}"
            scope = f", for {plugins_with(row.applies)}" if row.applies else ""
            lines += [
                f"### {row.id}",
                "",
                row.sentence,
                "",
                f"*{row.level}{where}{scope}; from {', '.join(row.source)}; {row.lifecycle}; "
                f"{row.effort} to fix.* {row.why} {row.fix}",
                "",
            ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown(load_catalogue()), end="")
