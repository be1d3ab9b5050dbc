"""Every defect is found, and nothing else: the findings equal what stands beside the defect, both ways.

All runs draw from one seed; `python -m tests.sensitivity` draws afresh. One defect for each requirement is
measured in every `pytest`, all of them with everything in `pytest -m proof`; tests/proof/scope.py says what
that leaves out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.defects.catalogue import Defect, all_defects, sound
from tests.proof import row_cache
from tests.proof.bench import Bench, Row, expected_of
from tests.proof.scope import CHECKED, names_a_leak, one_for_each_requirement, static_first, whole

SEED = "20261124"
DEFECTS = {defect.name: defect for defect in [sound(), *all_defects()]}
# What static requirements find, tests/run/test_check.py shows of every defect.
CHOSEN = [row.name for row in one_for_each_requirement() if not set(row.expected) <= CHECKED]
# Their verdicts are told by tests of their own, which take the same rows.
VERDICTS = ("sound", "takes_any_steps", "evaluates_text")
Measure = Callable[[str, bool], Row]


@pytest.fixture(scope="session")
def known() -> dict[tuple[str, bool], Row]:
    """The rows of this process so far."""
    return {}


@pytest.fixture
def measure(
    bench: Bench, known: dict[tuple[str, bool], Row], record_property: Callable[[str, object], None]
) -> Measure:
    """The row of a defect: measured, or taken from where its like was measured before."""

    def measured(name: str, proof: bool) -> Row:
        if (name, proof) not in known:
            row, source = _row(bench, DEFECTS[name], proof)
            record_property("row", source)
            known[name, proof] = row
        return known[name, proof]

    return measured


def _row(bench: Bench, defect: Defect, proof: bool) -> tuple[Row, str]:
    with tempfile.TemporaryDirectory(prefix="built-") as name:
        built = defect.build(Path(name) / "plugin")
        seed = row_cache.digest_of_judges()
        scope = whole(defect, built, seed) if proof or defect.name == "sound" else static_first(defect, built)
        expected = expected_of(defect, scope)
        if not proof:
            # What the defect breaks must be among what is measured: a narrow row may prove less, not nothing.
            assert set(expected) == set(expected_of(defect, set(defect.expected)))
        key = row_cache.key(built, expected, scope, SEED)
    found = row_cache.recall(key)
    if found is not None:
        return found, "remembered"
    row = bench.measure(defect, scope, SEED)
    row_cache.remember(key, row)
    return row, "measured"


def _params(names: list[str], proof: bool) -> list[object]:
    """Leaks are looked for one after another in one process, so that none disturbs another."""
    soaks = pytest.mark.xdist_group("soaks")
    together = {name for name in names if names_a_leak(DEFECTS[name]) or name == "sound"}
    together |= set(VERDICTS) if proof else set()
    return [pytest.param(name, marks=[soaks] if name in together else []) for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("name", _params(["sound", *CHOSEN], proof=False))
def test_one_defect_of_each_requirement_is_found(measure: Measure, name: str) -> None:
    row = measure(name, False)
    assert row.found == row.expected, row.messages


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize("name", _params(list(DEFECTS), proof=True))
def test_findings_equal_those_beside_the_defect(measure: Measure, name: str) -> None:
    row = measure(name, True)
    assert row.found == row.expected, row.messages


@pytest.mark.slow
@pytest.mark.xdist_group("soaks")
def test_the_sound_plugin_passes(measure: Measure) -> None:
    assert measure("sound", False).verdict == "PASSED"


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.xdist_group("soaks")
def test_a_broken_must_rejects_and_a_broken_should_does_not(measure: Measure) -> None:
    assert measure("takes_any_steps", True).verdict == "REJECTED"
    assert measure("evaluates_text", True).verdict == "PASSED"
