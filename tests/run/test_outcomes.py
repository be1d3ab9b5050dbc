"""Whose fault an exception in a suite's test is."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from certify.errors import UserError
from certify.measure.checks import Broken, NotEvidenced
from certify.plan.catalogue import Requirement, load_catalogue
from certify.plan.plan import make_plan
from certify.plan.profiles import PROFILES
from certify.run.outcomes import Judges
from certify.run.outcomes import classify as classify_by
from certify.run.request import RunRequest
from certify.run.run import execute
from certify.sandbox.host.faults import (
    CandidateFault,
    LoadFailed,
    MalformedReply,
    PluginError,
    TimedOut,
    Unreachable,
    WorkerEnded,
)
from certify.terminal.progress import Silent
from certify.terms.faults import FaultKind
from certify.terms.outcomes import Outcome
from tests.defects.catalogue import sound

MUST = load_catalogue().find("sdk.same-seed")
SHOULD = load_catalogue().find("platform.text-encoding")


SUITES = Path("/x/suites")
JUDGES = Judges(
    {"ended": "sdk.stays-alive", "timed-out": "sdk.answers-in-time", "malformed": "sdk.well"}, SUITES
)


def classify(error: BaseException, requirement: Requirement) -> tuple[Outcome, str]:
    return classify_by(error, requirement, JUDGES)


def raised_in(file: str, statement: str = "assert False, 'two images'") -> AssertionError:
    """An assertion that failed in a file of this name."""
    try:
        exec(compile(statement, file, "exec"))
    except AssertionError as error:
        return error
    raise RuntimeError("unreachable")


def test_an_assertion_of_the_suite_breaks_a_must_and_warns_of_a_should() -> None:
    assert classify(raised_in(f"/x/suites/{MUST.suite}/test_a.py"), MUST) == (Outcome.FAILED, "two images")
    assert classify(raised_in(f"/x/suites/{SHOULD.suite}/test_a.py"), SHOULD)[0] is Outcome.WARNED


@pytest.mark.parametrize("suite", [row.name for row in load_catalogue().suites])
@pytest.mark.parametrize("room", ["certify", "certify/measure", "reference_engine", "/y/suites"])
def test_a_folder_of_a_suites_name_elsewhere_speaks_of_the_harness(suite: str, room: str) -> None:
    """`certify/measure/licensing` and `reference_engine/samplers` bear the names of suites."""
    requirement = load_catalogue().suite_named(suite).requirement[0]
    error = raised_in(str(Path("/x") / room / suite / "texts.py"))
    assert classify(error, requirement)[0] is Outcome.ERROR


def test_an_assertion_without_a_message_speaks_of_the_harness() -> None:
    """So fail assertions that narrow a type; what is seen of a candidate is always said."""
    error = raised_in(f"/x/suites/{MUST.suite}/test_a.py", "assert None is not None")
    assert classify(error, MUST)[0] is Outcome.ERROR


@pytest.mark.parametrize(
    "file", ["/x/certify/sandbox/host/plugin.py", "/x/suites/licensing/test_a.py", "<string>"]
)
def test_an_assertion_of_anybody_else_is_the_harness_own_fault(file: str) -> None:
    assert classify(raised_in(file), MUST)[0] is Outcome.ERROR


def test_broken_speaks_of_the_candidate_wherever_it_is_raised() -> None:
    assert classify(Broken("seen"), MUST) == (Outcome.FAILED, "seen")


@pytest.mark.parametrize("fault", [WorkerEnded, TimedOut, MalformedReply])
def test_a_fault_of_a_call_leaves_the_requirement_unmeasured_and_names_the_one_that_judges_it(
    fault: type[CandidateFault],
) -> None:
    outcome, message = classify(fault("ended"), MUST)
    assert outcome is Outcome.NOT_EVIDENCED
    assert fault.kind is not None
    assert message.endswith(f"; see {JUDGES.faults[fault.kind]}.")


def test_a_fault_that_no_requirement_of_this_kind_of_candidate_judges_points_nowhere() -> None:
    assert classify(LoadFailed("no entry"), MUST)[1] == "Not measured, for the call ended so: no entry"


@pytest.mark.parametrize(("kind", "ending"), [("timed-out", "; see sdk.answers-in-time."), (None, "asked.")])
def test_a_plugin_that_cannot_be_called_leaves_the_requirement_unmeasured(
    kind: FaultKind | None, ending: str
) -> None:
    outcome, message = classify(Unreachable("It cannot be asked.", kind), MUST)
    assert outcome is Outcome.NOT_EVIDENCED
    assert message.endswith(ending)


def test_every_kind_of_fault_is_judged_by_a_requirement_of_every_kind_of_candidate() -> None:
    for kind in ("native", "diffusers-pipeline"):
        plan = make_plan(load_catalogue(), {kind}, PROFILES["quick"], set(), set())
        assert set(plan.judges_of_faults) == set(get_args(FaultKind))


def test_an_error_of_the_plugin_for_a_valid_request_breaks_it() -> None:
    assert classify(PluginError("no", error_type="ValueError"), MUST)[0] is Outcome.FAILED


def test_what_is_not_evidenced_never_passes_and_what_is_unforeseen_is_ours() -> None:
    assert classify(NotEvidenced("no camera"), MUST) == (Outcome.NOT_EVIDENCED, "no camera")
    assert classify(KeyError("x"), MUST)[0] is Outcome.ERROR


def test_a_config_for_another_model_than_the_manifest_lists_is_a_mistake(
    tmp_path: Path,
) -> None:
    folder = sound().build(tmp_path / "plugin")
    with (folder / "plugin.toml").open("a", encoding="utf-8") as manifest:
        manifest.write('\n[config]\nmodel_type = "v2.0"\n')
    with pytest.raises(UserError, match=r"config.model_type is v2\.0, but plugin.model_types lists v1\.5"):
        execute(RunRequest(plugin=str(folder), out=str(tmp_path / "out")), Silent())
    assert not (tmp_path / "out").exists()


def test_a_fault_quotes_of_a_worker_what_can_be_written_and_is_no_book() -> None:
    fault = MalformedReply("\ud800" + "x" * 100_000)
    assert fault.message.startswith("\\ud800x")
    assert len(str(fault).encode()) < 3_000
