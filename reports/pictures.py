"""Evidence files: images as data: URIs, and links to files beside the report."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

PICTURE_LIMIT = 2 * 1024 * 1024
REPORT_LIMIT = 5_000_000
# The part of the report's limit for everything that is not an image.
_TEXT_SHARE = 500_000

# Formats are recognised by the first bytes, never by the name. SVG is excluded: it is a document, not pixels.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


@dataclass(frozen=True)
class Inlined:
    """An image for `src`, or an empty `source` and the reason in `note`."""

    source: Markup
    note: str = ""


class Album:
    """The images of a run's folder, inlined in the order of the calls until the report is full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._left = REPORT_LIMIT - _TEXT_SHARE

    def inline(self, file: str) -> Inlined:
        path = self._inside(file)
        if path is None:
            return Inlined(Markup(), f"Left out: {file} is not a file in the run's folder.")
        try:
            size = path.stat().st_size
            if size > PICTURE_LIMIT:
                return Inlined(
                    Markup(), f"Left out: {file} is {size / 2**20:.1f} MiB, over the limit of 2 MiB."
                )
            content = path.read_bytes()
        except OSError as error:
            return Inlined(Markup(), f"Left out: {file} could not be read ({error.strerror}).")
        media = _media_type(content)
        if not media:
            return Inlined(Markup(), f"Left out: {file} is not a PNG, JPEG, GIF or WebP image.")
        source = f"data:{media};base64,{base64.b64encode(content).decode('ascii')}"
        if len(source) > self._left:
            return Inlined(Markup(), f"Left out: with {file} the report would exceed 5 MB.")
        self._left -= len(source)
        return Inlined(Markup(source))

    def link(self, file: str) -> str:
        """A relative address for a file that exists inside the folder, else an empty string."""
        path = self._inside(file)
        return quote(path.relative_to(self._folder).as_posix()) if path else ""

    def _inside(self, file: str) -> Path | None:
        try:
            path = (self._folder / file).resolve()
            return path if path.is_relative_to(self._folder) and path.is_file() else None
        except (OSError, ValueError, RuntimeError):  # a NUL, a name too long, a loop of links
            return None


def _media_type(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media for start, media in _SIGNATURES if content.startswith(start)), "")
