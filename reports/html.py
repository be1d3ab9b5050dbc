"""Renders results as the text of one self-contained HTML file."""

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

# The most characters of one text. A template may set a lower limit (so that texts above the verdict do not
# push it off the screen) or use the long one (messages and logs).
_USUAL_LIMIT = 1_000
_LONG_LIMIT = 8_000


def render_report(results: Results, folder: Path) -> str:
    """The report as one self-contained HTML file.

    Reads the images that the evidence names from the run's folder `folder`. An image that is missing,
    outside the folder, over 2 MiB, or beyond 5 MB in total is left out with a note. The same results and
    images give the same text.
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
    """The Content Security Policy: only the two blocks with these hashes may load or run."""
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
    """Makes every text of a template safe to show; Markup comes only from this package."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return text.visible(value, _USUAL_LIMIT)
    return value


def _cut(value: str, limit: int) -> Markup:
    return escape(text.visible(value, limit))


def _long(value: str) -> Markup:
    return _cut(value, _LONG_LIMIT)
