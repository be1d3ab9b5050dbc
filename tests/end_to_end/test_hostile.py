"""Hostile plugins get nothing done behind the jail's walls, and much without them."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from certify.progress import PlainLines
from certify.run.request import RunRequest
from certify.run.run import execute
from certify.summary import last_words
from tests.decoys import decoys
from tests.defects.catalogue import hostile_acts
from tests.hostile import PROFILE, WATCHED, Trial, attempt_all, running_host

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has walls"),
]
ACTS = hostile_acts()
_COMMAND = re.compile(r"^\s*(::|##\[|##vso|##teamcity)")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def behind() -> dict[str, Trial]:
    return {trial.name: trial for trial in attempt_all(ACTS, walls=True)}


@pytest.mark.parametrize("name", [act.name for act in ACTS])
def test_behind_walls_it_gets_nothing_done_and_is_found_as_it_should(
    behind: dict[str, Trial], name: str
) -> None:
    trial = behind[name]
    assert not trial.got_through, trial.came_to
    assert trial.found == trial.expected


def test_without_walls_much_gets_through() -> None:
    bare = list(attempt_all(ACTS, walls=False))
    through = [trial.name for trial in bare if trial.got_through]
    assert len(through) >= 15, through
    assert "the verdict became ERROR" in next(
        trial.effects for trial in bare if trial.name == "kills_its_keepers"
    )


def test_a_plugins_words_command_no_build_system_terminal_or_reader(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    act = next(act for act in ACTS if act.name == "speaks_to_the_build_system")
    folder, out = act.build(tmp_path / "plugin"), tmp_path / "out"
    with running_host(walls=True) as host, decoys() as there:
        there.write(folder, {"walls": True})
        request = RunRequest(plugin=str(folder), out=str(out))
        results, _ = execute(request, PlainLines(), host=host, profile=PROFILE, selected=WATCHED)
    print(last_words(results, out))
    told = "\n".join(capfd.readouterr())
    junit, report = (out / "junit.xml").read_text("utf-8"), (out / "report.html").read_text("utf-8")
    assert "set-output" in told
    assert not [line for line in told.splitlines() if _COMMAND.match(line)]
    assert not any(_UNSEEN.search(text) for text in (told, junit, report))
    assert ET.fromstring(junit).find(".//failure") is not None
    assert "<script>ink" not in report
