"""Browser scripts, checked by regular expressions: there is no JavaScript parser here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from itertools import islice

from certify.instruments.findings import Finding
from certify.text import safe

from . import hosts
from .decoding import peel
from .rules import RULES

SUFFIXES = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".html", ".htm", ".vue", ".svelte")
MAX_SCRIPT = 16 << 20  # bundles and pages with their images inside are larger than sources

_COMMENT = re.compile(r"(?:^|(?<=[\s;{}]))//[^\n]*")
_EACH = 50  # findings of a rule in a file
_EVAL = re.compile(r"(?<![\w.$])(eval|(?:new\s+)?Function)\s*\(\s*(?!\s*[\"']return this)")
_HIDDEN = re.compile(
    r"(?<![\w.$])(?:eval|Function)\s*\(\s*(?:window\.)?(?:atob|unescape|decodeURIComponent|String\.fromCharCode)\s*\("
)
_TIMER = re.compile(r"(?<![\w.$])(setTimeout|setInterval)\s*\(\s*[\"'`]")
_CALL = re.compile(
    r"(?:fetch|axios(?:\.\w+)?|importScripts|import|new\s+WebSocket|new\s+EventSource|sendBeacon)\s*\(\s*[\"'`]([^\"'`\n]{1,500})"
    r"|\.open\s*\(\s*[\"'`]\w+[\"'`]\s*,\s*[\"'`]([^\"'`\n]{1,500})|<script[^>]{0,200}\ssrc\s*=\s*[\"']([^\"']{1,500})"
    r"|\bfrom\s+[\"'](https?://[^\"']{1,500})"
)
_LONG = re.compile(r"[\"'`]([A-Za-z0-9+/=_-]{200,})[\"'`]")
_SCRAMBLED = re.compile(r"\b_0x[0-9a-f]{4,6}\b")
_BEFORE_HOSTS = tuple("\"'`/@.")  # `file.io = 1` is code
_CODE = re.compile(rb"\b(function|document|window|eval|fetch|XMLHttpRequest|require)\b")


def check_script(text: str, file: str, declared: Set[str]) -> list[Finding]:
    """Findings of a script, sorted; `declared` are the hosts that its manifest declares."""
    return sorted(set(_findings(text[:MAX_SCRIPT], file, declared)))


def _findings(text: str, file: str, declared: Set[str]) -> Iterator[Finding]:
    code = _COMMENT.sub("", _without_blocks(text))

    def finding(rule: str, at: int, what: str) -> Finding:
        row = RULES[rule]
        line = code.count("\n", 0, at) + 1
        snippet = safe(code[max(0, at - 40) : at + 120])
        return Finding(file, line, rule, row.says.format(what=what), row.band, snippet, row.fix)

    for match in islice(_HIDDEN.finditer(code), _EACH):
        yield finding("hidden-code", match.start(), match.group().partition("(")[0].strip() + "()")
    for match in (*islice(_EVAL.finditer(code), _EACH), *islice(_TIMER.finditer(code), _EACH)):
        if not _HIDDEN.match(code, match.start()) and not code.endswith("function ", 0, match.start()):
            yield finding("script-eval", match.start(), match.group(1) + "()")
    for match in islice(_LONG.finditer(code), _EACH):
        under = peel(match.group(1))
        if under is not None and under != match.group(1).encode() and len(_CODE.findall(under[:20_000])) > 2:
            yield finding("encoded-code", match.start(), "a script")
    if len(scrambled := _SCRAMBLED.findall(code)) > 20:
        yield finding("encoded-code", code.find(scrambled[0]), "names made by an obfuscator")
    for match in islice(_CALL.finditer(code), _EACH):
        address = next(filter(None, match.groups()), "")
        for host in hosts.named_in(address):
            if host not in declared:
                yield finding("host-undeclared", match.start(), host)
    for match in islice(hosts.DROPS.finditer(code), _EACH):
        is_host = code[max(0, match.start() - 1) : match.start()] in _BEFORE_HOSTS
        if is_host and hosts.host_of(match.group()) not in declared:
            yield finding("drop-address", match.start(), match.group())


def _without_blocks(text: str) -> str:
    """The text without `/* ... */`; line breaks stay. A single pass: a hostile script opens many comments."""
    kept, at = [], 0
    while (begin := text.find("/*", at)) >= 0 and (end := text.find("*/", begin + 2)) >= 0:
        kept += [text[at:begin], "\n" * text.count("\n", begin, end)]
        at = end + 2
    return "".join([*kept, text[at:]])
