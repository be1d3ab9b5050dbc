"""The filter of sensitive words, for text of any language and with disguised spellings."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import regex

SENSITIVE_WORDS = (
    "child porn",
    "child pornography",
    "child sexual abuse",
    "csam",
    "loli porn",
    "bestiality",
    "zoophilia",
    "necrophilia",
    "revenge porn",
    "snuff film",
    "儿童色情",
    "兒童色情",
    "人兽性交",
    "人獸性交",
    "尸奸",
    "児童ポルノ",
    "獣姦",
    "屍姦",
    "아동 포르노",
    "아동 음란물",
    "수간 포르노",
)
"""Refused by default, in the four languages that a store requires. A configuration adds to the list or
replaces it.
"""

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Myanmar}\p{Khmer}ー"
"""Scripts in which a word has no space before it or after it (Korean: particles follow without one)."""
_HAS_UNSPACED = regex.compile(f"[{_UNSPACED}]")
_SPACED_LETTER = rf"[\w--[{_UNSPACED}]]"
_INVISIBLE = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cf}\u0300-\u036f]+")
"""Characters that no reader sees, and strokes and accents that compose with no letter."""
_KATAKANA = {code: code - 0x60 for code in (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)}
_VARIANTS = Path(__file__).with_name("han_variants.txt")
_GAP = r"[\s._*~|/\\+=#'’`\^·•‧∙・‐‑–—―−-]{1,3}"  # noqa: RUF001
"""Characters put between letters to hide a word. Commas and full stops of any script are not among them: they
separate real words and sentences.
"""


def folded(text: str) -> str:
    """`text` in the form used for comparison: the same for NFC, NFD, full-width and half-width, for capitals,
    for hiragana and katakana, and for simplified and traditional characters. Invisible characters are
    removed.
    """
    shown = _INVISIBLE.sub("", unicodedata.normalize("NFKC", _INVISIBLE.sub(_kept_mark, text)))
    bare: str = _INVISIBLE.sub("", unicodedata.normalize("NFKC", shown.casefold()))
    return bare.translate(_letters())


@lru_cache(maxsize=1)
def _letters() -> dict[int, int]:
    """From a letter to the one that represents all its forms: hiragana for kana, and the first of the group
    for Chinese characters.

    A group joins all forms that one of them may represent: "发" both "發" and "髮". This matches too much
    rather than too little, and only if every other letter matches as well.
    """
    lines = _VARIANTS.read_text("utf-8").splitlines()
    groups = [group for line in lines if not line.startswith("#") for group in line.split()]
    return {ord(form): ord(group[0]) for group in groups for form in group[1:]} | _KATAKANA


def _kept_mark(match: regex.Match[str]) -> str:
    # Keep combining marks until normalization could compose them; drop ignorable characters between them.
    return "".join(char for char in match[0] if "\u0300" <= char <= "\u036f" and char != "\u034f")


class WordFilter:
    """Finds the first of `words` in a text.

    A word of a script without spaces matches inside any text. Other words match as whole words, so that "ass"
    does not match "class". Spaced letters ("w o r d", "w-o-r-d") match the word. Instances are immutable and
    safe to share between threads.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words, self._pattern = _compile(tuple(words))

    def find(self, text: str) -> str | None:
        """The word that `text` contains, spelled as in the list; None if there is none."""
        match = self._pattern.search(folded(text)) if self._words else None
        return None if match is None else self._words[(match.lastindex or 1) - 1]


def read_word_list(path: str | Path) -> tuple[str, ...]:
    """The words in a UTF-8 text file, one per line. Blank lines and lines that begin with # are skipped.

    Raises OSError and UnicodeDecodeError.
    """
    lines = Path(path).read_text("utf-8-sig").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


@lru_cache(maxsize=32)
def _compile(words: tuple[str, ...]) -> tuple[tuple[str, ...], regex.Pattern[str]]:
    originals = {" ".join(folded(word).split()): word for word in reversed(words)}
    # Longest first, so that the message names the whole phrase.
    known = sorted(originals.keys() - {""}, key=lambda word: (-len(word), word))
    pattern = "|".join(f"({_word_pattern(word)})" for word in known)
    return tuple(originals[word] for word in known), regex.compile(pattern, regex.V1)


def _word_pattern(word: str) -> str:
    letters = [regex.escape(char, special_only=True) for char in word if not char.isspace()]
    spread = _GAP.join(letters)
    parts = [regex.escape(part, special_only=True) for part in word.split()]
    if not _HAS_UNSPACED.search(word):
        # A single letter has no gaps; two letters apart ("a b") are rather two letters.
        whole = r"\s+".join(parts)
        either = f"(?:{whole}|{spread})" if len(letters) > 2 else whole
        return f"(?<!{_SPACED_LETTER}){either}(?!{_SPACED_LETTER})"
    whole = r"\s*".join(parts)
    if len(letters) > 2:
        return f"{whole}|{spread}"
    if len(letters) == 2:
        return rf"{whole}|(?<!\w){spread}(?!\w)"
    return whole
