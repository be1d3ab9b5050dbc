"""The defects: found as files, made into plugin folders, their expected findings read from beside the
defect.

A `.py` defect is a class derived from the sound plugin; `# breaks: ID` (or `# breaks: ID as OUTCOME`) stands
beside the fault, `# leaves unmeasured: ID, ...` where a fault keeps something from being measured,
`# needs: MODULE` where it is found with that package alone (without it: not evidenced, or nothing at all
with `# passes without them: ID`),
`# manifest: OLD => NEW` where plugin.toml must say something else (`\\n` is a new line), and
`# manifest also: LINE` where it must say more. A `.toml` defect changes the package: `replace` (in
plugin.toml), `edit` (in other texts), `remove`, `files`, `bytes`, `copy`, `cut`, `flip`, `recode` (in another
encoding), `lora` (another LoRA's file, hash and all).
`breaks: nothing` is a benign twin: it looks like a defect and must raise no finding.

The defects in `hostile/` are acts against the machine or the verdict. They need decoys, so `tests.hostile`
runs them; there `breaks: nothing` says that an act is without effect.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certify.plan.catalogue import Catalogue, load_catalogue
from certify.plan.machine import find_tool
from certify.sandbox.jail import calls
from certify.terms.outcomes import Outcome
from tests.defects.lora import lora_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
SOUND = HERE / "sound"
HOSTILE = "hostile"
# What the hostile ones share.
ARMOURY = (HERE / "armoury.py", Path(calls.__file__))
ASKS_THE_PLUGIN = "everything that asks the plugin"
# What no single run of minutes on one system can evidence; so it stays open for the sound plugin too.
_NEVER = ("leak.full-day", "platform.native")
# And what takes programs that are extras.
_TOOLS = {"deps.resolves": "uv", "deps.licences": "uv", "deps.vulnerabilities": "pip-audit"}
NO_TOOL = tuple(name for name, tool in _TOOLS.items() if not (find_tool("uv") and find_tool(tool)))
OPEN = (*_NEVER, *NO_TOOL)

_BREAKS = re.compile(r"# breaks: ([\w.-]+)(?: as ([\w-]+))?")
_UNMEASURED = re.compile(r"# leaves unmeasured: (.+)")
_NEEDS = re.compile(r"# needs: ([\w, ]+)")
_PASSES_WITHOUT = re.compile(r"# passes without them: (.+)")
_MANIFEST = re.compile(r"# manifest: (.+) => (.+)")
_ALSO = re.compile(r"# manifest also: (.+)")
_BOUND = re.compile(r"(?m)^(numpy|pillow)( ?>=[\d.]+, ?)<(\d+)\b")


@dataclass(frozen=True)
class Defect:
    """`expected` maps requirement ids to outcomes, where they differ from the sound plugin's; `breaks`
    are those that the defect breaks, also where what finds it is not installed.
    """

    name: str
    suite: str
    file: Path
    expected: dict[str, Outcome]
    breaks: tuple[str, ...] = ()

    def build(self, folder: Path) -> Path:
        """Writes the plugin's folder and gives it."""
        shutil.copytree(SOUND, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if self.file != SOUND:
            self._spoil(folder)
        _follow_what_is_installed(folder / "requirements.txt")
        return folder

    def _spoil(self, folder: Path) -> None:
        if self.suite == HOSTILE:
            for file in ARMOURY:
                shutil.copy(file, folder)
        if self.file.suffix == ".py":
            shutil.copy(self.file, folder / "defect.py")
            entry = f'entry = "defect:{_class_name(self.file)}"'
            _replace_in(folder / "plugin.toml", 'entry = "sound.plugin:Sound"', entry)
            for old, new in _MANIFEST.findall(self.file.read_text("utf-8")):
                _replace_in(folder / "plugin.toml", old, new.replace(r"\n", "\n"))
            with (folder / "plugin.toml").open("a", encoding="utf-8") as manifest:
                manifest.write("\n".join(["", *_ALSO.findall(self.file.read_text("utf-8")), ""]))
        else:
            _apply(tomllib.loads(self.file.read_text("utf-8")), folder)


def sound() -> Defect:
    return Defect("sound", "", SOUND, {})


def all_defects() -> list[Defect]:
    """Every defect but the hostile ones, in the order of suites and names."""
    return [defect for defect in _read_all() if defect.suite != HOSTILE]


def hostile_acts() -> list[Defect]:
    return [defect for defect in _read_all() if defect.suite == HOSTILE]


def _read_all() -> list[Defect]:
    catalogue = load_catalogue()
    files = sorted(
        path for path in HERE.glob("*/*") if path.suffix in (".py", ".toml") and path.parent != SOUND
    )
    return [_read(path, catalogue) for path in files if path.name != "__init__.py"]


def _read(path: Path, catalogue: Catalogue) -> Defect:
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        broken = {name: outcome or "failed" for name, outcome in _BREAKS.findall(text) if name != "nothing"}
        unmeasured = ", ".join(_UNMEASURED.findall(text))
        if not _BREAKS.search(text):
            raise ValueError(f"{path} does not say what it breaks")
    else:
        table = tomllib.loads(text)
        broken = dict.fromkeys(table["breaks"], "failed") | table.get("outcomes", {})
        unmeasured = table.get("unmeasured", "")
    expected = {catalogue.find(name).id: Outcome(outcome) for name, outcome in broken.items()}
    breaks = tuple(name for name, outcome in expected.items() if outcome in (Outcome.FAILED, Outcome.WARNED))
    if _lacks(text):
        expected |= dict.fromkeys(breaks, Outcome.NOT_EVIDENCED)
        for name in _names(", ".join(_PASSES_WITHOUT.findall(text)), catalogue):
            del expected[name]
    for name in _names(unmeasured, catalogue):
        expected.setdefault(name, Outcome.NOT_EVIDENCED)
    for name in _NEVER:
        if expected.get(name) is Outcome.NOT_EVIDENCED:
            del expected[name]
    return Defect(path.stem, path.parent.name, path, expected, breaks)


def _lacks(text: str) -> bool:
    """Whether a package that a defect's finding needs is not installed."""
    needed = [name.strip() for found in _NEEDS.findall(text) for name in found.split(",")]
    return any(importlib.util.find_spec(name) is None for name in needed)


def _names(unmeasured: str, catalogue: Catalogue) -> list[str]:
    if unmeasured == ASKS_THE_PLUGIN:
        return [row.id for row in catalogue.requirements if "worker" in row.needs]
    return [name.strip() for name in unmeasured.split(",") if name.strip()]


def _class_name(file: Path) -> str:
    named = re.search(r"^class (\w+)\(Sound\)", file.read_text("utf-8"), re.MULTILINE)
    return named.group(1) if named else "Plugin"


def _apply(table: dict[str, Any], folder: Path) -> None:
    for old, new in table.get("replace", []):
        _replace_in(folder / "plugin.toml", old, new)
    for name, old, new in table.get("edit", []):
        _replace_in(folder / name, old, new)
    for name in table.get("remove", []):
        (folder / name).unlink()
    for name, text in table.get("files", {}).items():
        _write(folder / name, text.encode("utf-8"))
    for name, digits in table.get("bytes", {}).items():
        _write(folder / name, bytes.fromhex(digits))
    for target, source in table.get("copy", {}).items():
        shutil.copy(folder / source, folder / target)
    for name, phrase in table.get("cut", {}).items():
        text = (folder / name).read_text("utf-8")
        _write(folder / name, text[: text.rindex(phrase)].encode("utf-8"))
    for name, encoding in table.get("recode", {}).items():
        _write(folder / name, (folder / name).read_text("utf-8").encode(encoding))
    for name, about in table.get("lora", {}).items():
        old = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        _write(folder / name, lora_file(**about))
        new = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        _replace_in(folder / "plugin.toml", old, new)
    for name in table.get("flip", []):
        data = bytearray((folder / name).read_bytes())
        data[-1] ^= 1
        _write(folder / name, bytes(data))


def _follow_what_is_installed(requirements: Path) -> None:
    """Raises the bounds on what the SDK brings anyway where a release has passed them; else each run of each
    defect would install another one."""

    def raised(bound: re.Match[str]) -> str:
        major = int(importlib.metadata.version(bound[1]).split(".")[0])
        return f"{bound[1]}{bound[2]}<{max(int(bound[3]), major + 1)}"

    # Some are in other encodings, or are not there at all.
    with contextlib.suppress(OSError, UnicodeDecodeError):
        requirements.write_bytes(
            _BOUND.sub(raised, requirements.read_bytes().decode("utf-8")).encode("utf-8")
        )


def _replace_in(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    if text.count(old) != 1:
        raise ValueError(f"{file.name} holds {text.count(old)} times: {old}")
    file.write_text(text.replace(old, new), "utf-8")


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
