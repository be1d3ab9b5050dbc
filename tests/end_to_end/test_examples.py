"""The two candidates of the README."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.commands import EXAMPLES, certify

pytestmark = [pytest.mark.slow, pytest.mark.proof, pytest.mark.xdist_group("soaks")]

# What the pipeline of diffusers lacks before it can be sold; no more and no less.
LACKING = {
    "lang.declared",
    "lang.prompt-in-png",
    "lang.prompt-in-result",
    "licence.attribution",
    "licence.base-model",
    "licence.use-restrictions",
    "mark.declared",
    "mark.every-image",
    "mark.every-way",
    "mark.metadata",
    "mark.policy",
    "sdk.out-of-memory",
    "sdk.sensitive-words",
}


def test_inkwash_passes_at_profile_quick_with_all_its_outputs(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = certify("run", EXAMPLES / "inkwash", "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED at profile quick" in done.stdout
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert results["verdict"] == {"name": "PASSED", "reasons": [], "exit_code": 0}
    assert {row["outcome"] for row in results["requirements"] if row["counts"]} == {"passed"}
    assert sum(row["attempts"] > 0 for row in results["requirements"]) == results["planned"]
    assert any(claim.startswith("soak, real engine: ") for claim in results["claims"])
    for name in ("journal.ndjson", "report.html", "junit.xml", "sbom.cdx.json"):
        assert (out / name).stat().st_size > 1000


def test_the_stock_pipeline_is_rejected_for_what_it_lacks(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = certify("run", EXAMPLES / "stock-diffusers", "--out", out)
    assert done.returncode == 1, done.stdout + done.stderr
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert {row["id"] for row in results["requirements"] if row["outcome"] == "failed"} == LACKING
    report = (out / "report.html").read_text("utf-8")
    for row in results["requirements"]:
        if row["outcome"] == "failed":
            assert row["replay"].startswith("certify run ")
            assert row["id"] in report
