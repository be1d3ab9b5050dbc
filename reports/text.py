"""The format of texts, numbers and times in a report; the same input always gives the same text."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone

CUT = "… (cut)"

# Control characters that could affect a reader's screen or clipboard: C0 without tab and newline, DEL and C1,
# bidirectional overrides, zero-width characters, lone surrogates, tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str, limit: int) -> str:
    """`text` with control characters escaped (`\\x1b`, `\\u202e`), cut after `limit` characters."""
    kept = text[: limit + 1].replace("\r\n", "\n")
    shown = _UNSEEN.sub(_escape, kept[:limit])
    return shown if len(text) <= limit else shown + CUT


def one_line(text: str) -> str:
    """Escapes line breaks in commands, which would run when they are pasted into a shell."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def number(value: str | int | float | bool, digits: int = 4) -> str:
    """`1840` -> `1,840`, `0.123456` -> `0.1235`, `True` -> `yes`; text stays as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and abs(value) >= 10**15:
        # Python refuses to write out integers of thousands of digits.
        return f"{'-' if value < 0 else ''}10^{int(math.log10(abs(value)))}"
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 1e15 and (value == int(value) or abs(value) >= 10**digits):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """`0.042` -> `42 ms`, `61` -> `1 min 1 s`, `86400` -> `24 h`."""
    if not math.isfinite(seconds) or seconds < 0:
        return "unknown"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    total = round(seconds)
    hours, minutes, rest = total // 3600, total % 3600 // 60, total % 60
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def moment(started: str) -> str:
    """An ISO 8601 time as `2026-11-24 11:13 UTC`; anything else unchanged."""
    try:
        when = datetime.fromisoformat(started.replace("Z", "+00:00"))
    except ValueError:
        return started
    if when.tzinfo is None:
        return when.strftime("%Y-%m-%d %H:%M")
    return when.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def short(digest: str) -> str:
    """`sha256:` and the first twelve hex digits."""
    kind, colon, digits = digest.rpartition(":")
    return digest if len(digits) <= 16 else f"{kind}{colon}{digits[:12]}…"
