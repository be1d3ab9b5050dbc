"""The worker under a soak: calls whose images are not kept, and pauses in which it is measured."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from certify.sandbox.host.calls import Calls
from certify.sandbox.host.faults import MalformedReply
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.image_calls import generate
from certify.sandbox.host.replies import SITES, AllocationSite, WorkerState


class SoakedWorker:
    """A separate worker, whose process can be measured from outside."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def pid(self) -> int:
        return self._calls.session.pid

    @property
    def folder(self) -> Path:
        return self._calls.session.folder

    def hand_over(self, suffix: str, data: bytes) -> Path:
        """Writes a file that the worker can read. Its name is random, because a plugin that owns the folder
        could have created a link there."""
        file = self.folder / "work" / f"{secrets.token_hex(8)}{suffix}"
        with file.open("xb") as out:
            out.write(data)
        file.chmod(0o644)
        self._calls.ledger.handed.add(hashlib.sha256(data).hexdigest())
        return file

    def call(self, request: dict[str, Any], keep: bool = False) -> Generation:
        return generate(self._calls, dict(request), keep=keep)

    def together(self, requests: list[dict[str, Any]]) -> int:
        """Makes several calls at once; returns how many raised, by the worker's count."""
        errors = self._calls.ask("together", len(requests), requests=requests).body.get("errors")
        return errors if isinstance(errors, int) else 0

    def cancelled(self, request: dict[str, Any], after: float) -> None:
        """Makes a call and cancels it after `after` seconds."""
        self._calls.ask("cancelled", request=request, after=after)

    def reload(self, request: dict[str, Any]) -> None:
        """Opens the plugin a second time, calls it, closes and releases it."""
        self._calls.ask("reload", request=request)

    def trace(self) -> list[AllocationSite]:
        """The first call starts tracing of allocations; the second stops it and returns the held ones."""
        body = self._calls.ask("trace", calls=0).body.get("sites")
        try:
            return SITES.validate_python(body)
        except ValidationError:
            raise MalformedReply("invalid allocation sites", "trace") from None

    def freeze(self) -> None:
        self._calls.ask("freeze", calls=0)

    def quiesce(self) -> WorkerState:
        """Collects garbage and trims the heap in the worker; returns the state that the worker reports."""
        body = self._calls.ask("quiesce", calls=0).body
        try:
            return WorkerState.model_validate({name: body.get(name) for name in WorkerState.model_fields})
        except ValidationError:
            raise MalformedReply("an invalid worker state", "quiesce") from None
