"""Requests to one worker: each is counted, has a deadline, and its fault is entered in the ledger.

`image_calls`, `sampler_calls` and `soaked_worker` define the requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from certify.sandbox.host.ledger import Ledger
from certify.sandbox.host.session import Reply, Session


class Calls:
    """`deadline` is the timeout of each request in seconds, by the host's clock."""

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
        """One request and its reply. Raises as `Session.ask`."""
        with self.entering(calls) as session:
            return session.ask(operation, self.deadline, **body)
