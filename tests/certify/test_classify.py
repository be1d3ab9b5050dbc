"""Whose fault an exception in a suite's test is."""

from __future__ import annotations

from pathlib import Path

import pytest

from certify.checks import Broken, NotEvidenced
from certify.errors import UserError
from certify.host.faults import CallRefused, Hung, LoadFailed, Misspoke, WorkerEnded
from certify.order import Order
from certify.progress import Silent
from certify.pytest_plugin import classify
from certify.record import Outcome
from certify.requirements import load_catalogue
from certify.run import execute
from tests.defects.catalogue import sound

MUST = load_catalogue().find("sdk.same-seed")
SHOULD = load_catalogue().find("platform.text-encoding")


def raised_in(file: str) -> AssertionError:
    """An assertion that failed in a file of this name."""
    try:
        exec(compile("assert False, 'two images'", file, "exec"))
    except AssertionError as error:
        return error
    raise RuntimeError("unreachable")


def test_an_assertion_of_the_suite_breaks_a_must_and_warns_of_a_should() -> None:
    assert classify(raised_in("/x/suites/sdk_contract/test_a.py"), MUST) == (Outcome.FAILED, "two images")
    assert classify(raised_in("/x/suites/cross_platform/test_a.py"), SHOULD)[0] is Outcome.WARNED


@pytest.mark.parametrize("file", ["/x/certify/host/remote.py", "/x/suites/licensing/test_a.py", "<string>"])
def test_an_assertion_of_anybody_else_is_the_harness_own_fault(file: str) -> None:
    assert classify(raised_in(file), MUST)[0] is Outcome.ERROR


def test_broken_speaks_of_the_candidate_wherever_it_is_raised() -> None:
    assert classify(Broken("seen"), MUST) == (Outcome.FAILED, "seen")


@pytest.mark.parametrize("fault", [WorkerEnded, Hung, Misspoke, LoadFailed])
def test_a_fault_of_a_call_leaves_the_requirement_unmeasured_and_names_the_one_that_tells(
    fault: type,
) -> None:
    outcome, message = classify(fault("ended"), MUST)
    assert outcome is Outcome.NOT_EVIDENCED
    assert "see sdk." in message


def test_an_error_of_the_plugin_for_a_valid_request_breaks_it() -> None:
    assert classify(CallRefused("no", error_type="ValueError"), MUST)[0] is Outcome.FAILED


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
        execute(Order(plugin=str(folder), out=str(tmp_path / "out")), Silent())
    assert not (tmp_path / "out").exists()


def test_a_fault_quotes_of_a_worker_what_can_be_written_and_is_no_book() -> None:
    fault = Misspoke("\ud800" + "x" * 100_000)
    assert fault.message.startswith("\\ud800x")
    assert len(str(fault).encode()) < 3_000
