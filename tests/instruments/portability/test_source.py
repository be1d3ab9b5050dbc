"""Names and code that one of the three systems does not take."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.code.source import MAX_SOURCE_BYTES, Source, parse_source, read_sources
from certify.instruments.findings import Finding
from certify.instruments.portability.source import check_paths, check_source


def rules(findings):
    return [finding.rule for finding in findings]


def check(text):
    source = parse_source(text, "plugin.py")
    assert isinstance(source, Source)
    return [(finding.line, finding.rule) for finding in check_source(source)]


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("out/12:30.png", "name-refused"),
        ("what?.txt", "name-refused"),
        ("a\\b.txt", "name-refused"),
        ("tab\there", "name-refused"),
        ("aux.py", "name-reserved"),
        ("COM1", "name-reserved"),
        ("data/nul.tar.gz", "name-reserved"),
        ("con/file.txt", "name-reserved"),
        ("notes.", "name-ending"),
        ("folder /file.txt", "name-ending"),
        ("cafe\u0301.txt", "name-not-nfc"),
        ("x" * 201, "name-long"),
    ],
)
def test_a_name_that_one_system_refuses_is_found(file, rule):
    assert rules(check_paths([file])) == [rule]


@pytest.mark.parametrize(
    ("first", "second"),
    [("Styles.csv", "styles.CSV"), ("caf\xe9", "cafe\u0301"), ("Data/a", "data/b"), ("stra\xdfe", "STRASSE")],
)
def test_names_that_are_one_file_elsewhere_are_found(first, second):
    assert rules(check_paths([first, second])).count("name-twin") == 1


def test_ordinary_names_pass():
    assert (
        check_paths(
            [
                "plugin.toml",
                "a/b.py",
                "a/c.py",
                "\u7a4d\u307f\u6728/\ud55c\uad6d.txt",
                "console.py",
                ".gitignore",
            ]
        )
        == []
    )


@pytest.mark.parametrize(
    "call",
    [
        "open('a.txt')",
        "open('a.txt', 'w')",
        "open('a.txt', mode='r+')",
        "Path('a').read_text()",
        "Path('a').write_text('x')",
        "Path('a').open('w')",
        "io.open('a')",
        "sp.run(['a'], text=True)",
        "Popen(['a'], universal_newlines=True)",
    ],
)
def test_text_without_an_encoding_is_found(call):
    head = "import io, subprocess as sp\nfrom subprocess import Popen\nfrom pathlib import Path\n"
    assert check(head + call) == [(4, "no-encoding")]


@pytest.mark.parametrize(
    "call",
    [
        "open('a.txt', encoding='utf-8')",
        "open('a.bin', 'rb')",
        "open('a.bin', mode)",
        "open('a', 'r', -1, 'utf-8')",
        "open(*args)",
        "open('a', **options)",
        "Path('a').read_text('utf-8')",
        "Path('a').write_text('x', encoding='utf-8')",
        "Path('a').open('rb')",
        "Image.open(path)",
        "archive.open('member.txt')",
        "subprocess.run(['a'])",
        "subprocess.run(['a'], text=True, encoding='utf-8')",
    ],
)
def test_bytes_and_stated_encodings_pass(call):
    assert check("import subprocess\n" + call) == []


@pytest.mark.parametrize(
    "text",
    [
        "import fcntl",
        "import winreg as registry",
        "from resource import getrusage",
        "if DEBUG:\n    import pwd",
        "class A:\n    import termios",
        "try:\n    import msvcrt\nfinally:\n    pass",
    ],
)
def test_a_one_platform_import_that_always_runs_is_found(text):
    assert [rule for _, rule in check(text)] == ["one-platform-import"]


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None",
        "import sys\nif sys.platform == 'win32':\n    import winreg\nelse:\n    import pwd",
        "import os\nif os.name == 'posix' and x:\n    import grp",
        "from sys import platform\nif platform == 'linux':\n    import resource",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import termios",
        "def f():\n    import fcntl",
        "from .resource import load",
        "from plugin import resource",
    ],
)
def test_guarded_and_late_imports_pass(text):
    assert check(text) == []


HOSTILE = {
    "null bytes": b"a = 1\0",
    "not Python": b"def f(:\n",
    "wrong coding": b"# coding: nothing\n",
    "wrong bytes": b"a = '\xff'\n",
    "nested": b"(" * 5000 + b")" * 5000,
    "deep attribute chain": b"a" + b".a" * 60_000,
    "deep unary chain": b"a = " + b"not " * 60_000 + b"1",
    "deep sum": b"a = 1" + b"+1" * 60_000,
    "huge": b"#" * (MAX_SOURCE_BYTES + 1),
    "huge number": b"a = " + b"9" * 10_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_source_that_cannot_be_parsed_is_a_finding_and_no_crash(name, tmp_path):
    (tmp_path / "bad.py").write_bytes(HOSTILE[name])
    sources, findings = read_sources(tmp_path, ["bad.py", "data.csv"])
    assert [type(finding) for finding in findings] == [Finding] * (1 - len(sources))
    assert all(
        finding.file == "bad.py" and finding.rule in ("no-python", "too-large") for finding in findings
    )
    for source in sources:
        check_source(source)


def test_the_line_of_a_syntax_error_is_told(tmp_path):
    (tmp_path / "bad.py").write_text("a = 1\nb = (\n", encoding="utf-8")
    (finding,) = read_sources(tmp_path, ["bad.py"])[1]
    assert (finding.line, finding.rule) == (2, "no-python")


def test_a_missing_source_is_a_finding(tmp_path):
    assert rules(read_sources(tmp_path, ["gone.py"])[1]) == ["unreadable"]


OF_PATHS = {"name-refused", "name-reserved", "name-ending", "name-not-nfc", "name-long", "name-twin"}


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20)))
def test_any_names_are_judged_without_an_exception(names):
    found = check_paths(names)
    assert {finding.file for finding in found} <= set(names)
    assert {finding.rule for finding in found} <= OF_PATHS
    assert check_paths(names + names) == found, "a name that is given twice is judged once"
