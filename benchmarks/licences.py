"""Licence checks against ScanCode and spdx-matcher on the same texts: `python -m benchmarks.licences`.

    python -m benchmarks.licences --peers PYTHON

PYTHON is one with both peers in it (pip install scancode-toolkit-mini pluggy==1.5.0 typecode-libmagic
spdx-matcher): the licence texts come from ScanCode's own data, which is not where our templates come from.
Is each text told whole, altered or another's? Are the planted packages judged as stands beside them? What
does a plugin of 100 files and 5 LoRAs take, and what do hostile files? About two minutes, most of it
ScanCode's index.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from certify.candidate import read_candidate
from certify.cli.licences import findings
from certify.instruments.findings import Finding
from certify.instruments.licence_texts import matches_text
from certify.licensing.tree import CHECKS
from certify.record import Outcome
from certify.requirements import load_catalogue
from certify.submission import open_submission
from tests.defects.catalogue import SOUND, all_defects, sound
from tests.defects.lora import lora_file, safetensors

# SPDX identifier -> ScanCode's file of its text.
TEXTS = {
    "MIT": "mit", "Apache-2.0": "apache-2.0", "BSD-3-Clause": "bsd-new", "BSD-2-Clause": "bsd-simplified",
    "ISC": "isc", "Zlib": "zlib", "BSL-1.0": "boost-1.0", "Unlicense": "unlicense", "CC0-1.0": "cc0-1.0",
    "GPL-2.0-only": "gpl-2.0", "GPL-3.0-only": "gpl-3.0", "AGPL-3.0-only": "agpl-3.0",
    "LGPL-2.1-only": "lgpl-2.1", "MPL-2.0": "mpl-2.0", "EPL-2.0": "epl-2.0", "CC-BY-4.0": "cc-by-4.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0", "CC-BY-NC-4.0": "cc-by-nc-4.0", "CC-BY-NC-SA-4.0": "cc-by-nc-sa-4.0",
    "CreativeML-OpenRAIL-M": "stable-diffusion-2022-08-22",
}  # fmt: skip
LATEST = re.compile(r", update the Model through.*?latest version of the Model", re.DOTALL)
# ScanCode: whole is what it scores 98 and more; its own key for the RAIL stands for the identifier.
WHOLE_SCORE = 98
PEER = """
import json, sys
texts = json.load(sys.stdin)
found = {}
if sys.argv[1] == "scancode":
    from licensedcode.cache import get_index
    index = get_index()
    for name, text in texts.items():
        rows = index.match(query_string=text)
        found[name] = [[row.rule.spdx_license_expression(), row.score()] for row in rows]
else:
    import spdx_matcher
    for name, text in texts.items():
        found[name] = [[key, 100] for key in spdx_matcher.analyse_license_text(text)[0]["licenses"]]
