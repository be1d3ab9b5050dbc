"""A candidate's further packages: fetched without executing anything, installed behind the walls."""

from __future__ import annotations

import io
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from certify.sandbox.host import packages
from certify.sandbox.host.host import Host
from certify.sandbox.host.packages import Packages, is_satisfied, provide

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are run on Linux")
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("host"), warm=False) as host:
        yield host


def a_wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    info = f"{name}-1.0.dist-info"
    files = {**files, f"{info}/METADATA": METADATA.format(name=name), f"{info}/WHEEL": WHEEL}
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": ""}.items():
            archive.writestr(path, text)


def a_source_package(folder: Path, name: str, setup: str) -> None:
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        files = {"setup.py": setup, f"{name}.py": "INK = 1\n", "PKG-INFO": METADATA.format(name=name)}
        for path, text in files.items():
            row = tarfile.TarInfo(f"{name}-1.0/{path}")
            row.size = len(text.encode())
            archive.addfile(row, io.BytesIO(text.encode()))


def test_what_the_engine_has_is_not_installed_again(host: Host, tmp_path: Path) -> None:
    met = [Requirement("numpy"), Requirement("packaging>=20"), Requirement("nothing; sys_platform == 'none'")]
    assert all(map(is_satisfied, met))
    assert provide(host, tmp_path, met) == Packages()


@pytest.mark.parametrize("line", ["numpy<0.1", "a-package-that-is-not-there", "numpy[an-extra]"])
def test_what_the_engine_lacks_or_has_otherwise_is_needed(line: str) -> None:
    assert not is_satisfied(Requirement(line))


def test_a_wheel_is_installed_where_only_the_worker_sees_it(host: Host, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    a_wheel(wheels, "inkwell", {"inkwell.py": "INK = 1\n", "inkwell.pth": "import os\n"})
    packages = provide(host, tmp_path / "scratch", [Requirement("inkwell")], str(wheels))
    assert (packages.installed, packages.missing, packages.broken) == (("inkwell==1.0",), "", "")
    assert (Path(packages.folder) / "inkwell.py").read_text("utf-8") == "INK = 1\n"
    assert not list(Path(packages.folder).rglob("*.pth"))
    assert packages.folder not in sys.path


def test_a_source_package_builds_behind_the_walls(host: Host, tmp_path: Path) -> None:
    wheels, secret, mark = tmp_path / "wheels", tmp_path / "secret", tmp_path / "mark"
    wheels.mkdir()
    secret.write_text("secret", "utf-8")
    setup = (
        "import contextlib, pathlib, setuptools\n"
        f"with contextlib.suppress(OSError): pathlib.Path({str(mark)!r}).write_text('x')\n"
        "content = ''\n"
        f"with contextlib.suppress(OSError): content = pathlib.Path({str(secret)!r}).read_text()\n"
        "assert not content, 'it was read'\n"
        "setuptools.setup(name='inkpot', version='1.0', py_modules=['inkpot'])\n"
    )
    a_source_package(wheels, "inkpot", setup)
    packages = provide(host, tmp_path / "scratch", [Requirement("inkpot")], str(wheels))
    assert packages.installed == ("inkpot==1.0",), packages
    assert not mark.exists()


def test_a_package_that_nobody_has_is_told(host: Host, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    packages = provide(host, tmp_path / "scratch", [Requirement("inkstone")], str(tmp_path / "wheels"))
    assert "No matching distribution found for inkstone" in packages.broken
    assert not packages.folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An index of packages on this machine's own address, and the folder that it serves."""
    folder = tmp_path / "simple"
    folder.mkdir()
    handler = partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/simple", folder
        server.shutdown()


def test_a_wheel_is_fetched_by_its_hash_from_the_registry(
    host: Host, tmp_path: Path, registry: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = registry
    (folder / "inkwell").mkdir()
    a_wheel(folder / "inkwell", "inkwell", {"inkwell.py": "INK = 1\n"})
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", address)
    packages = provide(host, tmp_path / "scratch", [Requirement("inkwell>=1")])
    assert packages.installed == ("inkwell==1.0",), packages
    assert "--hash=sha256:" in (tmp_path / "scratch" / "lock.txt").read_text("utf-8")


def test_a_registry_that_cannot_be_reached_is_no_fault_of_the_candidate(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    packages = provide(host, tmp_path / "scratch", [Requirement("inkstone")])
    assert packages.missing
    assert not packages.broken


def test_what_pip_says_is_sorted_into_fault_and_no_fault() -> None:
    assert packages._reason("ERROR: ResolutionImpossible: conflict").broken.startswith("ERROR")
    assert "ensurepip" in packages._reason("/usr/bin/python: No module named pip").missing
    assert packages._reason("WARNING: Retrying ... NewConnectionError(...)").missing
