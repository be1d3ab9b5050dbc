"""What a leak is made of: names from outside, lines from inside, and the kind of growth."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest

from certify.instruments.leaks.holdings import grown, names_held
from certify.instruments.leaks.resources import HAS_PROC
from certify.measure.soak.attribution import Attribution, kind_of_growth
from certify.sandbox.host.replies import AllocationSite

HELD = AllocationSite(place="/plugins/one/src/store.py:12", count=20, bytes=60_000)
RARE = AllocationSite(place="/plugins/one/src/cache.py:3", count=2, bytes=900_000)
FOREIGN = AllocationSite(place="/usr/lib/python3/json.py:3", count=20, bytes=500)


def test_lines_of_the_plugin_that_hold_something_of_each_call_are_named() -> None:
    lines = Attribution(sites=[RARE, FOREIGN, HELD], calls=20, grown=60_000).lines("/plugins/one")
    assert lines == ["src/store.py:12 holds 1.0 objects and 3000 B of each call"]


@pytest.mark.parametrize(
    ("sites", "follows", "kind"),
    [
        ([HELD], {"unique": 3000.0, "repeated": 2900.0}, "a leak"),
        ([HELD], {"unique": 3000.0, "repeated": 0.0}, "a growing cache"),
        ([FOREIGN], {"unique": 3000.0, "repeated": 2900.0}, "no line of Python is known to hold it"),
    ],
)
def test_a_leak_a_cache_and_what_is_outside_of_python_are_told_apart(sites, follows, kind) -> None:  # type: ignore[no-untyped-def]
    assert kind_of_growth(Attribution(sites=sites, calls=20, grown=60_000), follows).startswith(kind)


@pytest.mark.skipif(not HAS_PROC, reason="reads /proc")
def test_what_piles_up_is_named_from_outside(tmp_path: Path) -> None:
    before = names_held(os.getpid(), tmp_path)
    files = [(tmp_path / "notes.txt").open("w") for _ in range(3)]
    for _ in range(4):
        os.close(tempfile.mkstemp(dir=tmp_path)[0])
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    after = names_held(os.getpid(), tmp_path)
    stop.set()
    thread.join()
    for file in files:
        file.close()
    (target, count), *_ = grown(before["fds"], after["fds"])
    assert (target.endswith("/notes.txt"), count) == (True, 3)
    assert dict(grown(before["files"], after["files"])) == {"tmp#": 4, "notes.txt": 1}
    assert sum(count for _, count in grown(before["threads"], after["threads"])) == 1


def test_only_what_grew_is_told() -> None:
    assert grown(Counter(a=3, b=1), Counter(a=5, b=1, c=1)) == [("a", 2), ("c", 1)]
