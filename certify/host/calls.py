"""Requests to one worker for the requirement in flight: counted, with a deadline, their faults entered.

It knows nothing of what is asked; `image_calls`, `sampler_calls` and `soaked_worker` do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from certify.host.ledger import Ledger
from certify.host.session import Reply, Session


class Calls:
    """`deadline` is in seconds by the judge's clock, for each request."""

    def __init__(self, session: Session, ledger: Ledger, deadline: float) -> None:
        self.session = session
        self.ledger = ledger
        self.deadline = deadline

    @contextmanager
    def entering(self, calls: int = 1) -> Iterator[Session]:
        """The session, for one exchange that counts as `calls` calls of the plugin."""
        self.ledger.calls += calls
        with self.ledger.entering_faults():
            yield self.session

    def ask(self, operation: str, calls: int = 1, **body: Any) -> Reply:
        """One request and its answer. Raises as `Session.ask`."""
        with self.entering(calls) as session:
            return session.ask(operation, self.deadline, **body)
