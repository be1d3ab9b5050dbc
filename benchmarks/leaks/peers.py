"""One case under one peer, in the peer's own Python: `python peers.py psleak|memray CASE` prints JSON."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
WARM_UP, CALLS = 100, 1_000
MEMRAY_TEST = """
import sys
sys.path.insert(0, {root!r})
import pytest
from benchmarks.leaks.cases import ALL
call = ALL[{case!r}]()
def calls(count):
    for _ in range(count):
        try:
            call()
        except ValueError:
            pass
calls({warm_up})
@pytest.mark.limit_leaks("16 KB")
def test_it():
    calls({calls})
"""


def under_psleak(case: str) -> dict[str, object]:
    import psleak  # type: ignore[import-not-found]

    from benchmarks.leaks.cases import ALL

    call, count = ALL[case](), 0

    def counted() -> None:
        nonlocal count
        count += 1
        with contextlib.suppress(ValueError):
            call()

    class Test(psleak.MemoryLeakTestCase):  # type: ignore[misc]
        def runTest(self) -> None:
            self.execute(counted)

    try:
        Test().debug()
    except AssertionError as found:
        return {"leak": True, "calls": count, "told": str(found)[:200]}
    return {"leak": False, "calls": count}


def under_memray(case: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test_case.py"
        file.write_text(MEMRAY_TEST.format(root=str(ROOT), case=case, warm_up=WARM_UP, calls=CALLS), "utf-8")
        command = [sys.executable, "-m", "pytest", "--memray", "-q", "-p", "no:cacheprovider", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout[-500:] + done.stderr[-500:])
    return {"leak": done.returncode == 1, "calls": WARM_UP + CALLS, "told": done.stdout[-300:]}


if __name__ == "__main__":
    peers = {"psleak": under_psleak, "memray": under_memray}
    print("\n" + json.dumps(peers[sys.argv[1]](sys.argv[2])), flush=True)
