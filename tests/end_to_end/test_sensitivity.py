"""Every defect is found, and nothing else: the findings equal what stands beside the defect, both ways.

All runs draw from one seed; `python -m tests.sensitivity` draws afresh.
"""

from __future__ import annotations

import pytest

from tests.defects.catalogue import all_defects, sound
from tests.sensitivity import Row, measure_in_parallel

pytestmark = pytest.mark.slow
SEED = "20261124"
NAMES = [defect.name for defect in [sound(), *all_defects()]]


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {row.name: row for row in measure_in_parallel(NAMES, jobs=2, seed=SEED)}


@pytest.mark.parametrize("name", NAMES)
def test_findings_equal_those_beside_the_defect(rows: dict[str, Row], name: str) -> None:
    assert rows[name].found == rows[name].expected, rows[name].messages


def test_the_sound_plugin_passes(rows: dict[str, Row]) -> None:
    assert rows["sound"].verdict == "PASSED"


def test_a_broken_must_rejects_and_a_broken_should_does_not(rows: dict[str, Row]) -> None:
    assert rows["takes_any_steps"].verdict == "REJECTED"
    assert rows["evaluates_text"].verdict == "PASSED"
