"""Models from the network: a folder in the diffusers layout under a URL, pinned as a whole by one sha256.

The folder holds a SHA256SUMS file as `sha256sum` writes it, over all its files and sorted by path. The sha256
of that file is the digest of the folder (`models.folder.folder_digest`), so the one number in the
configuration pins the list, and the list pins every file. Nothing is parsed before its hash is checked.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit, urlunsplit

from ..errors import ModelNotLoaded
from .cache import ENVIRONMENT_VARIABLE, cache_folder, locked
from .download import ByteProgress, DownloadCancelled, HTTPDownloader
from .download_http import shown
from .folder import (
    CHECKSUMS,
    COMPONENTS,
    CONFIG_FILES,
    PICKLES,
    check_folder,
    checksum_lines,
    folder_digest,
    hidden,
)
from .hashes import file_digest

_MAX_LIST = 2**20
_MAX_FILES = 1000
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@-]*")
_OWN_SUFFIXES = (".part", ".meta", ".lock", ".new")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def remote_folder(sha256: str) -> Path:
    """The folder in the cache for a remote model with that digest."""
    return cache_folder() / "models" / f"sha256-{sha256.lower()}"


def fetch_model(
    url: str,
    sha256: str,
    *,
    downloader: HTTPDownloader | None = None,
    bandwidth_limit: int | None = None,
    progress: ByteProgress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """The folder of the model under `url`, downloaded into the cache unless it is already there.

    After a break the next call continues, also in another process. Damaged files of a copy are downloaded
    again. Without a `downloader` one is made, with `bandwidth_limit` in bytes per second. `progress` is
    called with the bytes of all files so far, and None for their sum. Raises ModelNotLoaded (DownloadError
    for network errors), DownloadCancelled, and ConfigError for an invalid URL.
    """
    target = remote_folder(sha256)
    if _whole(target, sha256):
        return target
    workshop = target.with_name(f".{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f".{target.name}.lock"), lambda: _stop_if(cancelled, url)):
            if not _whole(target, sha256):
                _take_back(target, workshop)
                own = downloader or HTTPDownloader(bandwidth_limit=bandwidth_limit)
                _fill(workshop, url, sha256, own, progress, cancelled)
                check_folder(workshop, sha256)
                workshop.rename(target)
    except OSError as error:
        raise ModelNotLoaded(
            f"The model of {shown(url)} cannot be stored at {target}: {error.strerror or error}.",
            [f"Set {ENVIRONMENT_VARIABLE} to a folder that can be written to and has room for the model."],
        ) from error
    return target


def read_list(text: str, url: str) -> dict[str, str]:
    """From relative path to sha256, as in a SHA256SUMS file. Every path is safe to write to.

    Raises ModelNotLoaded if a line is invalid, a path leads out of the folder or is not portable, a file is a
    pickle, or the list is not that of a complete model.
    """
    files: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or (mistake := _name_mistake(match[2])):
            problem = f"{match[2]!r} {mistake}" if match else f"{line[:100]!r} is not `<sha256>  <path>`"
            raise _bad_list(url, problem)
        files[match[2]] = match[1]
    if len(files) > _MAX_FILES:
        raise _bad_list(url, f"it has {len(files)} files, which is too many for a model")
    if len({name.casefold() for name in files}) != len(text.splitlines()):
        raise _bad_list(url, "it lists a file twice")
    if pickles := sorted(name for name in files if name.endswith(PICKLES)):
        raise ModelNotLoaded(
            f"The model of {shown(url)} has {', '.join(pickles[:3])}: a pickle, which runs code when it is "
            "opened.",
            ["Publish the folder with its weights as safetensors alone, and a new SHA256SUMS."],
        )
    missing = [name for name in CONFIG_FILES if name not in files]
    missing += [
        f"{part}/*.safetensors"
        for part in COMPONENTS
        if not any(PurePosixPath(name).match(f"{part}/*.safetensors") for name in files)
    ]
    if missing:
        raise ModelNotLoaded(
            f"The model of {shown(url)} is incomplete; its {CHECKSUMS} lacks {', '.join(missing)}.",
            ["Check the address: it must be that of the folder which has model_index.json in it."],
        )
    if text != checksum_lines(files):
        raise _bad_list(url, "it is not sorted by path with two spaces a line and a newline at its end")
    return files


def _fill(
    workshop: Path,
    url: str,
    sha256: str,
    downloader: HTTPDownloader,
    progress: ByteProgress | None,
    cancelled: Callable[[], bool],
) -> None:
    listed = workshop / CHECKSUMS
    if not _is(listed, sha256):
        downloader.download(
            _below(url, CHECKSUMS), listed, sha256=sha256, max_size=_MAX_LIST, cancelled=cancelled
        )
    try:
        files = read_list(listed.read_bytes().decode("utf-8"), url)
    except UnicodeDecodeError:
        raise _bad_list(url, "it is not text") from None
    _clear_strangers(workshop, files)
    before = 0

    def report(done: int, total: int | None) -> None:
        if progress is not None:
            progress(before + done, None)

    for name, digest in files.items():
        file = workshop / name
        if not _is(file, digest):
            downloader.download(_below(url, name), file, sha256=digest, progress=report, cancelled=cancelled)
        before += file.stat().st_size


def _whole(target: Path, sha256: str) -> bool:
    return target.is_dir() and folder_digest(target) == sha256.lower()


def _take_back(target: Path, workshop: Path) -> None:
    """Moves a damaged copy to the workshop, so that its intact files are reused."""
    if target.is_dir():
        shutil.rmtree(workshop, ignore_errors=True)
        target.rename(workshop)


def _is(file: Path, sha256: str) -> bool:
    return file.is_file() and file_digest(file) == sha256.lower()


def _clear_strangers(workshop: Path, files: dict[str, str]) -> None:
    """Deletes files that are not in the list, because they would change the folder's digest."""
    known = {CHECKSUMS, *files, *(f"{name}{suffix}" for name in files for suffix in (".part", ".meta"))}
    for file in list(workshop.rglob("*")):
        if file.is_file() and file.relative_to(workshop).as_posix() not in known:
            with suppress(FileNotFoundError):
                file.unlink()


def _below(url: str, name: str) -> str:
    """The URL of a file of the folder; a query (as of a signed URL) stays at the end."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}"))


def _name_mistake(name: str) -> str | None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        return "leads out of the folder, or is not a normalised path"
    if hidden(path) or not all(_NAME.fullmatch(part) for part in path.parts) or len(name) > 200:
        return "is a name that some systems cannot write"
    if any(_RESERVED.fullmatch(part) or part.endswith(".") for part in path.parts):
        return "is a name that some systems cannot write"
    if name == CHECKSUMS or path.name == CHECKSUMS or name.endswith(_OWN_SUFFIXES):
        return "is a name that the downloader uses itself"
    return None


def _bad_list(url: str, problem: str) -> ModelNotLoaded:
    return ModelNotLoaded(
        f"The {CHECKSUMS} of {shown(url)} cannot be used: {problem}.",
        [f"Make it again: `find * -type f ! -name {CHECKSUMS} | LC_ALL=C sort | xargs sha256sum`."],
    )


def _stop_if(cancelled: Callable[[], bool], url: str) -> None:
    if cancelled():
        raise DownloadCancelled(f"The download of {shown(url)} was cancelled.")
