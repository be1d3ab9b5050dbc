"""Results with every outcome and every kind of evidence, as a run would leave them."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

from certify.record.results import (
    Act,
    CandidateRow,
    CertifyRow,
    Isolation,
    Picture,
    RequirementResult,
    Results,
    Series,
    Text,
    Value,
    VerdictRow,
)
from certify.terms.outcomes import Outcome

SUITES = {
    "sdk": "SDK contract",
    "leak": "Memory over time",
    "languages": "Languages of prompts",
    "marks": "AI-generated mark",
    "licences": "Licences and LoRAs",
    "platforms": "Platforms",
}

_PASSED = {
    "sdk": ("loads", "defaults", "steps-range", "seed-repeats", "error-codes", "empty-prompt", "sizes"),
    "leak": ("file-handles", "threads", "steps-flat"),
    "languages": ("chinese", "english", "japanese", "mixed-scripts", "long-prompts", "emoji"),
    "marks": ("metadata", "source-type", "every-image", "faces-declared"),
    "licences": ("declared", "files-present", "model-terms", "lora-hash", "lora-licence"),
    "platforms": ("linux", "pure-python", "paths"),
}


def row(identifier: str, outcome: Outcome = Outcome.PASSED, **changes: Any) -> RequirementResult:
    """One requirement's row, with plain words wherever `changes` has none."""
    suite, _, slug = identifier.partition(".")
    usual: dict[str, Any] = {
        "id": identifier,
        "suite": suite,
        "level": "must",
        "outcome": outcome,
        "message": f"{slug.replace('-', ' ').capitalize()}: as demanded, in 12 of 12 cases.",
        "seconds": 0.42,
        "replay": f"certify replay runs/inkwash {identifier}",
        "attempts": 1,
        "title": slug.replace("-", " ").capitalize(),
        "sentence": f"A plugin MUST keep to what the SDK says about {slug.replace('-', ' ')}.",
        "source": ("B5",),
        "why": "A store's customers call the plugin the way the SDK documents it, and nothing else.",
        "fix": "Compare the call with the SDK's reference engine, which does it as documented.",
    }
    return RequirementResult(**(usual | changes))


def _slope() -> RequirementResult:
    points = tuple(
        (
            round(index * 61 / 149, 2),
            round(312 + index * 0.11 + 0.9 * math.sin(index / 3) + (index % 7) * 0.1, 3),
        )
        for index in range(150)
    )
    return row(
        "leak.memory-slope",
        Outcome.FAILED,
        title="Memory does not grow with use",
        sentence="A plugin MUST NOT keep more memory after each call than the run can tell from nothing.",
        message="Memory grew by 9.1 KiB a call over 1,840 calls (95 % interval 8.7 to 9.6 KiB).\n"
        "At that rate a day of continuous running adds about 1.2 GiB.",
        source=("F1", "D5"),
        seconds=61.2,
        why="A store lists a plugin only if it runs for 24 hours; a host that fills up takes all down.",
        fix="Look for a list or dictionary that outlives the call, most often a cache keyed by prompt; "
        "declare what is cached on purpose as cache_entries in plugin.toml.",
        evidence=(
            Value(name="Slope", value=9.142, unit="KiB a call"),
            Value(name="Smallest leak this run could see", value=3.1, unit="KiB a call"),
            Value(name="Calls", value=1840),
            Series(
                name="Resident memory",
                x_label="time (s)",
                y_label="memory (MiB)",
                points=points,
                file="evidence/memory.csv",
                summary="312 MiB at the start, 328 MiB at the end, no plateau.",
            ),
        ),
    )


def _failures() -> list[RequirementResult]:
    return [
        _slope(),
        row(
            "marks.survives-jpeg",
            Outcome.FAILED,
            title="The invisible mark can be read back",
            sentence="Every image MUST carry the declared invisible mark, readable after JPEG at quality 75.",
            message="The mark was read from 1 of 4 images; the others had 29 to 34 of 64 bits right.",
            source=("E4", "EU 2024/1689 Art. 50(2)"),
            seconds=3.9,
            evidence=(
                Value(name="Images with the mark", value="1 of 4"),
                Value(name="Bits right, worst image", value=29, unit="of 64"),
                Picture(
                    name="Case 2",
                    file="evidence/case-2.png",
                    width=64,
                    height=64,
                    caption="“a lighthouse in the rain”, 29 of 64 bits right.",
                ),
                Picture(
                    name="Case 3",
                    file="evidence/case-3.png",
                    width=256,
                    height=256,
                    caption="“밤의 바다”, 34 of 64 bits right.",
                ),
                Picture(name="Case 4", file="evidence/gone.png", width=256, height=256),
            ),
        ),
        row(
            "sdk.cancel",
            Outcome.FAILED,
            title="A cancelled call gives its memory back",
            message="TimeoutError: the worker did not answer within 60 s after the call was cancelled.",
            source=("B5", "A9"),
            attempts=2,
            seconds=62.0,
            evidence=(
                Text(
                    name="The worker's last lines",
                    text="Traceback (most recent call last):\n"
                    '  File "inkwash/plugin.py", line 88, in generate_image\n'
                    "    await self._lock.acquire()\n"
                    "asyncio.exceptions.CancelledError\n",
                ),
            ),
        ),
    ]


