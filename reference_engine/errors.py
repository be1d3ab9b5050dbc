"""The SDK's exceptions. Each has a stable code and remedies."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SDKError(Exception):
    """Base of every error that the SDK raises on purpose.

    `code` is stable and meant for programs. `message` says what is wrong, `remedies` what to do, best first.
    """

    code = "ERR_SDK"

    def __init__(self, message: str, remedies: Iterable[str] = (), *, code: str | None = None) -> None:
        self.message = message
        self.remedies = tuple(remedies)
        if code is not None:
            self.code = code
        super().__init__(message)

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.message}", *(f"  - {remedy}" for remedy in self.remedies)]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return _bare, (type(self),), self.__dict__ | {"args": self.args}


def _bare(kind: type[SDKError]) -> SDKError:
    return kind.__new__(kind)


class _MistakesError(SDKError):
    """An error about several mistakes at once. `mistakes` has a sentence for each, which begins with the name
    of the parameter or key.
    """

    def __init__(self, what: str, mistakes: Iterable[str], remedies: Iterable[str] = ()) -> None:
        self.mistakes = tuple(mistakes)
        count = "a mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        message = f"{what} has {count}: {' '.join(self.mistakes)}" if self.mistakes else what
        super().__init__(message, remedies)


class ModelNotLoaded(SDKError):
    """A model's files are missing, altered or of a kind that is not accepted."""

    code = "ERR_MODEL_NOT_LOADED"


class OutOfMemory(SDKError):
    """The run needs more memory than `memory_limit` or the machine allows."""

    code = "ERR_OUT_OF_MEMORY"
    REMEDIES = (
        "Load and render in tiles, so that only one tile is held at a time.",
        'Set memory_limit to "3GB", so that the engine plans for a smaller card.',
        "Start with the medvram option, which keeps only the component in use on the GPU.",
    )

    def __init__(self, message: str, remedies: Iterable[str] = REMEDIES) -> None:
        super().__init__(message, remedies)


class InvalidPrompt(SDKError):
    """The prompt is empty, is not text, or has a sensitive word."""

    code = "ERR_INVALID_PROMPT"


class InvalidParameter(_MistakesError):
    """One or more generation parameters are out of range. The error names all of them."""

    code = "ERR_INVALID_PARAMETER"


class ConfigError(_MistakesError):
    """The configuration has one or more mistakes. The error names all of them."""

    code = "ERR_INVALID_CONFIG"


class ConcurrentUse(SDKError):
    """A second thread called a pipeline that is not thread-safe while another thread was using it."""

    code = "ERR_CONCURRENT_USE"


class TimedOut(SDKError):
    """The image was not ready within the caller's `timeout`. The work on it was stopped."""

    code = "ERR_TIMEOUT"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean "x"?` (with a leading space), or an empty string if no known name is similar."""
    by_folded = {word.casefold(): word for word in known}
    near = difflib.get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=0.6)
    return f' Did you mean "{by_folded[near[0]]}"?' if near else ""