json.dump(found, sys.stdout)
"""
SYNONYMS = {"LicenseRef-scancode-stable-diffusion-2022-08-22": "CreativeML-OpenRAIL-M"}


@dataclass(frozen=True)
class Case:
    """A text that is shipped as the text of `declared`; `whole` is the truth."""

    kind: str
    name: str
    declared: str
    text: str
    whole: bool


def text_cases(texts: dict[str, str]) -> Iterator[Case]:
    for name, text in texts.items():
        yield Case("whole", name, name, text, True)
    mit, apache, rail = texts["MIT"], texts["Apache-2.0"], texts["CreativeML-OpenRAIL-M"]
    plus = LATEST.sub("", rail).replace("CreativeML Open RAIL-M", "CreativeML Open RAIL++-M License")
    yield Case("whole", "++-M", "OpenRAIL++-M", plus, True)
    yield Case(
        "whole", "MIT with a holder", "MIT", "Copyright (c) 2026 Jane Doe <jane@example.org>\n\n" + mit, True
    )
    yield Case("whole", "MIT as comments", "MIT", "".join(f"# {line}\n" for line in mit.splitlines()), True)
    yield Case("whole", "GPL reflowed", "GPL-3.0-only", " ".join(texts["GPL-3.0-only"].split()), True)
    yield Case("whole", "Apache in capitals", "Apache-2.0", apache.upper(), True)
    bsd, cc_by = texts["BSD-3-Clause"], texts["CC-BY-4.0"]
    gpl2, gpl3 = texts["GPL-2.0-only"], texts["GPL-3.0-only"]
    lgpl, mpl, rail_id = texts["LGPL-2.1-only"], texts["MPL-2.0"], "CreativeML-OpenRAIL-M"
    for name, declared, text in (
        ("MIT, nothing granted", "MIT", mit.replace("hereby granted", "hereby not granted")),
        ("MIT without warranty clause", "MIT", mit[: mit.upper().index("THE SOFTWARE IS")]),
        ("MIT, non-commercial", "MIT", mit + "\nThe Software is for non-commercial use only."),
        ("MIT, research only", "MIT", mit.replace("to deal in", "for research only, to deal in")),
        ("Apache with Commons Clause", "Apache-2.0", "Commons Clause License Condition v1.0\n" + apache),
        ("Apache without patents", "Apache-2.0", _without(apache, "3. Grant of Patent", "4. Redistribution")),
        ("GPL-3 without section 7", "GPL-3.0-only", _without(gpl3, "7. Additional Terms", "8. Termination")),
        ("GPL-2, half", "GPL-2.0-only", gpl2[: len(gpl2) // 2]),
        (
            "LGPL, a sentence more",
            "LGPL-2.1-only",
            lgpl.replace("Preamble", "You may not sell the Library.", 1),
        ),
        ("MPL, one word", "MPL-2.0", mpl.replace("You may distribute", "You may never distribute", 1)),
        ("CC-BY, non-commercial", "CC-BY-4.0", cc_by + "\nNo commercial use."),
        (
            "BSD-3, clause 2 gone",
            "BSD-3-Clause",
            _without(bsd, "Redistributions in binary", "Neither the name"),
        ),
        ("RAIL without Attachment A", rail_id, rail[: rail.rindex("Attachment A")]),
        ("RAIL, 10 of 11", rail_id, re.sub(r".*medical advice.*\n?", "", rail)),
        ("RAIL, softened", rail_id, rail.replace("harass others;", "harass others, except for a fee;")),
        ("RAIL, paragraph 4b gone", rail_id, re.sub(r".*a copy of this License;\n?", "", rail)),
        ("M titled ++-M", "OpenRAIL++-M", rail.replace("Open RAIL-M", "Open RAIL++-M")),
    ):
        if text == texts.get(declared):
            raise ValueError(f"{name}: nothing was altered")
        yield Case("altered", name, declared, text, False)
    for declared, other in (
        ("Apache-2.0", "MIT"),
        ("MIT", "GPL-3.0-only"),
        ("MIT", "ISC"),
        ("GPL-3.0-only", "AGPL-3.0-only"),
        ("LGPL-2.1-only", "GPL-2.0-only"),
        ("CC-BY-4.0", "CC-BY-NC-4.0"),
        ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"),
        ("CC0-1.0", "Unlicense"),
        ("BSD-3-Clause", "BSD-2-Clause"),
        ("OpenRAIL++-M", "CreativeML-OpenRAIL-M"),
    ):
        yield Case("swapped", f"{other} as {declared}", declared, texts[other], False)
    yield Case(
        "missing", "an address alone", "Apache-2.0", "See https://www.apache.org/licenses/LICENSE-2.0.", False
    )
    yield Case(
        "missing", "a header alone", "GPL-3.0-only", "This program is free software: GPL version 3.", False
    )


def _without(text: str, begin: str, end: str) -> str:
    """Raises ValueError where a phrase is not there: a case that changes nothing is none."""
    at = text.index(begin)
    return text[:at] + text[text.index(end, at) :]


def read_texts(python: str) -> dict[str, str]:
    """From ScanCode's data, without its front matter."""
    where = "import licensedcode, os; print(os.path.dirname(licensedcode.__file__))"
    folder = Path(subprocess.check_output([python, "-c", where], text=True).strip(), "data", "licenses")
    texts = {name: (folder / f"{key}.LICENSE").read_text("utf-8") for name, key in TEXTS.items()}
    return {
        name: re.sub(r"\A---\n.*?^---\n+", "", text, flags=re.DOTALL | re.MULTILINE)
        for name, text in texts.items()
    }


