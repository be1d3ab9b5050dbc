"""A counted reference to a loaded model."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Generic, TypeVar

from ..errors import SDKError

Model = TypeVar("Model")


class Leases(Generic[Model]):
    """Holds each model for as long as there is a lease on it; thread-safe."""

    def __init__(self) -> None:
        # One entry a lease, put in and taken out at a stroke: a lease that is collected as garbage is given
        # back in the midst of anything, where a count would be lost and a lock be held.
        self._held: dict[object, Model] = {}

    def take(self, model: Model) -> Lease[Model]:
        key = object()
        self._held[key] = model
        return Lease(self, key, model)

    def count(self, model: Model) -> int:
        """Leases on `model` that were not given back."""
        return sum(held is model for held in list(self._held.values()))

    def models(self) -> tuple[Model, ...]:
        return tuple({id(model): model for model in list(self._held.values())}.values())

    def _give_back(self, key: object) -> None:
        del self._held[key]


class Lease(Generic[Model]):
    """One user's claim on a model, until `release`; as a context manager it gives the model itself.

    A lease that is lost without a release is given back when it is collected as garbage.
    """

    def __init__(self, leases: Leases[Model], key: object, model: Model) -> None:
        self._model: Model | None = model
        self._end = weakref.finalize(self, leases._give_back, key)
        self._end.atexit = False

    @property
    def model(self) -> Model:
        """Raises SDKError with ERR_RELEASED after the release."""
        if self._model is None:
            raise _released("its model may be gone")
        return self._model

    def release(self) -> None:
        """Gives the model back; with its last lease it goes. Raises SDKError with ERR_RELEASED the second
        time, which would take the model from somebody else.
        """
        ended = self._end.detach()  # for one of several threads alone
        if ended is None:
            raise _released("a second release would take the model from another user")
        self._model = None
        _, give_back, arguments, _ = ended
        give_back(*arguments)

    def __enter__(self) -> Model:
        return self.model

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _released(why: str) -> SDKError:
    return SDKError(
        f"This lease on a model was released before: {why}.",
        ["Release each lease once, or use it in a with statement.", "Acquire another one to go on."],
        code="ERR_RELEASED",
    )
