"""A host without the heavy libraries, and a puppet to run in its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from certify.sandbox.host.host import Host
from certify.sandbox.host.plugin import Opening, RemotePlugin
from certify.sandbox.host.session import Session, load_candidate
from tests.made_up import ENTRY, PUPPET


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("host"), warm=False) as host:
        yield host


@pytest.fixture
def opened(host: Host, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Loads a plugin (the puppet, by default) in a worker of its own."""
    sessions: list[Session] = []

    def start(root: Path = PUPPET, entry: str = ENTRY, **config: Any) -> Session:
        session = Session(host, tmp_path / f"worker-{len(sessions)}", readable=[str(root)])
        sessions.append(session)
        request = {"root": str(root), "kind": "native", "entry": entry, "config": config}
        load_candidate(session, 20, **request, allowed=[str(session.folder), str(root)])
        return session

    yield start
    for session in sessions:
        session.end()


@pytest.fixture
def remote(host: Host, tmp_path: Path) -> Iterator[Callable[..., RemotePlugin]]:
    """The puppet as the suites see it, with half a second for a call."""
    plugins: list[RemotePlugin] = []

    def start(**config: Any) -> RemotePlugin:
        opening = Opening(PUPPET, "native", ENTRY, config, load_deadline=20, call_deadline=0.5)
        plugins.append(RemotePlugin(host, tmp_path / "workers", opening))
        return plugins[-1]

    yield start
    for plugin in plugins:
        plugin.close()
