"""The stage that checks the prompts: real text, and no sensitive word, before any model is asked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from ..errors import InvalidPrompt
from .request import Request

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
"""Refused by default, in the four languages that a store asks for; a configuration adds its own."""

# Scripts written without spaces between words: Thai to Khmer, Hangul, kana, Han.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3130-\u318f"
    r"\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SPACED_LETTER = f"[^\\W{_UNSPACED}]"


@dataclass(frozen=True)
class PromptCheck:
    """Refuses what is not usable text and, in the prompt itself, sensitive words.

    Words match without regard to case, width (full-width letters) and invisible characters: inside any text
    where the script has no spaces between words (Chinese, Japanese, Korean), as whole words elsewhere. The
    negative prompt may name them, since it asks for their absence.
    """

    words: tuple[str, ...] = ()
    name: str = "prompts"
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pattern", _compile((*SENSITIVE_WORDS, *self.words)))

    def __call__(self, request: Request) -> Request:
        self.check_text(request.prompt, request.negative_prompt)
        if not _folded(request.prompt).strip():
            raise InvalidPrompt("The prompt is blank.", ["Say what the image should show."])
        if found := self._pattern.search(_folded(request.prompt)):
            raise InvalidPrompt(
                f'The prompt has a sensitive word: "{found[0]}".',
                ["Say it without that word; asking for it again, the answer stays the same."],
            )
        return request

    @staticmethod
    def check_text(prompt: str, negative_prompt: str) -> None:
        """Raises InvalidPrompt unless both are text that a file can carry."""
        _check_text("prompt", prompt)
        _check_text("negative_prompt", negative_prompt)


def _check_text(name: str, text: object) -> None:
    if not isinstance(text, str):
        raise InvalidPrompt(
            f"{name} must be text, not {type(text).__name__}.",
            [f'Give {name} as a string, such as "a lake".'],
        )
    if "\0" in text:
        raise InvalidPrompt(
            f"{name} has a NUL character at position {text.index(chr(0))}; image files cannot store it.",
            ["Remove the NUL character."],
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidPrompt(
            f"{name} has half a surrogate pair at position {error.start}: it is not valid Unicode.",
            ["It was cut in the middle of a character, or decoded wrongly; give the whole character."],
        ) from None


def _folded(text: str) -> str:
    """Text as it is compared: compatibility forms and case folded, invisible format characters gone."""
    visible = "".join(
        char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf"
    )
    return unicodedata.normalize("NFKC", visible.casefold())


@lru_cache(maxsize=32)
def _compile(words: Iterable[str]) -> re.Pattern[str]:
    # The longest first, so that the message names the whole phrase.
    folded = sorted(
        {" ".join(_folded(word).split()) for word in words} - {""}, key=lambda word: (-len(word), word)
    )
    return re.compile("|".join(_word_pattern(word) for word in folded))


def _word_pattern(word: str) -> str:
    parts = [re.escape(part) for part in word.split()]
    if _HAS_UNSPACED.search(word):
        return r"\s*".join(parts)
    pattern = r"\s+".join(parts)
    return f"(?<!{_SPACED_LETTER}){pattern}(?!{_SPACED_LETTER})"
