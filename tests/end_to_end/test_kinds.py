"""A folder, a zip and a wheel with the same files are the same candidate; replay repeats what a run found."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.defects.catalogue import SOUND, all_defects
from tests.end_to_end.commands import certify

pytestmark = [pytest.mark.slow, pytest.mark.proof]


def test_folder_zip_and_wheel_have_one_digest(tmp_path: Path) -> None:
    archive = tmp_path / "sound.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(
            path for path in SOUND.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        ):
            packed.write(file, file.relative_to(SOUND).as_posix())
    wheel = tmp_path / "sound-1.0.0-py3-none-any.whl"
    wheel.write_bytes(archive.read_bytes())
    digests = set()
    for number, plugin in enumerate((SOUND, archive, wheel)):
        out = tmp_path / f"run-{number}"
        done = certify(
            *("run", plugin, "--out", out),
            *("--requirement", "licence.files", "--requirement", "licence.lora-declared"),
            *("--requirement", "sdk.entry-loads"),
        )
        assert done.returncode == 3, done.stdout + done.stderr
        results = json.loads((out / "results.json").read_text("utf-8"))
        digests.add(results["candidate"]["digest"])
        ran = [row["outcome"] for row in results["requirements"] if row["attempts"]]
        assert ran == ["passed"] * results["planned"]
    assert len(digests) == 1


def test_replay_says_whether_a_failure_is_still_there(tmp_path: Path) -> None:
    defect = next(defect for defect in all_defects() if defect.name == "takes_any_steps")
    folder = defect.build(tmp_path / "plugin")
    out = tmp_path / "run"
    assert certify("run", folder, "--out", out, "--requirement", "sdk.steps-range").returncode == 1
    still = certify("replay", out, "sdk.steps-range")
    assert still.returncode == 1, still.stderr
    assert "STILL FAILING sdk.steps-range" in still.stdout

    text = (folder / "plugin.toml").read_text("utf-8")
    (folder / "plugin.toml").write_text(text.replace("defect:TakesAnySteps", "sound.plugin:Sound"), "utf-8")
    mended = certify("replay", out, "sdk.steps-range")
    assert mended.returncode == 0, mended.stderr
    assert "FIXED sdk.steps-range" in mended.stdout


def test_a_part_of_the_requirements_never_passes(tmp_path: Path) -> None:
    done = certify("run", SOUND, "--out", tmp_path / "run", "--requirement", "lang.declared")
    assert done.returncode == 3
    assert "INCOMPLETE" in done.stdout