def ask_peer(python: str, peer: str, cases: list[Case]) -> dict[str, bool]:
    """Whether the peer says that a text is the whole of the declared licence."""
    texts = {case.name: case.text for case in cases}
    ran = subprocess.run(
        [python, "-c", PEER, peer], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    found = json.loads(ran.stdout)
    return {case.name: _says_whole(case, found[case.name]) for case in cases}


def _says_whole(case: Case, rows: list[tuple[str, float]]) -> bool:
    def plain(name: str) -> str:
        return re.sub("-(only|or-later)$", "", SYNONYMS.get(name, name))

    return any(plain(key) == plain(case.declared) and score >= WHOLE_SCORE for key, score in rows)


def compare_texts(python: str) -> None:
    cases = list(text_cases(read_texts(python)))
    started = time.perf_counter()
    ours = {case.name: matches_text(case.declared, case.text).state in ("matches", "near") for case in cases}
    seconds = time.perf_counter() - started
    answers = {"certify": ours}
    for peer in ("scancode", "spdx-matcher"):
        answers[peer] = ask_peer(python, peer, cases)
    print(f"{len(cases)} texts; certify took {seconds:.2f} s\n")
    print(f"{'text':<10} {'cases':>5} " + " ".join(f"{name:>13}" for name in answers))
    kinds = list(dict.fromkeys(case.kind for case in cases))
    for kind in [*kinds, "all"]:
        rows = [case for case in cases if kind in (case.kind, "all")]
        right = [sum(answer[case.name] == case.whole for case in rows) for answer in answers.values()]
        print(f"{kind:<10} {len(rows):>5} " + " ".join(f"{count:>13}" for count in right))
    for name, answer in answers.items():
        wrong = [case.name for case in cases if answer[case.name] != case.whole]
        print(f"wrong in {name}: {', '.join(wrong) or 'none'}")


def judge_packages() -> None:
    """The defects and twins of the suite, judged by their files alone."""
    catalogue = load_catalogue()
    level = {row.id: row.level for row in catalogue.requirements}
    static = [
        defect for defect in all_defects() if defect.suite == "licensing" and defect.file.suffix == ".toml"
    ]
    right, wrong, twins = 0, [], 0
    for defect in [sound(), *static]:
        with tempfile.TemporaryDirectory(prefix="licences-") as scratch:
            folder = defect.build(Path(scratch, "plugin"))
            candidate = read_candidate(open_submission(folder, Path(scratch, "staged")))
            found = findings(candidate, catalogue)
        broken = {name for name, hits in found.items() if _breaks(level[name], hits)}
        bad = (Outcome.FAILED, Outcome.WARNED)
        expected = {name for name, outcome in defect.expected.items() if outcome in bad and name in CHECKS}
        twins += not expected
        right += broken == expected
        if broken != expected:
            wrong.append(f"{defect.name}: {sorted(broken ^ expected)}")
    total = len(static) + 1
    print(f"\n{total} planted packages ({twins} benign): {right} judged exactly as expected")
    print("\n".join(wrong))


def _breaks(level: str, hits: list[Finding]) -> bool:
    return any(hit.band == "A" or (hit.band == "B" and level == "should") for hit in hits)


def time_a_plugin() -> None:
    """100 files, 5 LoRAs of 2 MB, from a fresh process."""
    with tempfile.TemporaryDirectory(prefix="licences-") as scratch:
        folder = Path(scratch, "plugin")
        shutil.copytree(SOUND, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for number in range(5):
            (folder / "loras" / f"more-{number}.safetensors").write_bytes(lora_file(768, "kohya", 1024))
        for number in range(95):
            text = f"# SPDX-License-Identifier: MIT\nVALUE = {number}\n" * 40
            (folder / "sound" / f"part_{number}.py").write_text(text, "utf-8")
        command = [sys.executable, "-m", "certify", "licences", str(folder)]
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run(command, capture_output=True, check=False)
            seconds.append(time.perf_counter() - started)
        count = sum(path.is_file() for path in folder.rglob("*"))
    print(f"\n{count} files with 6 LoRAs: median {statistics.median(seconds):.2f} s (goal: under 3 s)")


def hostile() -> None:
    """Each as its own plugin: what is told, how long it takes, and the most memory."""
    print(f"\n{'hostile input':<34} {'exit':>4} {'seconds':>8} {'MiB':>6}  told")
    for name, plant in HOSTILE.items():
        with tempfile.TemporaryDirectory(prefix="licences-") as scratch:
            folder = Path(scratch, "plugin")
            shutil.copytree(SOUND, folder, ignore=shutil.ignore_patterns("__pycache__"))
            plant(folder)
            _mend_hash(folder)
            code, text, seconds, most = _measured([sys.executable, "-m", "certify", "licences", str(folder)])
        told = [line for line in text.splitlines() if re.match(r"[✗!]|certify:", line)]
        trouble = "TRACEBACK " if "Traceback" in text else ""
        print(
            f"{name:<34} {code:>4} {seconds:>8.2f} {most:>6.0f}  {trouble}{(told or ['nothing'])[-1][:120]}"
        )


_LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(f"most {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}")
sys.exit(code)
"""


def _mend_hash(folder: Path) -> None:
    """Writes the planted LoRA's hash into the manifest: that it is another file is not what is tried here."""
    file, manifest = folder / "loras" / "sound.safetensors", folder / "plugin.toml"
    if file.is_file():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        manifest.write_text(
            re.sub('sha256 = "[0-9a-f]{64}"', f'sha256 = "{digest}"', manifest.read_text("utf-8")), "utf-8"
        )


def _measured(command: list[str]) -> tuple[int, str, float, float]:
    """Exit code, what was said, seconds and the most memory in MiB of one process."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        started = time.perf_counter()
        # By way of a small process, for a fork begins with the memory of the one that forked.
        code = subprocess.call([sys.executable, "-c", _LAUNCHER, *command], stdout=said, stderr=said)
        seconds = time.perf_counter() - started
        said.seek(0)
        text = said.read()
    return code, text, seconds, int(re.findall(r"^most (\d+)$", text, re.MULTILINE)[-1]) / 1024


def _huge_header(folder: Path) -> None:
    data = b'{"__metadata__":{"a":"' + b"x" * (100 << 20) + b'"}}'
    (folder / "loras" / "sound.safetensors").write_bytes(len(data).to_bytes(8, "little") + data)


def _overlap(folder: Path) -> None:
    whole = safetensors({"a.attn2.to_k.lora_A.weight": (1, 768), "a.attn2.to_k.lora_B.weight": (320, 1)})
    (folder / "loras" / "sound.safetensors").write_bytes(whole.replace(b"[1536, 2176]", b"[1000, 1640]"))


def _bomb(folder: Path) -> None:
    import zipfile

    with zipfile.ZipFile(folder / "loras" / "sound.safetensors", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights", bytes(256 << 20))


def _loop(folder: Path) -> None:
    (folder / "sound" / "again").symlink_to(folder, target_is_directory=True)


def _gone(folder: Path) -> None:
    for file in ("LICENSE", "LICENSE-MODEL", "AGREEMENT.md", "loras/LICENSE", "loras/sound.safetensors"):
        (folder / file).unlink()


def _utf_16(folder: Path) -> None:
    text = (folder / "LICENSE-MODEL").read_text("utf-8")
    (folder / "LICENSE-MODEL").write_bytes(
        text.replace("harass others;", "harass others for money;").encode("utf-16")
    )


def _yaml(folder: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    (folder / "README.md").write_text("---\n" + "\n".join(lines) + "\nlicense: mit\n---\n", "utf-8")


def _includes(folder: Path) -> None:
    (folder / "requirements.txt").write_text("-r requirements.txt\n-r ../../etc/passwd\nnumpy<3\n", "utf-8")


HOSTILE = {
    "JSON header of 100 MB": _huge_header,
    "overlapping offsets": _overlap,
    "zip bomb named .safetensors": _bomb,
    "symlink loop": _loop,
    "altered licence in UTF-16": _utf_16,
    "manifest naming missing files": _gone,
    "front matter that unfolds": _yaml,
    "requirements that include themselves": _includes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peers", help="a Python with scancode-toolkit-mini and spdx-matcher")
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.2f}, {os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    if arguments.peers:
        compare_texts(arguments.peers)
    else:
        print("No --peers PYTHON: the texts, which are ScanCode's, and its answers are left out.")
    judge_packages()
    time_a_plugin()
    hostile()


if __name__ == "__main__":
    main()
