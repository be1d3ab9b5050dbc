"""`certify marks`: any image, every layer, no traceback for a user's mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certify.cli.main import main
from certify.instruments.marks.pixels.rivagan import judge_rivagan
from reference_engine.marking import Provider, marked_png
from tests.instruments.marks.photographs import soft

PROVIDER = Provider("Me", "Ink", "1.0", "001191110102MAD55U9H0F10002")


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    image = Image.fromarray(soft(1, 192, 256))
    data = marked_png(image, provider=PROVIDER, created="2026-11-24T10:00:00+00:00")
    (tmp_path / "marked.png").write_bytes(data)
    return tmp_path / "marked.png"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["marks", *words, "--json"]) in (0, 1)
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def states(row: dict[str, Any]) -> dict[str, str]:
    return {name: layer["state"] for name, layer in row["layers"].items()}


def test_a_marked_file_has_its_layers(marked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = told(capsys, str(marked))
    assert (row["width"], row["height"]) == (256, 192)
    assert states(row) == {
        "invisible": "present",
        "iptc": "present",
        "aigc": "present",
        "disclosure": "present",
        "credentials": "absent",
        "label": "not-checkable-here",
        "tool": "absent",
    }
    assert row["layers"]["invisible"]["facts"]["bits"] == "64 of 64"


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_a_copy_in_another_format_keeps_the_mark_in_its_pixels(
    marked: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = marked.with_suffix(f".{ending}")
    Image.open(marked).crop((5, 3, 250, 190)).save(copy, quality=85)
    (row,) = told(capsys, str(copy))
    assert states(row)["invisible"] == "present"
    assert states(row)["iptc"] == "absent"
    assert "cropped" in row["layers"]["invisible"]["facts"]["found"]


def test_xmp_in_a_jpeg_is_read(marked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = Image.open(marked)
    packet = image.info["XML:com.adobe.xmp"].encode()
    copy = marked.with_suffix(".jpg")
    image.save(copy, quality=90, xmp=packet)
    (row,) = told(capsys, str(copy))
    assert [states(row)[name] for name in ("iptc", "aigc", "disclosure")] == ["present"] * 3


def test_a_packet_behind_the_end_of_a_png_is_read_and_warned_about(
    marked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packet = Image.open(marked).info["XML:com.adobe.xmp"].encode()
    bare = marked.with_name("bare.png")
    Image.fromarray(np.asarray(Image.open(marked))).save(bare)
    bare.write_bytes(bare.read_bytes() + packet)
    (row,) = told(capsys, str(bare))
    assert states(row)["iptc"] == "present"
    assert "behind the end" in row["warnings"][0]


def test_the_table_says_each_layer_and_the_policy(marked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["marks", str(marked), "--policy", "us-ca-2026"]) == 0
    shown = capsys.readouterr().out
    assert "+ invisible    present" in shown
    assert "+ us-ca-2026 1: check passed" in shown
    assert main(["marks", str(marked), "--policy", "eu-2026"]) == 1
    assert "! eu-2026 1: credentials is required, but absent" in capsys.readouterr().out


def test_a_word_of_one_s_own_is_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    word = "0123456789abcdef"
    bits = [int(bit) for bit in f"{int(word, 16):064b}"]
    (tmp_path / "own.png").write_bytes(marked_png(Image.fromarray(soft(2, 192, 192)), bits=bits))
    assert states(told(capsys, str(tmp_path / "own.png"))[0])["invisible"] == "absent"
    (row,) = told(capsys, str(tmp_path / "own.png"), "--payload", word)
    assert "the named word" in row["layers"]["invisible"]["value"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing.png"], "cannot be read"),
        (["{note}"], "not a PNG, JPEG or WebP"),
        (["{broken}"], "longer than the file"),
        (["{jpeg}"], "cannot be decoded"),
        (["{marked}", "--payload", "zz"], "not hexadecimal"),
        (["{marked}", "--payload", "b3ec907bb19e", "--method", "rivaGan"], "has 32 bits"),
        (["{marked}", "--method", "dwtDct"], "needs a payload"),
        (["{marked}", "--size", "512"], "WIDTHxHEIGHT"),
        (["{marked}", "--size", "1x1"], "8 to 8192"),
        (["{marked}", "--trust", "{note}"], "no certificates"),
        (["{marked}", "--policy", "eu-2027"], "eu-2026"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    words: list[str], told: str, marked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name for name in ("note", "broken", "jpeg")}
    files["note"].write_text("no image")
    files["broken"].write_bytes(marked.read_bytes()[:5000])
    files["jpeg"].write_bytes(b"\xff\xd8\xff" + bytes(100))
    named = [word.format(marked=marked, **files) for word in words]
    assert main(["marks", *named]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said


def test_a_word_of_rivagan_needs_thirty_of_its_bits() -> None:
    payload = "da7e814c"
    bits = [int(bit) for bit in f"{int(payload, 16):032b}"]
    two_wrong = [1 - bit if number < 2 else bit for number, bit in enumerate(bits)]
    three_wrong = [1 - bit if number < 3 else bit for number, bit in enumerate(bits)]
    other = [bits[::-1]]
    assert judge_rivagan([two_wrong, *other], payload).state == "present"
    assert judge_rivagan([three_wrong, *other], payload).state == "absent"
    assert judge_rivagan([*other, bits], payload).facts["found"] == "mirrored"
