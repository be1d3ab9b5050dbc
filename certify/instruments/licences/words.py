"""Texts as words, without layout, quotes, comment signs and spelling variants (SPDX 2.3, annex B).

Kept apart from the matching because the templates are made with the same rules.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from html import unescape

_ADDRESS = re.compile(
    r"(?:https?|ftp)://[^\s>)\]\"']+|\bwww\.[^\s>)\]\"']+|\b[a-z][\w-]*(?:\.[a-z][\w-]+)+/[^\s>)\]\"']+"
)
_MAIL = re.compile(r"<?[\w.+-]+@[\w-]+(?:\.[\w-]+)+>?")
_SIGN = re.compile(r"\(c\)|\u00a9|&copy;")
_HYPHENATED = re.compile(r"(?<=[^\W\d_])-[ \t]*\n\s*(?=[^\W\d_])")
_JOINED = re.compile(r"\b(non|sub)[- ](?=commercial|profit|licen[cs]e)")
_WORD = re.compile(r"[^\W_]+(?:\+\+)?")
_RUN = 6
# Annex B.9 ("varietal word spelling"), as far as licences differ in them.
_SPELLINGS = {
    "licence": "license",
    "licences": "licenses",
    "licenced": "licensed",
    "sublicence": "sublicense",
    "acknowledgement": "acknowledgment",
    "acknowledgements": "acknowledgments",
    "judgement": "judgment",
    "fulfil": "fulfill",
    "programme": "program",
    "recognised": "recognized",
    "utilisation": "utilization",
    "authorisation": "authorization",
    "authorised": "authorized",
    "favour": "favor",
    "organisation": "organization",
    "whilst": "while",
    "wilful": "willful",
    "owner": "holder",
    "owners": "holders",
    "ownership": "holdership",
    "percent": "per",
}


def words_of(text: str) -> list[str]:
    """Lower-case words in order; `++` stays on its word, addresses and the copyright sign are left out."""
    plain = _SIGN.sub(" ", _MAIL.sub(" ", _ADDRESS.sub(" ", unescape(text.lower()))))
    plain = _JOINED.sub(r"\1", _HYPHENATED.sub("", plain)).replace("\u2019", "").replace("'", "")
    return [_SPELLINGS.get(word, word) for word in _WORD.findall(plain)]


def normalise(text: str) -> str:
    """The words with single spaces between."""
    return " ".join(words_of(text))


def shingles(words: Sequence[str]) -> set[int]:
    """A hash for each run of six words."""
    return {zlib.crc32(" ".join(words[at : at + _RUN]).encode()) for at in range(len(words) - _RUN + 1)}
