"""The soak of one's own function: real processes, the leaks and the innocents of the benchmark."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.leaks.cases import ALL, CLEAN, LEAKS
from certify.measure.soak.function import Leaks, Undecided, check, soak_function

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    "case", ["keeps_64_bytes", "leaks_a_descriptor_every_50th_call", "leaks_untouched_mappings"]
)
def test_a_leak_is_found_and_named(case: str) -> None:
    with pytest.raises(Leaks, match="grows in both phases"):
        check(ALL[case]())


@pytest.mark.parametrize("case", ["does_nothing", "fills_a_deque", "rotates_its_log"])
def test_a_function_that_gives_back_what_it_takes_is_clean(case: str) -> None:
    soak = check(ALL[case]())
    assert soak.calls >= 3_000
    assert {verdict.verdict for verdict in soak.verdicts} == {"CLEAN"}


def test_a_cache_that_is_not_full_yet_is_no_clean_function() -> None:
    with pytest.raises((Undecided, Leaks)):
        check(ALL["caches_without_bound"](), calls=1_000)


def test_files_of_the_function_are_counted_and_gone_afterwards(tmp_path: Path) -> None:
    record = tmp_path / "folder"

    def call() -> None:
        record.write_text(os.environ["TMPDIR"])
        (Path(os.environ["TMPDIR"]) / str(os.urandom(8).hex())).touch()

    soak = soak_function(call, calls=400)
    assert {verdict.resource for verdict in soak.verdicts if verdict.verdict == "LEAK"} == {"files"}
    assert not Path(record.read_text()).exists()


def test_a_process_that_ends_is_an_error() -> None:
    with pytest.raises(ChildProcessError, match="exited unexpectedly"):
        soak_function(lambda: os._exit(3))


def test_there_are_twenty_cases_of_each_kind() -> None:
    assert min(len(LEAKS), len(CLEAN)) >= 20
    assert len(ALL) == len(LEAKS) + len(CLEAN)


def test_the_fixture_soaks_in_an_authors_own_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pytest

        def test_good(soak):
            soak(lambda: None)

        @pytest.mark.soak(600)
        def test_bad(soak):
            soak(lambda: os.open(os.devnull, os.O_RDONLY))
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Leaks: after * calls, fds: *"])
