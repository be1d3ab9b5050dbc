"""The weights that were opened in a run, held against the manifest."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from certify.candidate.candidate import Candidate, read_candidate
from certify.measure.licensing.opened_weights import Opened, Places, judge, left_behind
from certify.sandbox.host.opened_files import Glance
from certify.submission.submission import open_submission
from tests.defects.catalogue import SOUND
from tests.defects.lora import lora_file, safetensors

OTHER = lora_file(rank=2)
EMBEDDING = safetensors({"emb_params": (1, 768)})
SOUNDS = "loras/sound.safetensors"


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SOUND, tmp_path / "sound", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def candidate(plugin: Path, tmp_path: Path) -> Candidate:
    (plugin / "sound" / "table.bin").write_bytes(OTHER)
    (plugin / "sound" / "words.safetensors").write_bytes(EMBEDDING)
    (plugin / "sound" / "numbers.bin").write_bytes(bytes(64))
    return read_candidate(open_submission(plugin, tmp_path / "staged"))


@pytest.fixture
def places(plugin: Path, tmp_path: Path) -> Places:
    for name in ("packages", "model", "worker"):
        (tmp_path / name).mkdir()
    return Places(plugin, tmp_path / "packages", (tmp_path / "model",), frozenset({"f" * 64}))


def bands(candidate: Candidate, places: Places, *opened: Opened) -> list[tuple[str, str]]:
    return [(row.rule, row.band) for row in judge(candidate, opened, places)]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (SOUNDS, []),
        ("sound/table.bin", [("undeclared-lora", "A")]),
        ("sound/words.safetensors", [("undeclared-weights", "A")]),
        ("sound/numbers.bin", []),
    ],
)
@pytest.mark.parametrize("what", ["named", "weights"])
def test_of_the_package_the_judges_own_copy_is_asked(
    candidate: Candidate, places: Places, file: str, expected: list[tuple[str, str]], what: str
) -> None:
    opened = Opened.of_event(f"{what} - {places.root / file}", by_kernel=what != "named")
    assert opened is not None
    assert bands(candidate, places, opened) == expected


def test_what_was_given_may_be_opened(candidate: Candidate, places: Places, tmp_path: Path) -> None:
    declared = candidate.manifest.loras[0].sha256
    for path, digest in (
        (tmp_path / "model" / "unet.safetensors", ""),
        (tmp_path / "worker" / "copy", declared),
        (tmp_path / "worker" / "handed", "f" * 64),
    ):
        assert bands(candidate, places, Opened(str(path), "LoRA", digest, by_kernel=True)) == []


def test_what_came_to_be_in_the_run_is_found_though_it_is_gone(
    candidate: Candidate, places: Places, tmp_path: Path
) -> None:
    gone = str(tmp_path / "worker" / "gone.pt")
    assert bands(candidate, places, Opened(gone, "LoRA", "0" * 64, True)) == [("undeclared-lora", "A")]
    assert bands(candidate, places, Opened(gone, "weights", "", True)) == [("undeclared-weights", "B")]
    # A word of the watch alone: the engine's loader saw a LoRA; a name proves nothing.
    assert bands(candidate, places, Opened(gone, "LoRA")) == [("undeclared-lora", "A")]
    assert bands(candidate, places, Opened(gone, "named")) == [("not-looked-at", "B")]


def test_a_name_of_weights_on_other_data_clears_itself(
    candidate: Candidate, places: Places, tmp_path: Path
) -> None:
    table = tmp_path / "worker" / "table.bin"
    table.write_bytes(bytes(100))
    assert bands(candidate, places, Opened(str(table), "named")) == []
    table.write_bytes(OTHER)
    assert bands(candidate, places, Opened(str(table), "named")) == [("undeclared-lora", "A")]


def test_a_dependencys_weights_are_told_and_its_lora_rejects(
    candidate: Candidate, places: Places, tmp_path: Path
) -> None:
    for name, data in (("net.safetensors", EMBEDDING), ("style.safetensors", OTHER)):
        (tmp_path / "packages" / name).write_bytes(data)
    opened = [
        Opened(str(tmp_path / "packages" / name), "weights", "", True)
        for name in ("net.safetensors", "style.safetensors")
    ]
    assert bands(candidate, places, *opened) == [("undeclared-lora", "C"), ("undeclared-lora", "A")]


@pytest.mark.parametrize("text", ["", "LoRA", "LoRA -", "pickle - /x", "LoRA - "])
def test_an_event_out_of_form_is_none(text: str) -> None:
    assert Opened.of_event(text, by_kernel=False) is None


def test_the_watch_cannot_vouch_by_a_hash() -> None:
    detail = f"LoRA {'f' * 64} /x"
    assert Opened.of_event(detail, by_kernel=False) == Opened("/x", "LoRA")
    assert Opened.of_event(detail, by_kernel=True) == Opened("/x", "LoRA", "f" * 64, True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_is_left_behind_is_found_without_waiting_or_following(tmp_path: Path) -> None:
    folder = tmp_path / "worker-1" / "tmp"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(OTHER)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "numbers").write_bytes(bytes(100))
    (folder / "x.cache").write_bytes(OTHER)
    os.mkfifo(folder / "pipe")
    digest = sha256(OTHER).hexdigest()
    (only,) = left_behind(tmp_path / "worker-1", frozenset())
    assert (only.path, only.what, only.digest) == (str(folder / "x.cache"), "LoRA", digest)
    assert left_behind(tmp_path / "worker-1", frozenset({digest})) == []


def test_a_glance_tells_a_lora_once_whatever_it_is_called(tmp_path: Path) -> None:
    look = Glance()
    descriptions = []
    for name, data in (("a", OTHER), ("b", OTHER), ("c", EMBEDDING), ("d", bytes(100)), ("a", OTHER)):
        (tmp_path / name).write_bytes(data) if not (tmp_path / name).exists() else None
        with (tmp_path / name).open("rb") as stream:
            descriptions.append(look(stream))
    lora = f"LoRA {sha256(OTHER).hexdigest()}"
    assert descriptions == [lora, "", "weights -", "", lora]
