"""What of the catalogue is measured of a defect.

In the plain `pytest` one defect stands for each requirement, and is measured with what it can be found by
(`own`); in `pytest -m proof` each defect is measured with everything, but for what was shown not to tell any
more:

- The soak, for a defect that names no requirement about leaks: it takes twenty seconds of the clock and would
  show one thing, that the soak raises no false alarm. The sound plugin and the benign defects of soak
  show that, and so does an eighth of all defects, another eighth after each change of the code (`is_soaked`).
- What asks the plugin, for a defect whose plugin does in a worker what the sound one does
  (`works_like_sound`): its outcomes are the sound plugin's. It is measured with what is static and with its
  own suite.

`python -m tests.sensitivity` leaves nothing out.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Set
from functools import cache
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Any

from certify.candidate.candidate import Candidate, read_candidate
from certify.instruments.packages.dependencies import read_dependencies
from certify.plan.catalogue import load_catalogue
from certify.sandbox.host.packages import is_satisfied
from certify.submission.submission import open_submission
from tests.defects.catalogue import Defect, all_defects, sound

ROWS = load_catalogue().requirements
EVERYTHING = frozenset(row.id for row in ROWS)
STATIC = frozenset(row.id for row in ROWS if row.when == "static")
# Static ones that need no index and no service; tests/run/test_check.py measures these of every defect.
CHECKED = frozenset(row.id for row in ROWS if row.id in STATIC and not {"uv", "pip-audit"} & set(row.needs))
ABOUT_LEAKS = frozenset(row.id for row in ROWS if row.suite == "soak")
# Of a suite that only judges over what others had the plugin do.
_ERRANDS = frozenset(row.id for row in ROWS if row.suite == "contract" and row.when == "run")
# How many defects there are for each one of those that are soaked without a word about leaks.
ONE_IN = 8
# They must come out PASSED, and INCOMPLETE is what comes of a part.
PASSED_AS_A_WHOLE = ("sound", "evaluates_text")
# Of the manifest, what nothing that asks the plugin reads.
_SILENT_KEYS = {
    "licence": {"expression", "files", "model_terms", "notice", "terms"},
    "commercial": {"agreement", "licence_key", "face_terms"},
    "platforms": {"os"},
}
_SILENT_KEYS_OF_LORAS = {"source", "licence", "licence_file", "commercial"}


def own(defect: Defect) -> frozenset[str]:
    """What the defect can be found by: what is static, what it names, and the suites of what it breaks."""
    by_id = {row.id: row for row in ROWS}
    suites = {defect.suite, *(by_id[name].suite for name in defect.breaks)}
    chosen = {row.id for row in ROWS if row.suite in suites} | set(defect.expected) | STATIC
    if not names_a_leak(defect):
        chosen -= ABOUT_LEAKS
    if not any(by_id[name].when == "run" for name in chosen):
        chosen |= _ERRANDS
    return frozenset(chosen)


def static_first(defect: Defect, folder: Path) -> frozenset[str]:
    """For the plain `pytest`: nothing asks a plugin that works like the sound one."""
    return STATIC if set(defect.expected) <= STATIC and works_like_sound(folder) else own(defect)


def whole(defect: Defect, folder: Path, seed: str) -> frozenset[str]:
    """For the proof."""
    if set(defect.expected) <= own(defect) and defect.name != "sound" and works_like_sound(folder):
        return own(defect)
    return EVERYTHING if is_soaked(defect, seed) else EVERYTHING - ABOUT_LEAKS


def names_a_leak(defect: Defect) -> bool:
    return defect.suite == "soak" or bool(ABOUT_LEAKS & set(defect.expected))


def is_soaked(defect: Defect, seed: str) -> bool:
    """`seed` is drawn from the code: a run can be repeated, and no eighth is left out for good."""
    number = int.from_bytes(hashlib.sha256(f"{defect.name} {seed}".encode()).digest()[:8], "big")
    return names_a_leak(defect) or defect.name in PASSED_AS_A_WHOLE or number % ONE_IN == 0


def one_for_each_requirement(defects: Iterable[Defect] | None = None) -> list[Defect]:
    """For each requirement that has a defect the one that is dearest to nobody: found without a worker, then
    with the fewest findings, then the first by its name; one that was chosen already stands for all that it
    breaks."""
    defects = all_defects() if defects is None else list(defects)
    chosen: dict[str, Defect] = {}
    for row in ROWS:
        aimed = [defect for defect in defects if row.id in defect.breaks]
        if aimed and not any(row.id in defect.breaks for defect in chosen.values()):
            first = min(aimed, key=_cost)
            chosen[first.name] = first
    return sorted(chosen.values(), key=lambda defect: defects.index(defect))


def _cost(defect: Defect) -> tuple[bool, bool, int, str]:
    return names_a_leak(defect), not set(defect.expected) <= STATIC, len(defect.expected), defect.name


def works_like_sound(folder: Path) -> bool:
    """Whether a worker, and what the judge asks it for, are the same for this built folder as for the sound
    plugin.

    Careful rather than clever: true alone where
    - the entry's package, whatever Python could import, and every LoRA are byte for byte the sound plugin's,
      so that what else lies in the folder (texts of licences, pictures, a binary under a name that nothing
      loads) is opened by nobody: the sound plugin opens its LoRAs alone;
    - no package is installed for it;
    - its traits are the same, so that the same requirements apply;
    - its manifest differs in nothing but what static requirements read (`_SILENT_KEYS`). A LoRA with other
      metadata, a further one, a setup script, a module that nobody imports: each counts as other.
    """
    return _visible(folder) == _of_sound()


@cache
def _of_sound() -> object:
    with tempfile.TemporaryDirectory(prefix="sound-") as name:
        return _visible(sound().build(Path(name) / "plugin"))


def _visible(folder: Path) -> object:
    with tempfile.TemporaryDirectory(prefix="visible-") as name:
        candidate = read_candidate(open_submission(folder, Path(name)))
        files = {
            row.path: hashlib.sha256((candidate.root / row.path).read_bytes()).hexdigest()
            for row in candidate.submission.files
            if row.path != candidate.manifest_file and _is_reached(row.path, candidate)
        }
        declared = read_dependencies(
            candidate.root, [row.path for row in candidate.submission.files]
        ).declared
        lacking = [str(row) for row in declared if row.requirement.url or not is_satisfied(row.requirement)]
        return files, lacking, candidate.traits, _manifest(candidate)


def _is_reached(path: str, candidate: Candidate) -> bool:
    """Whether Python might import a file, or the sound plugin open it."""
    package = (candidate.manifest.plugin.entry or "").partition(":")[0].partition(".")[0]
    place = Path(path)
    return place.parts[0] == package or place.name.endswith((*all_suffixes(), ".pth", ".safetensors"))


def _manifest(candidate: Candidate) -> object:
    content = candidate.manifest.model_dump(mode="json", by_alias=True)
    for table, keys in _SILENT_KEYS.items():
        content[table] = _without(content[table], keys)
    return {**content, "loras": [_without(row, _SILENT_KEYS_OF_LORAS) for row in content["loras"]]}


def _without(table: dict[str, Any], keys: Set[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}
