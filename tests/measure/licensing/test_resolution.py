"""Dependencies resolved by uv from a folder of wheels and from an index on loopback, without running any."""

from __future__ import annotations

import shutil
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from certify.candidate.candidate import Candidate, read_candidate
from certify.measure.licensing import resolution
from certify.measure.licensing.dependencies import resolved_licences, resolved_names
from certify.measure.licensing.resolution import NotResolved, Resolver, vulnerabilities
from certify.plan.machine import find_tool
from certify.submission.submission import open_submission
from tests.defects.catalogue import SOUND
from tests.defects.index import ADVISORY, advisory_service, build_index

needs_uv = pytest.mark.skipif(find_tool("uv") is None, reason="uv is not installed")
needs_audit = pytest.mark.skipif(find_tool("pip-audit") is None, reason="pip-audit is not installed")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return build_index(tmp_path / "index")


def candidate(tmp_path: Path, requirements: str) -> Candidate:
    plugin = tmp_path / "plugin"
    shutil.copytree(SOUND, plugin, ignore=shutil.ignore_patterns("__pycache__"))
    (plugin / "requirements.txt").write_text(requirements, "utf-8")
    return read_candidate(open_submission(plugin, tmp_path / "staged"))


@pytest.fixture
def served(index: Path) -> Iterator[str]:
    """The same wheels by the simple API (PEP 503), with their metadata beside them (PEP 658)."""
    root = index.parent / "served"
    for wheel in index.glob("*.whl"):
        name = wheel.name.partition("-")[0].replace("_", "-")
        place = root / "simple" / name
        place.mkdir(parents=True)
        shutil.copy(wheel, place)
        with zipfile.ZipFile(wheel) as archive:
            metadata = next(row for row in archive.namelist() if row.endswith("METADATA"))
            (place / f"{wheel.name}.metadata").write_bytes(archive.read(metadata))
        (place / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>', "utf-8")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()


@needs_uv
def test_a_folder_of_wheels_resolves_on_every_system(tmp_path: Path, index: Path) -> None:
    resolution = Resolver(str(index)).resolve(candidate(tmp_path, "numpy>=2,<3\nbrings-a-thief==1.0.0\n"))
    assert resolution.failures == {}
    assert {(row.name, row.version, row.licence) for row in resolution.packages} == {
        ("numpy", "2.1.0", "BSD-3-Clause"),
        ("brings-a-thief", "1.0.0", "MIT"),
        ("torchtriton", "3.0.0", "MIT"),
    }
    assert all(set(row.platforms) == {"linux", "windows", "macos"} for row in resolution.packages)
    assert [row.rule for row in resolved_names(resolution.packages)] == ["known-bad"]


@needs_uv
def test_an_index_is_asked_for_its_metadata(tmp_path: Path, served: str) -> None:
    resolution = Resolver(served).resolve(candidate(tmp_path, "pillow>=10,<13\n"))
    assert [(row.name, row.licence) for row in resolution.packages] == [("pillow", "HPND")]


@needs_uv
def test_a_marker_leaves_a_package_to_its_system(tmp_path: Path, index: Path) -> None:
    resolution = Resolver(str(index)).resolve(candidate(tmp_path, 'numpy>=2,<3 ; sys_platform == "win32"\n'))
    assert [row.platforms for row in resolution.packages] == [("windows",)]


@needs_uv
def test_bounds_that_nothing_meets_are_told_in_uvs_words(tmp_path: Path, index: Path) -> None:
    resolution = Resolver(str(index)).resolve(candidate(tmp_path, "numpy>=99\n"))
    assert set(resolution.failures) == {"linux", "windows", "macos"}
    assert "numpy" in resolution.failures["linux"]


@needs_uv
def test_an_index_out_of_reach_measures_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotResolved, match="uv failed"):
        Resolver("http://127.0.0.1:9/simple").resolve(candidate(tmp_path, "numpy<3\n"))


def test_without_an_index_nothing_is_asked(tmp_path: Path) -> None:
    with pytest.raises(NotResolved, match="no index was named"):
        Resolver().resolve(candidate(tmp_path, "numpy<3\n"))


def test_without_uv_it_says_how_to_get_it(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolution, "find_tool", lambda name: None)
    with pytest.raises(NotResolved, match="pip install"):
        Resolver(str(index)).resolve(candidate(tmp_path, "numpy<3\n"))
    with pytest.raises(NotResolved, match="pip install"):
        vulnerabilities((), "http://127.0.0.1:9/")


def test_nothing_declared_is_nothing_resolved(tmp_path: Path) -> None:
    assert Resolver().resolve(candidate(tmp_path, "# none\n")).packages == ()


@needs_uv
def test_licences_of_what_resolves_are_judged_by_the_sale(tmp_path: Path, index: Path) -> None:
    wanted = "for-scholars==1.0.0\ncopyleft-tool==1.0.0\nsays-nothing==1.0.0\n"
    packages = Resolver(str(index)).resolve(candidate(tmp_path, wanted)).packages
    paid = {row.rule: row.band for row in resolved_licences(packages, paid=True)}
    assert paid == {"non-commercial": "A", "copyleft": "B", "no-licence": "C"}
    free = {row.rule: row.band for row in resolved_licences(packages, paid=False)}
    assert free == {"non-commercial": "C", "copyleft": "B", "no-licence": "C"}


@needs_uv
@needs_audit
def test_advisories_are_found_by_an_osv_service(tmp_path: Path, index: Path) -> None:
    packages = Resolver(str(index)).resolve(candidate(tmp_path, "full-of-holes<2\nnumpy<3\n")).packages
    with advisory_service() as address:
        assert vulnerabilities(packages, address) == [("full-of-holes 1.0.0", ADVISORY)]
    with pytest.raises(NotResolved, match="pip-audit gave no answer"):
        vulnerabilities(packages, "http://127.0.0.1:9/")


def test_a_shared_resolver_asks_each_question_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def resolve(candidate: Candidate, index: str) -> resolution.Resolution:
        asked.append(candidate.manifest.platforms.python)
        return resolution.Resolution((), {})

    monkeypatch.setattr(resolution, "_resolve", resolve)
    monkeypatch.setattr(resolution, "vulnerabilities", lambda packages, address: asked.append(address) or [])
    resolver = Resolver("index")
    for number, (requirements, notice) in enumerate(
        [("numpy<3\n", ""), ("numpy<3\n", "#"), ("numpy<2\n", "")]
    ):
        place = tmp_path / str(number)
        place.mkdir()
        resolver.resolve(candidate(place, requirements + notice))
    assert len(asked) == 2
    asked.clear()
    for address in ("one", "one", "another"):
        assert resolver.vulnerabilities((), address) == []
    assert asked == ["one", "another"]
