"""The whole as a user without rights: the walls are built by way of a user namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from certify.sandbox.jail.identity import FRESH_USERS
from tests.defects.catalogue import sound

USER = FRESH_USERS[-1]
ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.proof,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or shutil.which("setpriv") is None,
        reason="only root on Linux (with setpriv) can become another user; as one, the other tests tell it",
    ),
]
MEASURE = """\
import sys
from pathlib import Path
from certify.sandbox.host.isolation import measure_isolation
from certify.sandbox.host.host import Host
scratch = Path(sys.argv[1])
with Host(scratch / "host", warm=False) as host:
    print(measure_isolation(host, scratch, "L2").model_dump_json())
"""


def run(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", *words],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder of the user's own; pytest's are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="normal-user-"))
    os.chown(folder, USER, USER)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def python(home: Path) -> str:
    """A Python that everybody may run, with our packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = shutil.which(version, path="/usr/bin:/usr/local/bin")
    if base is None:
        pytest.skip(f"no {version} that every user may run")
    subprocess.run([base, "-m", "venv", "--without-pip", str(home / "venv")], check=True)
    packages = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    site = home / "venv" / "lib" / version / "site-packages"
    (site / "ours.pth").write_text("\n".join(packages), "utf-8")
    program = str(home / "venv" / "bin" / "python")
    tried = run(program, "-I", "-c", "import certify, psutil, pydantic, torch", home=home)
    if tried.returncode:
        pytest.skip(f"user {USER} cannot read our packages: {tried.stderr.strip().splitlines()[-1]}")
    return program


def test_a_normal_user_gets_the_walls_but_a_user_of_its_own(python: str, home: Path) -> None:
    ended = run(python, "-I", "-c", MEASURE, str(home), home=home)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    if told["lacks"]:
        pytest.skip(f"a normal user cannot build every wall here: {told['lacks'][0]}")
    assert told["walls"] == "own namespaces, Landlock, seccomp"
    assert told["level"] == "L3", [act for act in told["acts"] if not act["stopped"]]


def test_hostile_acts_get_nothing_done_as_a_normal_user(python: str, home: Path) -> None:
    acts = ("knows_the_harness", "reads_keys_beneath_python", "leaves_a_daemon", "signals_every_process")
    ended = run(python, "-I", "-m", "tests.hostile", "--walled", *acts, home=home)
    # The code is 1 where one comes to something else than stands beside it.
    assert ended.returncode == 0, ended.stdout + ended.stderr[-2000:]
    assert "got through: 0 with the jail" in ended.stdout


def test_a_normal_users_run_finds_no_fault_in_a_sound_plugin(python: str, home: Path) -> None:
    plugin = sound().build(home / "plugin")
    words = ["run", str(plugin), "--out", str(home / "run")]
    ended = run(python, "-I", "-m", "certify", *words, home=home)
    # 3: a busy machine may leave something unmeasured.
    assert ended.returncode in (0, 3), ended.stdout[-3000:] + ended.stderr[-2000:]
    results = json.loads((home / "run" / "results.json").read_text("utf-8"))
    outcomes = {row["id"]: row["outcome"] for row in results["requirements"]}
    assert not {"failed", "error"} & set(outcomes.values())
    assert outcomes["security.network"] == outcomes["security.stays-inside"] == "passed"
