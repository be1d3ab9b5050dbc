"""A host for all whole runs that test neither the start itself nor the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.proof.bench import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    # Its folders are on the way to a worker's, and the worker is a user of its own.
    for place in (folder, folder.parent, folder.parent.parent):
        place.chmod(0o755)
    with Bench(folder) as bench:
        yield bench