def _others() -> list[RequirementResult]:
    return [
        row(
            "sdk.timing",
            Outcome.ERROR,
            message="The harness lost its clock source; repeat the run.",
            seconds=0,
            evidence=(Text(name="The worker's last lines", text="ready"),),
        ),
        row("languages.korean", Outcome.FLAKY, message="Failed, then passed with the same seed.", attempts=2),
        row(
            "platforms.cuda-memory",
            Outcome.NOT_EVIDENCED,
            message="This machine has no CUDA device, and the profile demands one.",
            attempts=0,
            seconds=0,
        ),
        row(
            "marks.metadata-survives-resize",
            Outcome.WARNED,
            level="should",
            message="The XMP packet is gone after resizing with Pillow.",
        ),
        row(
            "licences.dependency-terms",
            Outcome.WAIVED,
            message="Waived until 2027-01-31 by store@example.org: the author has applied for a licence.",
        ),
        row(
            "marks.face-terms",
            Outcome.NOT_APPLICABLE,
            message="The plugin declares that it does not generate faces.",
            attempts=0,
            seconds=0,
        ),
        row(
            "platforms.macos",
            Outcome.NOT_EVIDENCED,
            counts=False,
            message="This machine is not a Mac; it counts from profile certified on.",
            attempts=0,
            seconds=0,
        ),
    ]


def _passed() -> list[RequirementResult]:
    rows = [row(f"{suite}.{slug}") for suite, slugs in _PASSED.items() for slug in slugs]
    proof = (
        Value(name="Largest difference between two runs", value=0, unit="of 255"),
        Value(name="Bit for bit equal", value=True),
    )
    return [
        found.model_copy(update={"evidence": proof}) if found.id == "sdk.seed-repeats" else found
        for found in rows
    ]


def sample(verdict: str = "REJECTED", /, **changes: Any) -> Results:
    """A run with every outcome; for `PASSED` and `CERTIFIED` one in which nothing went wrong."""
    wrong = {
        "REJECTED": _failures() + _others(),
        "ERROR": _others(),
        "INCOMPLETE": [found for found in _others() if found.outcome is not Outcome.ERROR],
    }
    rows = wrong.get(verdict, []) + _passed()
    reasons = {
        "PASSED": (),
        "CERTIFIED": (),
        "REJECTED": (
            "leak.memory-slope: Memory grew by 9.1 KiB a call over 1,840 calls (95 % interval 8.7 to 9.6).",
            "marks.survives-jpeg: The mark was read from 1 of 4 images.",
            "sdk.cancel: TimeoutError: the worker did not answer within 60 s after the call was cancelled.",
        ),
        "INCOMPLETE": (
            "languages.korean: Failed, then passed with the same seed.",
            "platforms.cuda-memory: This machine has no CUDA device, and the profile demands one.",
        ),
        "ERROR": ("sdk.timing: The harness lost its clock source; repeat the run.",),
    }
    codes = {"PASSED": 0, "CERTIFIED": 0, "REJECTED": 1, "INCOMPLETE": 3, "ERROR": 4}
    usual: dict[str, Any] = {
        "schema": 1,
        "certify": CertifyRow(version="0.1.0", spec_revision="2026.1", suite_digest="sha256:" + "5c" * 32),
        "candidate": CandidateRow(
            name="inkwash",
            version="1.0.0",
            digest="sha256:9f2c41d0a7b36e58" + "7d" * 24,
            kind="native",
            submission="plugins/inkwash",
        ),
        "profile": "certified" if verdict == "CERTIFIED" else "store",
        "seed": "8261944073",
        "environment": {
            "Python": "3.11.7",
            "System": "Linux 6.18 x86_64",
            "CPU": "2 cores",
            "GPU": "none",
            "torch": "2.13.0",
            "diffusers": "0.42.0",
        },
        "isolation": Isolation(
            level="L2",
            demanded="L2",
            acts=(
                Act(act="Write outside the work folder", stopped=True),
                Act(act="Read the user's SSH keys", stopped=True),
                Act(act="Open a TCP connection", stopped=True),
                Act(act="Send a UDP datagram", stopped=True),
                Act(act="Start 400 processes", stopped=False, note="ended by the watchdog after 0.3 s"),
            ),
        ),
        "planned": sum(found.attempts > 0 for found in rows),
        "verdict": VerdictRow.model_validate(
            {"name": verdict, "reasons": reasons[verdict], "exit_code": codes[verdict]}
        ),
        "claims": (
            "Soak: 61 s, 1,840 calls, accelerated; smallest leak that it could detect: 3.1 KiB per call.",
            "Images: 48 of 64x64 pixels at 5 steps, with the project's own tiny model.",
            "Prompts: 96 in four languages, drawn afresh for this run.",
            "Platforms: Linux was run; Windows and macOS were read from the package, not run.",
        ),
        "requirements": tuple(rows),
        "started": "2026-11-24T11:13:10+00:00",
        "seconds": 134.6,
        "suites": SUITES,
    }
    return Results.model_validate(usual | changes)


def write_evidence(folder: Path) -> None:
    """The files that `sample` names, but for `gone.png`."""
    evidence = folder / "evidence"
    evidence.mkdir(parents=True, exist_ok=True)
    (evidence / "case-2.png").write_bytes(png(64))
    (evidence / "case-3.png").write_bytes(png(256))
    (evidence / "memory.csv").write_text("seconds,mib\n0,312\n", "utf-8")


def png(size: int) -> bytes:
    """A square picture with soft colours."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    lines = (
        b"\0"
        + bytes(
            part
            for x in range(size)
            for part in (
                40 + 150 * y // size,
                70 + 120 * x // size,
                150 - 60 * ((x * 8 // size + y * 8 // size) % 2),
            )
        )
        for y in range(size)
    )
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(lines), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
