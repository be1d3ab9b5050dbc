"""A chain of responsibility: named stages. Each passes on a request, changed or unchanged, or refuses it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from ..errors import ConcurrentUse, did_you_mean
from .request import Request


class Stage(Protocol):
    """A step of the chain. `name` is unique in its pipeline. Calling it returns the request for the next
    stage.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, request: Request) -> Request: ...


class PreprocessPipeline:
    """Stages in order. NOT thread-safe, because the text encoding has a cache. Use one instance per thread,
    as `SDK.create_pool` does. A second thread that runs it at the same time gets ConcurrentUse, never a wrong
    image.
    """

    def __init__(self, stages: Iterable[Stage] = ()) -> None:
        self._stages: list[Stage] = []
        self._in_use = threading.RLock()  # a stage may run the pipeline again in its own thread
        for stage in stages:
            self.insert(stage)

    @property
    def names(self) -> tuple[str, ...]:
        """The stages' names, in the order in which they run."""
        return tuple(stage.name for stage in self._stages)

    def __iter__(self) -> Iterator[Stage]:
        return iter(tuple(self._stages))

    def insert(self, stage: Stage, *, before: str | None = None, after: str | None = None) -> None:
        """Adds a stage before or after a named one, or at the end. Raises ValueError if the name is already
        in use.
        """
        if before is not None and after is not None:
            raise ValueError("Give before or after, not both.")
        if stage.name in self.names:
            raise ValueError(f'There is a stage "{stage.name}" already; use replace.')
        place = len(self._stages)
        if before is not None:
            place = self._find(before)
        elif after is not None:
            place = self._find(after) + 1
        self._stages.insert(place, stage)

    def replace(self, name: str, stage: Stage) -> Stage:
        """Replaces the named stage by `stage`, and returns the old one."""
        place = self._find(name)
        if stage.name != name and stage.name in self.names:
            raise ValueError(f'There is a stage "{stage.name}" already.')
        old, self._stages[place] = self._stages[place], stage
        return old

    def reorder(self, names: Sequence[str]) -> None:
        """Runs the stages in this order from now on; every stage must be named exactly once."""
        if sorted(names) != sorted(self.names):
            raise ValueError(f"Name each stage once: {', '.join(self.names)}; not {', '.join(names)}.")
        self._stages = [self._stages[self._find(name)] for name in names]

    def run(self, request: Request) -> Request:
        """Passes `request` through all stages. Raises the errors of the stages, and ConcurrentUse if another
        thread is using this pipeline.
        """
        if not self._in_use.acquire(blocking=False):
            raise ConcurrentUse(
                "This PreprocessPipeline is in use by another thread; it is not thread-safe.",
                [
                    "Make images with plugin.generate_image, or with SDK.create_pool for several at a time.",
                    "Or give each thread its own pipeline.",
                ],
            )
        try:
            for stage in tuple(self._stages):
                request = stage(request)
            return request
        finally:
            self._in_use.release()

    def _find(self, name: str) -> int:
        try:
            return self.names.index(name)
        except ValueError:
            hint = did_you_mean(name, self.names)
            raise ValueError(
                f'There is no stage "{name}"; there are {", ".join(self.names)}.{hint}'
            ) from None
