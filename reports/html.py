"""Rendering: results in, the text of one HTML file out, with nothing to load from anywhere."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from certify.record.results import Results

from . import charts, text
from .view import build

_HERE = Path(__file__).parent

# Characters of any one text. A template may ask for less (what stands above the verdict must never push it
# off the screen), or for the longer one (messages and logs).
_USUAL_LIMIT = 1_000
_LONG_LIMIT = 8_000


def render_report(results: Results, folder: Path) -> str:
    """The report as one self-contained HTML file.

    Reads pictures named by the evidence from below `folder` (the run's own); one that is missing,
    outside it, over 2 MiB, or past 5 MB in all is left out with a note. The same results and pictures
    give the same text.
    """
    style = _read("styles/report.css")
    script = _read("styles/report.js")
    page = _environment().get_template("report.html.jinja")
    return page.render(
        report=build(results, folder),
        results=results,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )


def _read(name: str) -> str:
    return (_HERE / name).read_text("utf-8").strip()


def _policy(style: str, script: str) -> str:
    """Content Security Policy: nothing may load or run but the two blocks with these hashes."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(block: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(block.encode()).digest()).decode("ascii")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        cut=_cut,
        long=_long,
        one_line=text.one_line,
        short=text.short,
        number=text.number,
        duration=text.duration,
        moment=text.moment,
    )
    environment.globals.update(frame=charts, plural=text.plural)
    return environment


def _shown(value: Any) -> Any:
    """Every text that a template writes passes here, so none can be forgotten; Markup is our own."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return text.visible(value, _USUAL_LIMIT)
    return value


def _cut(value: str, limit: int) -> Markup:
    return escape(text.visible(value, limit))


def _long(value: str) -> Markup:
    return _cut(value, _LONG_LIMIT)
