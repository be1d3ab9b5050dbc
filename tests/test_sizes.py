"""The two sizes of an installation: what executes nothing of a candidate does without the extra `engine`."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from certify.errors import UserError
from certify.plan import machine
from certify.plan.catalogue import load_catalogue
from reference_engine import ModelNotLoaded
from reference_engine.marking import mark
from reference_engine.models import libraries
from tests.defects.catalogue import SOUND
from tests.made_up import begin_run, whole_plan, written

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
EXAMPLES = [str(ROOT / "examples" / name) for name in ("inkwash", "stock-diffusers")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
HEAVY = {
    *("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors", "huggingface-hub"),
    *("invisible-watermark", "opencv-python", "opencv-python-headless", "onnxruntime", "tokenizers"),
    *("scipy", "scikit-image", "scikit-learn", "matplotlib", "hypothesis", "pytest", "rich", "psutil"),
}
# Runs a command where whatever a bare installation lacks cannot be imported.
REFUSING = """
import json, sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

refused = set(json.loads(sys.argv[1]))
sys.meta_path.insert(0, Refuses())
"""
COMMAND = REFUSING + "from certify.cli.main import main; sys.exit(main(sys.argv[2:]))"
IMPORT = REFUSING + "import importlib; print(importlib.import_module(sys.argv[2]).__name__)"


def names(lines: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in lines}


def with_what_they_need(distributions: set[str]) -> Iterator[str]:
    """The distributions and all that they ask for, by what is installed here."""
    waiting, seen = set(distributions), set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        yield name
        try:
            asked = [Requirement(line) for line in importlib.metadata.requires(name) or ()]
        except importlib.metadata.PackageNotFoundError:
            continue  # for another Python
        needed = {row.name for row in asked if row.marker is None or row.marker.evaluate({"extra": ""})}
        waiting |= {str(canonicalize_name(row)) for row in needed} - seen


BASE = names(PROJECT["dependencies"])
BARE = set(with_what_they_need(BASE))


def refused() -> list[str]:
    """The modules of every distribution that a bare installation does not bring."""
    by_module = importlib.metadata.packages_distributions()
    ours = {"certify", "reference_engine", "suites", "reports", "tests"}
    held = {
        name
        for name, distributions in by_module.items()
        if not BARE & {str(canonicalize_name(row)) for row in distributions} and name not in ours
    }
    return sorted(held | set(machine.ENGINE) | {"cv2", "onnxruntime", "hypothesis"})


def bare(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, json.dumps(refused()), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_what_is_refused_is_all_but_the_base() -> None:
    assert {"torch", "diffusers", "transformers", "peft", "imwatermark", "cv2"} <= set(refused())
    assert not {"numpy", "PIL", "pydantic", "yaml", "certify"} & set(refused())
    assert "No module named 'torch'" in bare(IMPORT, "torch").stderr


def test_the_base_asks_for_nothing_heavy() -> None:
    assert not BASE & HEAVY
    assert not BARE & HEAVY, "something in the base brings it along"


def test_the_extra_engine_is_what_a_run_looks_for() -> None:
    engine = names(PROJECT["optional-dependencies"]["engine"])
    assert set(machine.ENGINE.values()) | {"opencv-python-headless"} == engine


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["list"], 0, f"{len(load_catalogue().requirements)} requirements."),
        (["explain", "leak.memory"], 0, "Memory does not grow"),
        *((["plan", example], 0, machine.INSTALL_ENGINE) for example in EXAMPLES),
        (["licences", EXAMPLES[0]], 0, "No certain finding."),
        (["licences", EXAMPLES[1]], 1, "licence.base-model"),
        (["doctor"], 0, machine.INSTALL_ENGINE),
        (["check", EXAMPLES[0]], 0, "requirements checked in files alone"),
        (["check", EXAMPLES[1]], 1, "licence.base-model"),
    ],
)
def test_a_command_that_runs_no_candidate_needs_no_engine(words: list[str], code: int, told: str) -> None:
    done = bare(COMMAND, *words)
    assert (done.returncode, done.stderr) == (code, "")
    assert told in done.stdout


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_marks_are_read_without_the_engine(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(1).integers(80, 160, (256, 256, 3), np.uint8)
    file = tmp_path / f"image.{kind}"
    mark(Image.fromarray(noise)).save(file, quality=95)
    done = bare(COMMAND, "marks", str(file), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["layers"]["invisible"]["state"] == "present"


def test_reports_are_made_without_the_engine(tmp_path: Path) -> None:
    written(tmp_path / "journal.ndjson", whole_plan())
    done = bare(COMMAND, "report", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "report.html").is_file() and (tmp_path / "junit.xml").is_file()


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_static_requirement_is_measured_without_the_engine(example: str) -> None:
    done = bare(COMMAND, "check", example, "--json")
    report = json.loads(done.stdout)
    plan = json.loads(bare(COMMAND, "plan", example, "--json").stdout)
    applying = {row["id"] for row in plan["requirements"] if row["action"] == "run"}
    static = {row.id for row in load_catalogue().requirements if row.when == "static"}
    assert {row["id"] for row in report["requirements"]} == applying & static
    assert "error" not in {row["outcome"] for row in report["requirements"]}


@pytest.mark.parametrize(
    "module",
    [
        *("reference_engine", "reference_engine.samplers", "reference_engine.oracle"),
        *("reference_engine.marking", "reference_engine.models.folder", "certify.run.check"),
    ],
)
def test_the_light_parts_import_nothing_of_the_engine(module: str) -> None:
    assert bare(IMPORT, module).stdout == f"{module}\n"


def mistake(*words: str) -> str:
    done = bare(COMMAND, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, "one line"
    return done.stderr


def test_a_run_without_the_engine_says_what_to_install(tmp_path: Path) -> None:
    told = mistake("run", str(SOUND), "--out", str(tmp_path / "run"))
    assert "`certify run` needs the extra engine: pip install 'sd-certify[engine]'" in told
    assert "torch" in told and not (tmp_path / "run").exists()


def test_so_do_resume_and_replay(tmp_path: Path) -> None:
    from certify.record.journal import Journal

    order = b'"order": {"plugin": "%s"}' % str(SOUND).encode()
    path = tmp_path / "journal.ndjson"
    with Journal(path) as journal:
        begin_run(journal, whole_plan())
    path.write_bytes(path.read_bytes().replace(b'"order": {"plugin": "made-up"}', order, 1))
    assert "`certify run` needs the extra engine" in mistake("run", "--resume", str(tmp_path))
    path.unlink()
    written(path, whole_plan())
    path.write_bytes(path.read_bytes().replace(b'"order": {"plugin": "made-up"}', order, 1))
    assert "`certify replay` needs the extra engine" in mistake("replay", str(tmp_path), "sdk.same-seed")


def test_a_part_of_the_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from certify.cli.installation import check_engine

    monkeypatch.setitem(machine.ENGINE, "torch_that_nobody_has", "torch-that-nobody-has")
    with pytest.raises(UserError, match=r"\(not installed: torch-that-nobody-has\)"):
        check_engine("run")


def test_the_sdk_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "sys", type("Bare", (), {"modules": {}}))
    monkeypatch.setattr(libraries, "find_spec", lambda _: None)
    with pytest.raises(ModelNotLoaded, match="not installed: torch, diffusers, transformers") as caught:
        libraries.import_libraries()
    assert caught.value.remedies == ("pip install 'sd-certify[engine]'",)
