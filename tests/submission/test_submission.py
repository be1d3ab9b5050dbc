"""What may be handed in, and what its digest stands for."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import struct
import sys
import tempfile
import zipfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.submission.submission import DEFAULT_LIMITS, Limits, SubmissionError, digest_of, open_submission

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")

CONTENT = {
    "plugin.toml": b"schema = 1\n",
    "inkwash/__init__.py": b"",
    "weights/a.bin": Random(1).randbytes(1_300_000),
}


def write_folder(root: Path, content: dict[str, bytes] = CONTENT) -> Path:
    for path, data in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def write_zip(file: Path, content: dict[str, bytes] = CONTENT, prefix: str = "") -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(prefix + path, data)
    return file


def write_member(file: Path, name: str, data: bytes = b"x", mode: int = 0) -> Path:
    """A zip with a manifest and one member, its name and Unix mode written as given."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("plugin.toml", "")
        info = zipfile.ZipInfo(name)
        info.filename = name  # ZipInfo tidies what its constructor gets
        info.external_attr = mode << 16
        archive.writestr(info, data)
    return file


def refusal(source: Path, into: Path, limits: Limits = DEFAULT_LIMITS) -> str:
    with pytest.raises(SubmissionError) as caught:
        open_submission(source, into, limits)
    assert not into.exists() or not any(into.rglob("*")), "nothing half-staged stays behind"
    return caught.value.message


def patched(file: Path, signature: bytes, offset: int, value: bytes) -> Path:
    """Overwrites bytes behind the last `signature` of a zip, to make its headers lie."""
    data = bytearray(file.read_bytes())
    at = data.rindex(signature) + offset
    data[at : at + len(value)] = value
    file.write_bytes(data)
    return file


# --- what is taken in ---


def test_a_folder_is_staged_with_the_size_and_hash_of_every_file(tmp_path: Path) -> None:
    submission = open_submission(write_folder(tmp_path / "plugin"), tmp_path / "staged")
    assert submission.kind == "folder"
    assert [file.path for file in submission.files] == sorted(CONTENT)
    for file in submission.files:
        assert (submission.root / file.path).read_bytes() == CONTENT[file.path]
        assert file.size == len(CONTENT[file.path])
        assert file.sha256 == hashlib.sha256(CONTENT[file.path]).hexdigest()


def test_the_digest_is_that_of_the_sha256sum_listing(tmp_path: Path) -> None:
    submission = open_submission(write_folder(tmp_path / "plugin"), tmp_path / "staged")
    listing = "".join(f"{hashlib.sha256(CONTENT[path]).hexdigest()}  {path}\n" for path in sorted(CONTENT))
    assert submission.digest == "sha256:" + hashlib.sha256(listing.encode()).hexdigest()


@pytest.mark.parametrize("prefix", ["", "inkwash-1.0/"])
def test_a_folder_and_its_zip_have_the_same_digest(tmp_path: Path, prefix: str) -> None:
    folder = open_submission(write_folder(tmp_path / "plugin"), tmp_path / "a")
    zipped = open_submission(write_zip(tmp_path / "plugin.zip", prefix=prefix), tmp_path / "b")
    assert zipped.kind == "zip"
    assert zipped.files == folder.files
    assert zipped.digest == folder.digest == digest_of(folder.root) == digest_of(zipped.root)


def test_a_wheel_keeps_its_layout(tmp_path: Path) -> None:
    wheel = write_zip(tmp_path / "inkwash-1.0.0-py3-none-any.whl", prefix="inkwash/")
    submission = open_submission(wheel, tmp_path / "staged")
    assert submission.kind == "wheel"
    assert (submission.root / "inkwash" / "plugin.toml").is_file()


def test_caches_and_version_control_are_neither_staged_nor_in_the_digest(tmp_path: Path) -> None:
    plain = open_submission(write_folder(tmp_path / "plugin"), tmp_path / "a")
    left_out = [
        ".git/config", "inkwash/__pycache__/a.py", "inkwash/a.pyc", ".venv/bin/python", ".mypy_cache/x",
        ".ruff_cache/x", ".pytest_cache/x", "inkwash/.DS_Store",
    ]  # fmt: skip
    extra = dict.fromkeys(left_out, b"x")
    archived = {"p/" + path: data for path, data in {**CONTENT, **extra}.items()}
    folder = open_submission(write_folder(tmp_path / "plugin", extra), tmp_path / "b")
    source = write_zip(tmp_path / "p.zip", {**archived, "__MACOSX/._p": b"x"})
    zipped = open_submission(source, tmp_path / "c")
    assert folder.digest == zipped.digest == plain.digest
    assert [file.path for file in folder.files] == sorted(CONTENT)
    assert not (folder.root / ".git").exists() and not (zipped.root / ".venv").exists()


def test_a_changed_byte_or_name_changes_the_digest(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "plugin")
    before = digest_of(root)
    (root / "weights/a.bin").rename(root / "weights/b.bin")
    renamed = digest_of(root)
    (root / "plugin.toml").write_bytes(b"schema = 2\n")
    assert len({before, renamed, digest_of(root)}) == 3


