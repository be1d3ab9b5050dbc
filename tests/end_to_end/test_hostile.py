"""Hostile plugins get nothing done behind the jail's walls, and much without them."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from certify.run.request import RunRequest
from certify.run.run import execute
from certify.terminal.progress import PlainLines
from certify.terminal.summary import last_words
from tests.decoys import decoys
from tests.defects.catalogue import hostile_acts
from tests.hostile import PROFILE, WATCHED, Arena, attempt_all, running_host

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has walls"),
]
ACTS = {act.name: act for act in hostile_acts()}
# In every `pytest`, one for each kind of wall; the proof tries them all.
A_FEW = (
    "answers_twice",
    "connects_beneath_python",
    "forks_without_end",
    "hoards_memory",
    "leaves_a_daemon",
    "reads_the_judges_memory",
    "signals_every_process",
    "unhooks_the_watch",
    "writes_beneath_python",
)
_COMMAND = re.compile(r"^\s*(::|##\[|##vso|##teamcity)")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="session")
def walled() -> Iterator[Arena]:
    with Arena(walls=True) as arena:
        yield arena


@pytest.mark.parametrize("name", A_FEW)
def test_one_act_against_each_wall_gets_nothing_done(walled: Arena, name: str) -> None:
    trial = walled.attempt(ACTS[name])
    assert not trial.got_through, trial.came_to
    assert trial.found == trial.expected


@pytest.mark.proof
@pytest.mark.parametrize("name", ACTS)
def test_behind_walls_it_gets_nothing_done_and_is_found_as_it_should(walled: Arena, name: str) -> None:
    trial = walled.attempt(ACTS[name])
    assert not trial.got_through, trial.came_to
    assert trial.found == trial.expected


@pytest.mark.proof
@pytest.mark.xdist_group("without walls")
def test_without_walls_much_gets_through() -> None:
    bare = list(attempt_all(list(ACTS.values()), walls=False))
    through = [trial.name for trial in bare if trial.got_through]
    assert len(through) >= 15, through
    assert "the verdict became ERROR" in next(
        trial.effects for trial in bare if trial.name == "kills_its_keepers"
    )


def test_a_plugins_words_command_no_build_system_terminal_or_reader(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    act = ACTS["speaks_to_the_build_system"]
    folder, out = act.build(tmp_path / "plugin"), tmp_path / "out"
    with running_host(walls=True) as host, decoys() as there:
        there.write(folder, {"walls": True})
        order = RunRequest(plugin=str(folder), out=str(out))
        results, _ = execute(order, PlainLines(), host=host, profile=PROFILE, selected=WATCHED)
    print(last_words(results, out))
    told = "\n".join(capfd.readouterr())
    junit, report = (out / "junit.xml").read_text("utf-8"), (out / "report.html").read_text("utf-8")
    assert "set-output" in told
    assert not [line for line in told.splitlines() if _COMMAND.match(line)]
    assert not any(_UNSEEN.search(text) for text in (told, junit, report))
    assert ET.fromstring(junit).find(".//failure") is not None
    assert "<script>ink" not in report
