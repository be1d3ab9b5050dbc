"""Access to what is not the plugin's own: credentials, start-up files, its source, other programs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from certify.instruments.findings import Finding

from . import places
from .source_view import ANY, MAX_LOOKUPS, View

_OPENERS = re.compile(
    r"open|io\.open|codecs\.open|os\.(open|listdir|scandir|walk|stat|chmod|rename|replace|symlink|link|makedirs"
    r"|remove)|os\.path\.\w+|glob\.i?glob|shutil\.(copy\w*|move|make_archive|rmtree)|sqlite3\.connect"
    r"|zipfile\.ZipFile|tarfile\.open|pathlib\.Path|numpy\.(load|save)|json\.load"
)
_FILE_METHODS = re.compile(
    r"open|read_text|read_bytes|write_text|write_bytes|exists|is_file|is_dir|iterdir|glob|rglob|touch|symlink_to"
)
_WRITERS = re.compile(r"os\.(rename|replace|symlink|link)|shutil\.(copy\w*|move)")
_WRITE_METHODS = re.compile(r"write_text|write_bytes|touch|symlink_to|hardlink_to|rename|replace")
_WRITE_MODE = re.compile(r"[rbt]{0,2}[wax+][rwbtax+]{0,3}")
_PLAIN_RULES = (  # a call of such a name is the finding
    ("decrypts-credentials", re.compile(
        r"(.*\.)?CryptUnprotectData|browser_?cookie3\.\w+|keyring\.(get_keyring|get_credential)"
        r"|secretstorage\.\w+|pycookiecheat\.\w+"
    )),
    ("watches-user", re.compile(
        r"pynput\.(keyboard|mouse)\.Listener|keyboard\.(on_press|hook|record)|pyperclip\.paste"
        r"|PIL\.ImageGrab\.grab|mss\.mss|pyautogui\.screenshot|cv2\.VideoCapture|sounddevice\.rec"
    )),
    ("code-injection", re.compile(
        r".*\.(VirtualAllocEx?|CreateRemoteThread(Ex)?|WriteProcessMemory|NtCreateThreadEx|QueueUserAPC"
        r"|SetWindowsHookEx[AW]?)"
    )),
)  # fmt: skip
# Not every `connect`: databases and signals have that method too.
_CONNECTS = re.compile(
    r"(.*\.)?create_connection|socket\.(socket|fromfd|create_server)|(ssl|websockets?|asyncio|paramiko)\..*connect\w*"
)
_FILES = re.compile(r"open|(io|os|codecs)\.(open|fdopen)|tempfile\.\w+|sys\.(__)?std\w+")
_SHELL_PATH = re.compile(r"/bin/(ba|z|da)?sh|cmd(\.exe)?|powershell(\.exe)?")
_REDIRECTED = re.compile(r"(?:>>?|\btee\s+(?:-a\s+)?)\s*([^\s;|&\"']{2,200})")
_LONGEST_PATH = 300


def check(view: View) -> Iterator[Finding]:
    for node in view.nodes:
        if isinstance(node, ast.Call):
            yield from _call(view, node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield from _credential_path(view, node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _named(view, node, node.value)
    yield from _remote_shell(view)


def _call(view: View, call: ast.Call) -> Iterator[Finding]:
    name = view.name(call.func)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if _OPENERS.fullmatch(name) or _FILE_METHODS.fullmatch(method):
        for path in [*call.args[:4], *([call.func.value] if isinstance(call.func, ast.Attribute) else [])]:
            yield from _credential_path(view, path)
    if written := _written(view, call, name, method):
        if what := places.first(places.START_UPS, view.path(written)):
            yield view.finding("start-up", call, what)
        if _is_own_source(view, written):
            yield view.finding("own-source", call, f"{name or method}()")
    if name == "mmap.mmap" and _is_executable(view, call):
        yield view.finding("code-injection", call, "mmap() of memory that runs")
    for rule, names in _PLAIN_RULES:
        if names.fullmatch(name):
            yield view.finding(rule, call, f"{name}()")
    if name.startswith(("os.", "subprocess.", "asyncio.")):
        yield from _command(view, call, name)
    if name.startswith("winreg.") and any(places.RUN_KEY.search(view.path(part)) for part in call.args[:4]):
        yield view.finding("scheduled", call, f"{name}()")


def _is_executable(view: View, call: ast.Call) -> bool:
    prot = next((word.value for word in call.keywords if word.arg == "prot"), None)
    value = view.folder.fold(prot)
    return (isinstance(value, int) and bool(value & 4)) or (
        prot is not None and "PROT_EXEC" in ast.dump(prot)[:500]
    )


def _may_be_a_socket(view: View, handle: ast.expr) -> bool:
    """`sock.fileno()`, but not that of a file opened in this source or of a standard stream."""
    handle = _followed(view, handle)
    if not isinstance(handle, ast.Call) or not isinstance(handle.func, ast.Attribute):
        return isinstance(handle, ast.Starred) and "fileno" in ast.dump(handle)[:500]
    owner = _followed(view, handle.func.value)
    maker = owner.func if isinstance(owner, ast.Call) else owner
    is_path = isinstance(maker, ast.Attribute) and maker.attr == "open"  # `Path(os.devnull).open("wb")`
    return handle.func.attr == "fileno" and not is_path and not _FILES.fullmatch(view.name(maker))


def _followed(view: View, node: ast.expr) -> ast.expr:
    """The expression behind a name."""
    for _ in range(MAX_LOOKUPS):
        bound = view.bound(node) if isinstance(node, ast.Name) else None
        if bound is None:
            break
        node = bound
    return node


def _talks_to_a_socket(view: View, call: ast.Call) -> bool:
    """A shell whose input is a file descriptor; a connection in the same source makes it a remote shell."""
    streams = [word.value for word in call.keywords if word.arg in ("stdin", "stdout")]
    joined = any("fileno" in ast.dump(stream)[:500] for stream in streams)
    return joined and bool(call.args) and bool(_SHELL_PATH.search(view.path(call.args[0])))


def _credential_path(view: View, path: ast.expr) -> Iterator[Finding]:
    """A path that is built, or passed to a function that opens files; bare parts are `credentials-named`."""
    if what := places.first(places.SECRETS, view.path(path)):
        yield view.finding("credentials", path, what)


def _named(view: View, node: ast.Constant, text: str) -> Iterator[Finding]:
    """A text that is such a path; documentation and prose are skipped."""
    path = text.replace("\\", "/")
    if len(path) > _LONGEST_PATH or " " in path[20:] or isinstance(view.parents.get(id(node)), ast.Expr):
        return
    if what := places.first(places.SECRETS, path):
        yield view.finding("credentials-named", node, what)
    if what := places.first(places.START_UPS, path):
        yield view.finding("start-up-named", node, what)


def _written(view: View, call: ast.Call, name: str, method: str) -> ast.expr | None:
    """The path that a call writes to; None if it does not write."""
    mode = call.args[1] if len(call.args) > 1 else None
    mode = next((word.value for word in call.keywords if word.arg == "mode"), mode)
    if name in ("open", "io.open", "codecs.open") and call.args:
        return call.args[0] if _WRITE_MODE.fullmatch(view.folder.text(mode) or "r") else None
    if _WRITERS.fullmatch(name) and len(call.args) > 1:
        return call.args[1]
    if isinstance(call.func, ast.Attribute):
        # `str.replace` takes two arguments, `Path.replace` takes the target.
        of_text = method in ("replace", "rename") and len(call.args) + len(call.keywords) != 1
        if _WRITE_METHODS.fullmatch(method) and not name.startswith(("os.", "shutil.")) and not of_text:
            return call.func.value
        opening = view.folder.text(call.args[0] if call.args else mode) or "r"
        if method == "open" and _WRITE_MODE.fullmatch(opening) and len(opening) < 5:
            return call.func.value
    return None


def _is_own_source(view: View, path: ast.expr) -> bool:
    """`open(__file__, "w")`; changes of other files show in the digest after the run."""
    while isinstance(path, ast.Name) and (bound := view.bound(path)) is not None:
        path = bound
    while isinstance(path, ast.Call) and path.args and view.path(path) == ANY:
        path = path.args[0]
    return isinstance(path, ast.Name) and path.id == "__file__"


def _command(view: View, call: ast.Call, name: str) -> Iterator[Finding]:
    words = " ".join(view.path(argument).replace("\n", " ") for argument in call.args[:3])[:2000]
    if places.SCHEDULERS.search(words):
        yield view.finding("scheduled", call, f"{name}()")
    for target in _REDIRECTED.findall(words):
        if what := places.first(places.START_UPS, target):
            yield view.finding("start-up", call, what)


def _remote_shell(view: View) -> Iterator[Finding]:
    """A socket connected to a shell: `os.dup2(sock.fileno(), 0)`, or `pty.spawn` beside a connection."""
    names = {id(node): view.name(node.func) for node in view.nodes if isinstance(node, ast.Call)}
    connects = any(map(_CONNECTS.fullmatch, names.values()))
    for node in view.nodes:
        if not isinstance(node, ast.Call) or not connects:
            continue
        if names[id(node)] == "os.dup2" and node.args and _may_be_a_socket(view, node.args[0]):
            yield view.finding("remote-shell", node, "os.dup2()")
        elif names[id(node)].startswith("subprocess.") and _talks_to_a_socket(view, node):
            yield view.finding("remote-shell", node, f"{names[id(node)]}()")
        elif names[id(node)] == "pty.spawn" and node.args and _SHELL_PATH.search(view.path(node.args[0])):
            yield view.finding("remote-shell", node, "pty.spawn()")
