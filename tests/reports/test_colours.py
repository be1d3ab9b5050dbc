"""Text is readable in both themes: WCAG 2.2, 1.4.3, at least 4.5 to 1."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from certify.reports import html

TONES = ("passed", "failed", "error", "flaky", "warned", "not-evidenced", "waived", "not-applicable")


def themes() -> tuple[dict[str, str], dict[str, str]]:
    style = (Path(html.__file__).parent / "styles" / "report.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)[:2]
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", block)) for block in blocks)
    return light, dark


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_every_pair_of_text_and_ground_has_enough_contrast(theme: dict[str, str]) -> None:
    grounds = ("ground", "sheet", "sunken")
    pairs = [(text, ground) for text in ("ink", "quiet", "link") for ground in grounds]
    pairs += [(tone, ground) for tone in TONES for ground in ("ground", "sheet", f"{tone}-tint")]
    pairs += [(text, f"{tone}-tint") for tone in TONES for text in ("ink", "quiet")]
    pairs.append(("sheet", "ink"))
    poor = {pair: round(contrast(*(theme[name] for name in pair)), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in poor.items() if ratio < 4.5} == {}