@needs_links
def test_links_within_the_folder_become_plain_files(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "plugin")
    (root / "copy.toml").symlink_to("plugin.toml")
    (root / "more").symlink_to("weights")
    submission = open_submission(root, tmp_path / "staged")
    for path in ("copy.toml", "more/a.bin"):
        assert not (submission.root / path).is_symlink()
        assert (submission.root / path).is_file()
    assert not (submission.root / "more").is_symlink()


def test_names_that_differ_only_in_case_are_taken_in_or_refused_by_the_system(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "p.zip", {"plugin.toml": b"", "A.py": b"1", "a.py": b"2"})
    (tmp_path / "Case").touch()
    if (tmp_path / "case").exists():
        assert "takes for the same" in refusal(source, tmp_path / "staged")
    else:
        assert len(open_submission(source, tmp_path / "staged").files) == 3


names = st.from_regex(r"[a-zé字][a-z0-9 _.-]{0,8}[a-z0-9]", fullmatch=True)
trees = st.dictionaries(
    # Folders end in "_" and files in letters or digits, so that no name is both.
    st.lists(names, min_size=1, max_size=3).map("_/".join),
    st.binary(max_size=64),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(trees, st.randoms(use_true_random=False))
def test_the_digest_depends_on_the_content_alone(tree: dict[str, bytes], random: Random) -> None:
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        shuffled = list(tree.items())
        random.shuffle(shuffled)
        folder = open_submission(write_folder(top / "plugin", tree), top / "a")
        zipped = open_submission(write_zip(top / "plugin.zip", dict(shuffled)), top / "b")
        assert folder.digest == zipped.digest == digest_of(top / "plugin")


# --- what is refused ---


def test_a_missing_path_names_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "inkwash").mkdir()
    with pytest.raises(SubmissionError, match="does not exist") as caught:
        open_submission(tmp_path / "inkwsh", tmp_path / "staged")
    assert caught.value.hint == 'Did you mean "inkwash"?'
    assert caught.value.exit_code == 2


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plugin.tar.gz").write_bytes(b"x")
    assert "neither a folder, a wheel (.whl) nor a zip" in refusal(
        tmp_path / "plugin.tar.gz", tmp_path / "staged"
    )


def test_an_empty_folder_and_an_empty_zip_are_refused(tmp_path: Path) -> None:
    (tmp_path / "plugin" / ".git").mkdir(parents=True)
    assert "contains no files" in refusal(tmp_path / "plugin", tmp_path / "a")
    assert "contains no files" in refusal(write_zip(tmp_path / "p.zip", {}), tmp_path / "b")


def test_a_working_folder_inside_the_plugin_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "plugin")
    assert "is inside the plugin" in refusal(root, root / "out")


def test_a_working_folder_in_use_is_a_bug_of_the_caller(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "plugin")
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "kept").touch()
    with pytest.raises(ValueError, match="not empty"):
        open_submission(root, tmp_path / "staged")
    assert (tmp_path / "staged" / "kept").exists()


@pytest.mark.parametrize("suffix", [".zip", ".whl"])
def test_a_corrupt_archive_is_refused(tmp_path: Path, suffix: str) -> None:
    file = write_zip(tmp_path / f"p{suffix}")
    file.write_bytes(file.read_bytes()[:-30])
    assert "is damaged" in refusal(file, tmp_path / "staged")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("/etc/passwd", "is absolute"),
        ("C:/Windows/x", "is absolute"),
        ("c:x", "is absolute"),
        ("a/D:/x", "is absolute"),
        ("../x", "made of dots"),
        ("a/../../x", "made of dots"),
        ("a/.. /x", "made of dots"),
        ("a//x", "part that is empty"),
        ("./x", "made of dots"),
        ("..\\x", "has a backslash"),
        ("\\\\server\\x", "has a backslash"),
        ("a\nb", "not allowed in file names"),
        ("a\x1b[2J", "not allowed in file names"),
        ("x" * 241, "longer than 240"),
        ("a/" * 40 + "x", "folders deep"),
    ],
)
def test_a_path_that_means_somewhere_else_is_refused(tmp_path: Path, name: str, wrong: str) -> None:
    source = write_member(tmp_path / "p.zip", name)
    message = refusal(source, tmp_path / "staged")
    assert wrong in message
    assert message.isprintable()
    assert not (tmp_path / "x").exists()


def test_a_name_cut_at_nul_by_the_reader_is_judged_as_written(tmp_path: Path) -> None:
    source = write_member(tmp_path / "p.zip", "safe.py_../x")
    source.write_bytes(source.read_bytes().replace(b"safe.py_", b"safe.py\0"))
    assert "not allowed in file names" in refusal(source, tmp_path / "staged")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*"a./\\é", "..", "", "C:", ".. ", "...", "b.py"]), min_size=1, max_size=5))
