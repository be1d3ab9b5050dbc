"""The stage that checks the prompts: real text, and no sensitive word, before any model is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import InvalidPrompt
from ..words import SENSITIVE_WORDS, WordFilter, folded
from .request import Request


@dataclass(frozen=True)
class PromptCheck:
    """Refuses what is not usable text and, in the prompt itself, sensitive words.

    `words` are refused beside those of `word_list`; see `WordFilter` for how they are found. The negative
    prompt may name them, since it asks for their absence.
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
