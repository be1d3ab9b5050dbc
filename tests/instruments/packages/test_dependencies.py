"""Declared dependencies: read in every form, and what is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from certify.instruments.licences.package_metadata import read_metadata
from certify.instruments.packages.dependencies import (
    check_bounds,
    check_names,
    known_bad,
    lookalike,
    read_dependencies,
)


def read(tmp_path, **files):
    for name, text in files.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    listed = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    return read_dependencies(tmp_path, listed)


def names(found):
    return [row.name for row in found.declared]


def rules(found):
    return [row.rule for row in found.findings]


def test_requirements_are_read_in_every_form(tmp_path):
    text = """\
# a comment
numpy >= 1.26, <3   # why
Pillow[extra]==11.0 \\
    --hash=sha256:00 --hash=sha256:11
torch<3; sys_platform == "linux"

-r more/extra.txt
"""
    found = read(
        tmp_path,
        **{"requirements.txt": text, "more/extra.txt": "-c ../limits.txt\ntqdm<5\n", "limits.txt": ""},
    )
    assert names(found) == ["numpy", "pillow", "torch", "tqdm"]
    assert found.declared[1].line == 3
    assert found.findings == ()


def test_project_metadata_and_a_wheels_are_read(tmp_path):
    project = (
        '[project]\nname = "a"\ndependencies = ["numpy<3"]\n[project.optional-dependencies]\nx = ["tqdm<5"]\n'
    )
    requires = "Requires-Dist: pillow<13\nRequires-Dist: rich ; extra == 'x'\n"
    metadata = f"Metadata-Version: 2.4\nName: a\n{requires}\nText\n"
    found = read(tmp_path, **{"pyproject.toml": project, "a-1.dist-info/METADATA": metadata})
    assert sorted(names(found)) == ["numpy", "pillow", "rich", "tqdm"]


def test_a_file_in_utf_16_is_read(tmp_path):
    assert names(read(tmp_path, **{"requirements.txt": "numpy<3\n".encode("utf-16")})) == ["numpy"]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("git+https://example.org/a.git", "direct-url"),
        ("https://example.org/a.whl", "direct-url"),
        ("a @ https://example.org/a-1-py3-none-any.whl", "direct-url"),
        ("./vendored", "local-path"),
        ("wheels/a-1-py3-none-any.whl", "local-path"),
        ("-e ./vendored", "local-path"),
        ("--index-url https://example.org/simple", "foreign-index"),
        ("--extra-index-url=https://example.org/simple", "foreign-index"),
        ("--trusted-host example.org", "foreign-index"),
        ("the newest torch, please", "invalid-requirement"),
        ("numpy>>3", "invalid-requirement"),
        ("-r ../../etc/passwd", "unreadable"),
        ("-r gone.txt", "unreadable"),
    ],
)
def test_what_is_no_package_of_the_index_is_told(tmp_path, line, rule):
    assert rules(read(tmp_path, **{"requirements.txt": f"numpy<3\n{line}\n"})) == [rule]


@pytest.mark.parametrize("line", ["-e .", "--editable .[dev]", "--pre", "--prefer-binary"])
def test_the_package_itself_and_pip_s_other_options_are_no_place(tmp_path, line):
    assert rules(read(tmp_path, **{"requirements-dev.txt": f"{line}\nnumpy<3\n"})) == []


def test_files_that_include_each_other_are_read_once(tmp_path):
    found = read(tmp_path, **{"requirements.txt": "-r a.txt\n", "a.txt": "-r requirements.txt\nnumpy<3\n"})
    assert (names(found), found.findings) == (["numpy"], ())


@pytest.mark.parametrize("text", ["[project", "x = [", "project = 3", '[project]\ndependencies = "numpy"\n'])
def test_a_broken_pyproject_breaks_nothing(tmp_path, text):
    assert names(read(tmp_path, **{"pyproject.toml": text})) == []


def test_dependencies_that_only_a_build_would_tell_are_for_a_person(tmp_path):
    found = read(tmp_path, **{"pyproject.toml": '[project]\nname = "a"\ndynamic = ["dependencies"]\n'})
    assert [(row.rule, row.band) for row in found.findings] == [("dynamic", "B")]


def test_a_file_of_endless_size_is_told(tmp_path):
    assert rules(read(tmp_path, **{"requirements.txt": "#" * (300 << 10)})) == ["unreadable"]


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=200))
def test_any_text_is_read_without_an_exception(tmp_path_factory, text):
    found = read(tmp_path_factory.mktemp("any"), **{"requirements.txt": text})
    last = len(text.splitlines()) + 1
    for row in (*found.declared, *found.findings):
        assert row.file == "requirements.txt" and 0 <= row.line <= last
    assert set(rules(found)) <= {
        "invalid-requirement",
        "unreadable",
        "direct-url",
        "local-path",
        "foreign-index",
    }
    assert all(row.name == canonicalize_name(row.requirement.name) for row in found.declared)


@pytest.mark.parametrize(
    ("line", "bounded"),
    [
        ("a", False),
        ("a>=1", False),
        ("a!=2", False),
        ("a<2", True),
        ("a==1.*", True),
        ("a~=1.2", True),
        ("a===1", True),
    ],
)
def test_bounds(tmp_path, line, bounded):
    found = check_bounds(read(tmp_path, **{"requirements.txt": line}).declared)
    assert [row.rule for row in found] == ([] if bounded else ["unbounded"])


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("reqeusts", "requests"), ("torchh", "torch"), ("diffuser", "diffusers"), ("pi11ow", "pillow"),
        ("scikitlearn", "scikit-learn"), ("Reqeusts", "requests"), ("fastapii", "fastapi"),
        ("opencvpython", "opencv-python"),
    ],
)  # fmt: skip
def test_a_slip_of_a_known_name_is_found(name, near):
    assert lookalike(name) == near


@pytest.mark.parametrize(
    "name",
    ["requests", "torch", "torchao", "numpy2", "httpx2", "clip", "rich", "av", "tensorflow-cpu",
     "pillow-simd",      "my-plugin",
     "gradio-client", "mypy", "sklearn", "open_clip_torch", "OpenCV-Python"],
)  # fmt: skip
def test_other_names_are_let_be(name):
    assert lookalike(name) == ""


def test_known_malice_is_told_for_a_name_and_for_single_releases(tmp_path):
    found = check_names(read(tmp_path, **{"requirements.txt": "colourama<2\nultralytics==8.3.41\n"}).declared)
    assert [(row.rule, row.band) for row in found] == [("known-bad", "A")] * 2
    assert known_bad("ultralytics", SpecifierSet("==8.3.40")) == ""
    assert known_bad("ultralytics", SpecifierSet(">=8,<9")) == ""
    assert known_bad("ultralytics", SpecifierSet(), "8.3.42")


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("License-Expression: nonsense", ""),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT"),
        (
            "Classifier: License :: OSI Approved :: MIT License\n"
            "Classifier: License :: OSI Approved :: BSD License",
            "MIT AND BSD-3-Clause",
        ),
        ("Classifier: License :: OSI Approved", ""),
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: MIT", "MIT"),
        ("License: For non-commercial use", "LicenseRef-Non-Commercial"),
        ("License: see LICENSE", ""),
        ("Classifier: License :: Free for non-commercial use", "LicenseRef-Non-Commercial"),
        ("", ""),
    ],
)
def test_the_licence_of_a_package_is_read_from_its_metadata(lines, licence):
    assert read_metadata(f"Metadata-Version: 2.4\nName: a\n{lines}\n", "A_b", "1").licence == licence
