"""What workers import has another name than the harness, and knows nothing of where it came from."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import certify
from certify.sandbox.guest.forget_paths import forget_missing_paths
from certify.sandbox.host import guest_copy as library

CHECKOUT = Path(certify.__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    library.harness_paths.cache_clear()
    yield
    library.harness_paths.cache_clear()


def test_no_file_of_the_library_names_the_harness_and_everybody_may_read_them(tmp_path: Path) -> None:
    library.copy_library(tmp_path)
    package = Path(library.library_folder(tmp_path), library.PACKAGE)
    files = [path for path in package.rglob("*") if path.is_file()]
    assert package / "guest" / "adapters" / "native.py" in files
    assert not [path for path in files if b"certify" in path.read_bytes()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o644}


@pytest.mark.parametrize("module", ["guest.nursery", "guest.spawned"])
def test_a_worker_imports_the_library_and_its_engine_and_nothing_of_the_harness(
    tmp_path: Path, module: str
) -> None:
    library.copy_library(tmp_path)
    command = library.command(tmp_path, module, "")
    script = command[-1].replace("main()", "print(sorted(sys.modules), find_spec('reference_engine').origin)")
    script = f"from importlib.util import find_spec; {script}"
    ran = subprocess.run([*command[:-1], script], capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded, _, engine = ran.stdout.rpartition("]")
    assert f"{library.PACKAGE}.guest.worker" in loaded
    assert "'certify" not in loaded
    assert Path(engine.strip()).is_relative_to(tmp_path)


def install(folder: Path) -> None:
    """As pip would, with the engine and a program of the same name beside it."""
    for name in ("certify/run.py", "reference_engine/sdk.py", "bin/certify", "__pycache__/finder.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    metadata = folder / "sd_certify-9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: sd-certify\nVersion: 9\n", "utf-8")
    named = ("certify/run.py", "reference_engine/sdk.py", "../packages/bin/certify", "__pycache__/finder.pyc")
    record = "".join(f"{name},,\n" for name in (*named, f"{metadata.name}/METADATA"))
    (metadata / "RECORD").write_text(record, "utf-8")


def test_traces_are_what_was_installed_without_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path.resolve() / "packages"
    install(folder)
    monkeypatch.syspath_prepend(str(folder))
    below = {
        str(Path(path).relative_to(folder))
        for path in library.harness_paths()
        if path.startswith(str(folder))
    }
    assert below == {"certify", "bin/certify", "sd_certify-9.dist-info", "__pycache__/finder.pyc"}
    assert str(CHECKOUT / "certify") in library.harness_paths()


def test_a_checkout_is_not_given_and_a_folder_of_packages_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(CHECKOUT) not in library.packages()
    install(tmp_path)
    monkeypatch.setattr(certify, "__path__", [str(tmp_path / "certify")])
    assert str(tmp_path.resolve()) in library.packages()


def test_what_is_not_there_any_more_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gone_finder", "kept_finder"):
        (tmp_path / f"{name}.py").write_text("class Finder:\n    find_spec = lambda *_: None\n", "utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "gone"), *sys.path])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    finders = [__import__(name).Finder for name in ("gone_finder", "kept_finder")]
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, *finders])
    (tmp_path / "gone_finder.py").unlink()
    forget_missing_paths()
    assert sys.path[0] == str(tmp_path) and str(tmp_path / "gone") not in sys.path
    assert sys.meta_path[-1] is finders[1] and finders[0] not in sys.meta_path
    assert "gone_finder" not in sys.modules
    assert sys.path_importer_cache == {}
