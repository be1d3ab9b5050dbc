"""What the suites decide by themselves, tried on made-up measurements."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from certify.instruments.leaks.judge import Sample
from certify.measure.checks import Broken, NotEvidenced
from certify.measure.soak.segment import Segment
from certify.measure.soak.strata import Strata
from certify.plan.catalogue import suites_root
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.faults import LoadFailed, PluginError, TimedOut
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.ledger import Ledger
from certify.sandbox.host.session import Event


def suite(name: str, file: str = "") -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"suite_{name}", suites_root() / name / f"test_{file or name}.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


soak_suite, contract_suite = suite("soak"), suite("contract")
security_suite, languages_suite = suite("security"), suite("languages")
platforms_suite = suite("platforms", "native")
MIB = 1 << 20
MANIFEST = SimpleNamespace(manifest=SimpleNamespace(plugin=SimpleNamespace(cache_entries=0)))


def a_soak(seconds: float = 86_400.0, leak: float = 0.0, fds: float = 0.0, samples: int = 160) -> Strata:
    """A soak of 100,000 calls; `leak` bytes and `fds` open files more a call."""
    calls = [round(100_000 * number / samples) for number in range(1, samples + 1)]
    rows = [
        Sample(
            call,
            seconds * call / 100_000,
            rss_anon=300 * MIB + int(leak * call),
            fds=9 + int(fds * call),
            threads=1,
            files=2,
            file_bytes=99,
        )
        for call in calls
    ]
    return Strata(Segment(samples=rows, calls=100_000, seconds=seconds))


def test_a_day_without_a_leak_passes() -> None:
    day = a_soak()
    soak_suite.test_a_day_without_a_leak(day)
    assert day.real.seconds == 86_400
    assert {verdict.verdict for verdict in day.real.verdicts} == {"CLEAN"}


def test_a_day_with_a_leak_is_broken() -> None:
    with pytest.raises(Broken, match="memory: grows in both phases"):
        soak_suite.test_a_day_without_a_leak(a_soak(leak=10_000))


def test_a_day_with_a_leak_of_handles_is_broken() -> None:
    with pytest.raises(Broken, match="fds"):
        soak_suite.test_a_day_without_a_leak(a_soak(fds=0.01))


@pytest.mark.parametrize("seconds", [0.0, 15.0, 86_399.9])
@pytest.mark.parametrize("leak", [0.0, 10_000.0])
def test_a_soak_shorter_than_a_day_says_nothing_of_a_day(seconds: float, leak: float) -> None:
    with pytest.raises(NotEvidenced, match="24 hours takes 24 hours"):
        soak_suite.test_a_day_without_a_leak(a_soak(seconds, leak))


def test_a_day_with_too_few_samples_is_undecided() -> None:
    with pytest.raises(NotEvidenced, match="Undecided"):
        soak_suite.test_a_day_without_a_leak(a_soak(samples=20))


def test_a_clean_soak_claims_what_it_did_and_keeps_the_curve(tmp_path: Path) -> None:
    claims: list[str] = []
    box = EvidenceBox(tmp_path, "leak.memory")
    soak_suite.test_memory_does_not_grow_with_calls(a_soak(61), box, claims.append)
    (claim,) = claims
    assert claim.startswith("soak, real engine: 61 s, 100000 calls after 12 of warm-up")
    assert claim.endswith(
        "smallest leak that it could detect: 80 B per call (1.3 MiB in 24 h at one call every 5 s)"
    )
    assert [item.name for item in box.items][:2] == [
        "memory, real engine",
        "share of time spent on measuring, real engine",
    ]


@pytest.mark.parametrize(("found", "outcome"), [(0.0, "did not detect the canary"), (10_000.0, "")])
def test_a_soak_that_misses_what_was_planted_is_no_evidence(
    tmp_path: Path, found: float, outcome: str
) -> None:
    soaked = a_soak()
    soaked.canaries["real"] = a_soak(leak=found).real.memory
    expected = pytest.raises(NotEvidenced, match=outcome) if outcome else nullcontext()
    with expected:
        box = EvidenceBox(tmp_path, "leak.memory")
        soak_suite.test_memory_does_not_grow_with_calls(soaked, box, lambda text: None)


def test_a_declared_cache_that_may_still_be_filling_is_no_leak_yet(tmp_path: Path) -> None:
    soaked = a_soak(leak=10_000)
    soaked.cache_entries = 30_000
    box = EvidenceBox(tmp_path, "leak.memory")
    with pytest.raises(NotEvidenced, match="a cache of 30000 entries"):
        soak_suite.test_memory_does_not_grow_with_calls(soaked, box, lambda text: None)


def test_a_declared_cache_that_grows_beyond_its_size_is_broken(tmp_path: Path) -> None:
    soaked = a_soak(leak=10_000)
    soaked.cache_entries = 20_000
    box = EvidenceBox(tmp_path, "leak.memory")
    with pytest.raises(Broken, match="grows in both phases"):
        soak_suite.test_memory_does_not_grow_with_calls(soaked, box, lambda text: None)


def test_a_day_in_which_the_machine_slept_is_no_day() -> None:
    soaked = a_soak()
    soaked.real.suspended = 60.0
    with pytest.raises(NotEvidenced, match="slept for 60 s"):
        soak_suite.test_a_day_without_a_leak(soaked)


def test_a_leaking_soak_shows_the_curve_of_what_leaks(tmp_path: Path) -> None:
    box = EvidenceBox(tmp_path, "leak.handles")
    with pytest.raises(Broken, match="fds: grows"):
        soak_suite.test_files_threads_and_processes_do_not_accumulate(a_soak(fds=0.01), box)
    assert (tmp_path / "evidence" / "leak.handles-fds-real-engine.csv").is_file()


def test_the_remedies_must_stand_in_their_order() -> None:
    good = ("Render in tiles.", 'Set memory_limit to "3GB".', "Start with medvram.")
    assert contract_suite._names_in_order(good)
    assert contract_suite._names_in_order((*good, "Buy memory."))
    assert not contract_suite._names_in_order((good[1], good[0], good[2]))
    assert not contract_suite._names_in_order(good[:2])
    assert not contract_suite._names_in_order(())


def test_a_refusal_catches_what_the_plugin_raises_and_nothing_else() -> None:
    for error in (PluginError("no", code="ERR_INVALID_PROMPT"), LoadFailed("no")):
        with contract_suite.Refusal() as refused:
            raise error
        assert refused.error is error
    with contract_suite.Refusal() as refused:
        pass
    assert refused.error is None
    with pytest.raises(TimedOut), contract_suite.Refusal():
        raise TimedOut("no answer")


def a_generation(**more: Any) -> Generation:
    request = {"prompt": "a 画", "width": 8, "height": 8}
    table: dict[str, Any] = {
        "request": request,
        "pixels": np.zeros((8, 8, 3), np.uint8),
        "png": b"",
        "facts": {},
    }
    return Generation(**{**table, "seconds": 0.1, "requirement": "made.up", **more})


@pytest.mark.parametrize(
    "test",
    [
        contract_suite.test_no_request_ended_the_process,
        contract_suite.test_every_request_was_answered_in_time,
        contract_suite.test_every_answer_was_an_image_of_the_requested_size,
    ],
)
def test_judgements_over_a_run_without_a_call_are_no_pass(
    tmp_path: Path, test: Callable[[Ledger, EvidenceBox], None]
) -> None:
    with pytest.raises(NotEvidenced, match="received no request"):
        test(Ledger(), EvidenceBox(tmp_path, "a.b"))
    test(Ledger(calls=1), EvidenceBox(tmp_path, "a.b"))


def test_an_image_of_another_size_is_broken(tmp_path: Path) -> None:
    ledger = Ledger(calls=1, generations=[a_generation(pixels=np.zeros((8, 16, 3), np.uint8))])
    with pytest.raises(AssertionError, match="Requested 8 x 8 pixels, received 16 x 8"):
        contract_suite.test_every_answer_was_an_image_of_the_requested_size(
            ledger, EvidenceBox(tmp_path, "a")
        )


def test_a_write_elsewhere_is_told_with_its_path(tmp_path: Path) -> None:
    ledger = Ledger(calls=1, events=[("sdk.same-seed", Event(kind="write", detail="/etc/x"))])
    run = SimpleNamespace(worker_root=tmp_path, is_filtered=True)
    with pytest.raises(AssertionError, match="1 writes outside the plugin's folders; the first: /etc/x"):
        security_suite.test_nothing_was_written_elsewhere(
            run, ledger, EvidenceBox(tmp_path, "security.writes")
        )


def test_a_write_to_its_own_files_is_an_attempt_to_change_itself(tmp_path: Path) -> None:
    event = Event(kind="write", detail=str(tmp_path / "plugin.py"), by="kernel", refused=True)
    run = SimpleNamespace(worker_root=tmp_path, is_filtered=True)
    ledger = Ledger(calls=1, events=[("sdk.same-seed", event)])
    security_suite.test_nothing_was_written_elsewhere(run, ledger, EvidenceBox(tmp_path, "security.writes"))
    assert security_suite._is_own(security_suite._seen(ledger, "write")[0], run)


@pytest.mark.parametrize("kind", ["signal", "kernel"])
def test_what_leads_out_of_its_process_is_told(tmp_path: Path, kind: Any) -> None:
    event = Event(kind=kind, detail="ptrace of process 1", by="kernel", refused=True)
    ledger = Ledger(calls=1, events=[("", event)])
    run = SimpleNamespace(worker_root=tmp_path, is_filtered=True)
    with pytest.raises(AssertionError, match="first: ptrace of process 1"):
        security_suite.test_the_plugin_stays_in_its_own_processes(
            run, ledger, EvidenceBox(tmp_path, "security_suite.stays-inside")
        )


def test_what_a_library_looks_for_is_not_private_and_a_key_is(tmp_path: Path) -> None:
    run = SimpleNamespace(worker_root=tmp_path, is_filtered=True)

    def judge(path: str) -> None:
        ledger = Ledger(calls=1, events=[("", Event(kind="read", detail=path, by="kernel"))])
        security_suite.test_no_private_file_was_read(
            run, ledger, EvidenceBox(tmp_path, "security_suite.private-files")
        )

    judge("/root/.config/matplotlib/matplotlibrc")
    with pytest.raises(AssertionError, match=r"first: /home/u/\.ssh/id_rsa"):
        judge("/home/u/.ssh/id_rsa")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (None, "contains no prompt"),
        ("a ?", r"as 'a \?'"),
        ("a 画 ", r"as 'a \\u753b '"),
    ],
)
def test_a_changed_prompt_is_reported(stored: str | None, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        languages_suite._compare("zh", a_generation(), stored, "PNG")
    languages_suite._compare("zh", a_generation(), "a 画", "PNG")


@pytest.mark.parametrize("key", ["prompt", "parameters"])
def test_a_prompt_counts_as_kept_in_any_text_of_the_png_that_holds_it_unchanged(key: str) -> None:
    kept = PngInfo()
    kept.add_itxt(key, "a 画\nSteps: 5, Sampler: Euler")
    changed = PngInfo()
    changed.add_itxt(key, "a ?\nSteps: 5")
    test = languages_suite.test_the_png_keeps_the_prompt
    test({"zh": a_generation(png=a_png(kept))})
    with pytest.raises(AssertionError):
        test({"zh": a_generation(png=a_png(changed))})


def a_png(texts: PngInfo) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=texts)
    return buffer.getvalue()


def declares(*systems: str) -> Any:
    return SimpleNamespace(manifest=SimpleNamespace(platforms=SimpleNamespace(os=list(systems))))


def test_only_systems_that_ran_are_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms_suite, "this_system", lambda: "linux")
    test = platforms_suite.test_every_declared_system_was_run_natively
    ran = Ledger(calls=1, generations=[a_generation()])
    claims: list[str] = []
    test(declares("linux"), ran, claims.append)
    with pytest.raises(NotEvidenced, match="not run natively: windows, macos"):
        test(declares("linux", "windows", "macos"), ran, claims.append)
    with pytest.raises(NotEvidenced, match="The plugin returned no image"):
        test(declares("linux"), Ledger(calls=1), claims.append)
    with pytest.raises(AssertionError, match="does not declare"):
        test(declares("windows"), ran, claims.append)
    assert claims[0] == "platforms: native run on linux; not run natively: none"
