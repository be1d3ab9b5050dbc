"""A counted reference to a loaded model."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Generic, TypeVar

from ..errors import SDKError

Model = TypeVar("Model")


class Leases(Generic[Model]):
    """Holds each model as long as there is a lease on it. Thread-safe."""

    def __init__(self) -> None:
        # One entry per lease, added and removed atomically. Garbage collection may return a lease at any
        # point, where a counter could be wrong and a lock could be held already.
        self._held: dict[object, Model] = {}

    def take(self, model: Model) -> Lease[Model]:
        key = object()
        self._held[key] = model
        return Lease(self, key, model)

    def count(self, model: Model) -> int:
        """The number of leases on `model` that were not returned."""
        return sum(held is model for held in list(self._held.values()))

    def models(self) -> tuple[Model, ...]:
        return tuple({id(model): model for model in list(self._held.values())}.values())

    def _give_back(self, key: object) -> None:
        del self._held[key]


class Lease(Generic[Model]):
    """One user's claim on a model, until `release`. As a context manager it gives the model itself.

    A lease that is lost without a release is returned when it is garbage-collected.
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
        """Returns the lease. The model is freed with its last lease. A second call raises SDKError with
        ERR_RELEASED, because it would take the model from another user.
        """
        ended = self._end.detach()  # succeeds in only one of several threads
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
