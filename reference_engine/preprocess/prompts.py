"""The stage that checks the prompts before any model runs: valid text, without sensitive words."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import InvalidPrompt
from ..words import SENSITIVE_WORDS, WordFilter, folded
from .request import Request


@dataclass(frozen=True)
class PromptCheck:
    """Refuses unusable text and, in the prompt itself, sensitive words.

    `words` are refused in addition to `word_list`; see `WordFilter` for how they match. The negative prompt
    may contain them, because it excludes what it names.
    """

    words: tuple[str, ...] = ()
    word_list: tuple[str, ...] = SENSITIVE_WORDS
    name: str = "prompts"
    _filter: WordFilter = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_filter", WordFilter((*self.word_list, *self.words)))

    def __call__(self, request: Request) -> Request:
        """`request`, unchanged. Raises InvalidPrompt."""
        self.check_text(request.prompt, request.negative_prompt)
        if not folded(request.prompt).strip():
            raise InvalidPrompt("The prompt is blank.", ["Say what the image should show."])
        if word := self._filter.find(request.prompt):
            raise InvalidPrompt(
                f'The prompt has a sensitive word: "{word}".',
                ["Write it without that word. A second try gives the same answer."],
            )
        return request

    @staticmethod
    def check_text(prompt: str, negative_prompt: str) -> None:
        """Raises InvalidPrompt unless both are text that can be stored in a file."""
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