def test_no_name_ever_leads_out_of_the_working_folder(parts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        top = Path(place) / "deep" / "er"
        top.mkdir(parents=True)
        source = write_member(Path(place) / "p.zip", "/".join(parts))
        try:
            submission = open_submission(source, top / "staged")
        except SubmissionError:
            pass
        else:
            assert {file.path for file in submission.files} == {
                path.relative_to(submission.root).as_posix()
                for path in submission.root.rglob("*")
                if path.is_file()
            }
        outside = {path for path in Path(place).rglob("*") if not path.is_relative_to(top / "staged")}
        assert outside == {Path(place) / "p.zip", Path(place) / "deep", top}


@pytest.mark.parametrize(
    ("mode", "wrong"),
    [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "neither a file"), (stat.S_IFCHR, "neither a file")],
)
def test_links_and_devices_in_an_archive_are_refused(tmp_path: Path, mode: int, wrong: str) -> None:
    source = write_member(tmp_path / "p.zip", "x", b"/etc/passwd", mode | 0o644)
    assert wrong in refusal(source, tmp_path / "staged")


@needs_links
@pytest.mark.parametrize("target", ["/", "../secret", "../../"])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret").touch()
    root = write_folder(tmp_path / "plugin")
    (root / "a").symlink_to(target)
    assert "points outside the plugin's folder" in refusal(root, tmp_path / "staged")


@needs_links
@pytest.mark.parametrize(
    ("target", "wrong"),
    [("a", "points to itself"), ("gone", "points to a missing file"), (".", "a folder above it")],
)
def test_a_link_in_a_circle_or_to_nothing_is_refused(tmp_path: Path, target: str, wrong: str) -> None:
    root = write_folder(tmp_path / "plugin")
    (root / "a").symlink_to(target)
    assert wrong in refusal(root, tmp_path / "staged")


@needs_links
def test_links_that_multiply_folders_are_stopped_by_the_count(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "plugin")
    for level in range(20):
        (root / f"d{level}").mkdir()
        for twin in "ab":
            (root / f"d{level}" / twin).symlink_to(f"../d{level + 1}")
    (root / "d20").mkdir()
    assert "more than 500 files and folders" in refusal(root, tmp_path / "staged", Limits(max_files=500))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_without_being_opened(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "plugin")
    os.mkfifo(root / "pipe")
    assert "neither a file nor a folder" in refusal(root, tmp_path / "staged")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "plugin")
    (root / "plugin.toml").chmod(0)
    assert "plugin.toml" in refusal(root, tmp_path / "staged")


def test_a_zip_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "p.zip", {"plugin.toml": b"", "bomb": bytes(2 << 20)})
    assert "zip bomb" in refusal(source, tmp_path / "staged")


def test_size_and_count_limits_are_asked_before_anything_is_written(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "plugin")
    assert "larger than" in refusal(root, tmp_path / "a", Limits(max_file=1000))
    assert "unpacked" in refusal(root, tmp_path / "b", Limits(max_total=1000))
    assert "more than 2 files" in refusal(root, tmp_path / "c", Limits(max_files=2))
    assert "more than 2 files" in refusal(write_zip(tmp_path / "p.zip"), tmp_path / "d", Limits(max_files=2))


@pytest.mark.parametrize("declared", [3, 5000])
def test_a_header_that_lies_about_the_size_is_caught(tmp_path: Path, declared: int) -> None:
    source = write_zip(tmp_path / "p.zip", {"plugin.toml": b"x" * 4000})
    patched(source, b"PK\1\2", 24, struct.pack("<I", declared))  # APPNOTE 4.3.12: uncompressed size
    message = refusal(source, tmp_path / "staged")
    assert "is damaged" in message or "the declared" in message


def test_a_table_of_contents_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "p.zip", {f"{'n' * 200}{i}": b"" for i in range(5000)})
    assert "table of contents is too large" in refusal(
        source, tmp_path / "staged", Limits(max_directory=1000)
    )


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    source = patched(write_zip(tmp_path / "p.zip"), b"PK\1\2", 8, b"\1\0")
    assert "is encrypted" in refusal(source, tmp_path / "staged")


def test_methods_without_a_bound_on_memory_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("plugin.toml", "x")
    assert "other than deflate" in refusal(tmp_path / "p.zip", tmp_path / "staged")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_members_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("plugin.toml", "a")
        archive.writestr("plugin.toml", "b")
    assert "appears twice" in refusal(tmp_path / "p.zip", tmp_path / "staged")


def test_a_name_that_is_both_file_and_folder_is_refused(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "p.zip", {"plugin.toml": b"", "a": b"", "a/b": b""})
    assert "both a file and a folder" in refusal(source, tmp_path / "staged")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_archive_is_taken_in_or_refused_but_never_crashes(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        source = write_zip(Path(place) / "p.zip", {"plugin.toml": b"schema = 1\n" * 20, "a/b.py": b"pass\n"})
        content = bytearray(source.read_bytes())
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
            content[at] = data.draw(st.integers(0, 255))
        source.write_bytes(content)
        try:
            submission = open_submission(source, Path(place) / "staged")
        except SubmissionError as error:
            assert error.message
        else:
            assert submission.digest == digest_of(submission.root)
        shutil.rmtree(Path(place) / "staged", ignore_errors=True)
