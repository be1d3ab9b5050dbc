"""A whole package: every file by its bytes, archives looked into, and nothing of it run."""

import gzip
import hashlib
import io
import tarfile
import time
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.code.javascript import check_script
from certify.instruments.code.package import Declarations, check_package, hosts_of
from certify.instruments.code.rules import RULES
from certify.instruments.files import magic

NOTHING = Declarations()
ELF = b"\x7fELF\x02\x01\x01" + bytes(60)
INSTALLS = b"import os\nos.system('pip install x')\n"


@pytest.fixture
def check(tmp_path):
    def check(files, declared=NOTHING):
        hashes = {}
        for name, data in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            hashes[name] = hashlib.sha256(data).hexdigest()
        return [(one.file, one.rule) for one in check_package(tmp_path, hashes, declared) if one.band != "C"]

    return check


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return stream.getvalue()


def tarred(name, data):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as bundle:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        bundle.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def pyc():
    import importlib.util
    import marshal

    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile("1", "a", "eval"))


PE = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(40)
PROGRAMS = {
    "an ELF binary": ELF,
    "a Windows binary (PE)": PE,
    "a Mach-O binary": b"\xcf\xfa\xed\xfe" + bytes(40),
    "a Java class": b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(20),
    "a WebAssembly module": b"\0asm\1\0\0\0",
    "compiled Python": pyc(),
    "a library archive of binaries": b"!<arch>\nx",
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_machine_code_is_known_by_its_bytes(check, what):
    assert magic.program(PROGRAMS[what]) == what
    assert check({"assets/words.txt": PROGRAMS[what]}) == [("assets/words.txt", "native-undeclared")]


def test_two_architectures_in_one_are_a_mach_o():
    assert magic.program(b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(20)) == "a Mach-O binary"


@pytest.mark.parametrize(
    "data",
    [b"", b"MZ is short for Mark Zbikowski", b"\x89PNG\r\n\x1a\n", b"#!/bin/sh\n", b"GGUF", b"\x80\x04."],
)
def test_other_files_are_no_machine_code(data):
    assert magic.program(data) == ""


def test_machine_code_that_is_declared_passes_and_a_changed_one_does_not(check):
    right = Declarations(native={"lib/x.so": hashlib.sha256(ELF).hexdigest()})
    assert check({"lib/x.so": ELF}, right) == []
    assert check({"lib/x.so": ELF}, replace(right, native={"lib/x.so": "0" * 64})) == [
        ("lib/x.so", "native-changed")
    ]
    assert check({"lib/x.so": b"words"}, right) == [("lib/x.so", "native-changed")]


ARCHIVES = {
    "zip": zipped(**{"setup.py": INSTALLS}),
    "tar": tarred("setup.py", INSTALLS),
    "tar.gz": gzip.compress(tarred("setup.py", INSTALLS)),
    "zip in a zip": zipped(**{"more.bin": zipped(**{"setup.py": INSTALLS})}),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_code_in_an_archive_is_read_like_the_rest(check, kind):
    rules = {rule for _, rule in check({"assets/more.bin.x": ARCHIVES[kind]})}
    assert {"archive-with-code", "runtime-install"} <= rules


def test_machine_code_in_an_archive_is_found(check):
    assert ("a.zip!/x.so", "native-undeclared") in check({"a.zip": zipped(**{"x.so": ELF})})


@pytest.mark.parametrize(
    "data",
    [
        b"7z\xbc\xaf\x27\x1c" + bytes(30),
        b"Rar!\x1a\x07\0" + bytes(30),
        zipped(a=b"x")[:-30],
        b"\x1f\x8b\x08broken",
    ],
    # A zip's bytes hold the time of day: as a test's name they differ from process to process.
    ids=["7z", "rar", "a cut zip", "a broken gzip"],
)
def test_what_can_not_be_looked_into_is_said(check, data):
    assert check({"data.zip": data}) == [("data.zip", "archive-not-scanned")]


def test_an_archive_that_unpacks_to_too_much_is_given_up_in_time(check):
    started = time.process_time()
    files = {"a.zip": zipped(x=bytes(80 << 20)), "b.gz": gzip.compress(bytes(80 << 20))}
    assert check(files) == [("a.zip", "archive-not-scanned"), ("b.gz", "archive-not-scanned")]
    assert time.process_time() - started < 10


def test_an_archive_of_data_alone_is_no_finding(check):
    assert check({"words.zip": zipped(**{"a.txt": b"words"}), "merges.txt.gz": gzip.compress(b"a b\n")}) == []


def test_an_archive_under_another_name_or_behind_a_picture_is_found(check):
    picture = b"\x89PNG\r\n\x1a\n" + bytes(50)
    files = {"a.png": zipped(a=b"x"), "b.png": picture + zipped(a=b"x"), "c.png": picture}
    assert check(files) == [("a.png", "disguised-file"), ("b.png", "disguised-file")]


def test_files_that_start_by_themselves_are_found_and_paths_and_weights_are_not(check):
    files = {
        "a.pth": b"import os; os.getpid()\n",
        "deep/b.pth": b"/some/folder\nimport\tsys\n",
        "c.pth": b"./lib\n",
        "model.pth": b"PK\x03\x04" + bytes(40) + b"\nimport x",
        "sitecustomize.py": b"x = 1\n",
        "inner/sitecustomize.py": b"x = 1\n",
    }
    assert check(files) == [
        ("a.pth", "start-up-file"),
        ("deep/b.pth", "start-up-file"),
        ("sitecustomize.py", "start-up-file"),
    ]


def test_hidden_files_are_found_and_those_of_tools_are_not(check):
    files = {
        ".secret/x.txt": b"x",
        "a/.y": b"x",
        ".gitignore": b"x",
        ".github/z.yml": b"x",
        ".pylintrc": b"x",
        ".travis.yml": b"x",
        ".reuse/dep5": b"x",
        ".devcontainer/devcontainer.json": b"{}",
    }
    assert check(files) == [(".secret/x.txt", "hidden-file"), ("a/.y", "hidden-file")]


def test_a_source_that_can_not_be_read_is_told(check):
    files = {"a.py": b"x = (", "b.py": b"x = 1\n" * 900_000, "c.py": b"# coding: no-such\n"}
    assert check(files) == [("a.py", "not-parsed"), ("b.py", "not-reviewable"), ("c.py", "not-parsed")]


def test_a_bundle_of_scripts_may_be_larger_than_a_source(check):
    line = b"var a = 1;\n"
    files = {"a.js": line * 500_000, "b.js": line * 1_600_000}
    assert check(files) == [("b.js", "not-reviewable")]


def test_a_file_that_is_gone_is_not_reviewable(tmp_path):
    assert [one.rule for one in check_package(tmp_path, {"gone.py": ""})] == ["not-reviewable"]


def test_hosts_are_taken_from_addresses_and_entries():
    given_ = ["CDN.a.test:8443", "https://files.a.test/x/y.bin", "b.test"]
    assert hosts_of(given_) == {"cdn.a.test", "files.a.test", "b.test"}


SCRIPTS = {
    "eval(text)": "script-eval",
    "new Function(text)()": "script-eval",
    "setTimeout('run()', 1)": "script-eval",
    "eval(atob('YWxlcnQoMSk='))": "hidden-code",
    "fetch('https://api.a.test/x')": "host-undeclared",
    "new WebSocket(`wss://a.test/x`)": "host-undeclared",
    "<script src='https://a.test/x.js'></script>": "host-undeclared",
    "x.open('POST', 'https://discord.com/api/webhooks/1')": "drop-address",
    "var " + ", ".join(f"_0x{n:04x} = {n}" for n in range(4096, 4130)): "encoded-code",
}


@pytest.mark.parametrize("text", SCRIPTS)
def test_scripts_of_the_browser_are_read(check, text):
    assert SCRIPTS[text] in {rule for _, rule in check({"web/a.js": text.encode()})}


@pytest.mark.parametrize(
    "text",
    [
        "// eval(text)\nlet a = 1",
        "/* eval(text) https://a.test */",
        "pattern.exec(text); model.eval()",
        "const root = new Function('return this')()",
        "const page = 'https://docs.a.test/'",
        "fetch('/api/x'); fetch('http://localhost:8188/x')",
        "setTimeout(run, 1)",
        "function evaluate(x) { return x }",
        f"const logo = 'data:image/png;base64,{'iVBORw0KGgoAAAANSUhEUgAA' * 20}'",
    ],
)
def test_the_honest_script_passes(check, text):
    assert check({"web/a.js": text.encode()}) == []


@pytest.mark.parametrize(
    "piece", ["/*", "a", "eval(", "// ", "'a", "setTimeout('", "fetch('http://", "_0x1234 "]
)
def test_a_hostile_script_costs_little_time(piece):
    started = time.process_time()
    check_script((piece * (1 << 20))[: 1 << 20], "a.js", frozenset())
    assert time.process_time() - started < 10


def test_every_rule_for_packages_is_in_the_table():
    assert {row.band for row in RULES.values()} == {"A", "B", "C"}
    assert all(row.says and (row.fix or row.band == "C") for row in RULES.values())


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([*ARCHIVES.values(), *PROGRAMS.values(), INSTALLS, b"eval(atob('x'))"]),
    st.sampled_from(["a.py", "a.js", "a.png", "a.zip", "a.pth", "a", "a.tar.gz"]),
    st.data(),
)
def test_no_bytes_cause_an_exception(tmp_path_factory, seed, name, data):
    changed = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 8))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(changed[: data.draw(st.integers(0, len(changed)))])
    for found in check_package(folder, {name: ""}):
        assert found.text.replace("\n", "").isprintable()
        assert found.file.startswith(name) and found.rule in RULES
