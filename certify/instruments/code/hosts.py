"""The hosts that the code names, those that it contacts, and what it downloads from them."""

from __future__ import annotations

import ast
import ipaddress
import re
from collections.abc import Iterator, Set

from certify.instruments.findings import Finding

from .source_view import ANY, View

# Calls that use the network, with an address among their arguments.
FETCH = re.compile(
    r"(requests|httpx|aiohttp\.ClientSession)(\.\w+)?\.(get|post|put|patch|delete|head|request|stream)|urllib\.request\.(urlopen|urlretrieve|Request)"
    r"|urllib2?\.(urlopen|urlretrieve)|urllib3\.(request|PoolManager)|aiohttp\.(request|\w+\.get)"
    r"|http\.client\.HTTPS?Connection|wget\.download|websockets?\.(connect|create_connection)"
    r"|websocket\.create_connection|ftplib\.FTP(_TLS)?|smtplib\.SMTP(_SSL)?|torch\.hub\.(download_url_to_file"
    r"|load_state_dict_from_url)|socket\.(create_connection|getaddrinfo|gethostbyname)"
)
_MODULES = (
    "requests",
    "httpx",
    "aiohttp",
    "urllib",
    "urllib3",
    "http",
    "socket",
    "websocket",
    "websockets",
    "wget",
)
_METHODS = re.compile(r"get|post|put|patch|delete|request|urlopen|connect|open|ws_connect|sendto")
_URL = re.compile(r"\b(?:https?|wss?|ftp)://([^\s/'\"<>?#\\]+)", re.I)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.I)
_LOCAL = re.compile(
    r"localhost|127(\.\d+){3}|0\.0\.0\.0|::1|.*\.(localhost|local|invalid|example)|(.*\.)?example\.(org|com|net)"
)
# Addresses that only name a format or a licence.
_NAMES_OF_THINGS = (
    "www.w3.org",
    "ns.adobe.com",
    "iptc.org",
    "cv.iptc.org",
    "purl.org",
    "schema.org",
    "json-schema.org",
)
_PROGRAM = re.compile(
    r"[^?#]*\.(py|pyw|pyz|whl|exe|dll|so|dylib|sh|bat|ps1|msi|deb|apk|jar|vbs|scr)([?#].*)?", re.I
)
DROPS = re.compile(
    r"(?:discord(?:app)?\.com/api/webhooks|api\.telegram\.org/bot|hooks\.slack\.com/services|webhook\.site|"
    r"pastebin\.com/(?:raw|api)|paste\.ee|hastebin\.com|api\.anonfiles\.com|gofile\.io|"
    r"\b[\w-]{1,63}\.ngrok(?:-free)?\.(?:io|app)|requestbin\.\w{2,20}|\b[\w-]{1,63}\.pipedream\.net|"
    r"\b[\w-]{1,63}\.burpcollaborator\.net|\b[\w-]{1,63}\.oast(?:ify)?\.\w{2,20}|[a-z2-7]{16,56}\.onion|api\.ipify\.org|"
    # These can be a module, a script or the end of another name, so they must be in the place of a host.
    r"(?:(?<=//)(?:[\w-]{1,63}\.){0,3}|(?<![\w./-]))(?:file\.io|(?:transfer|interact)\.sh(?=[/:]))(?![\w-]|\.\w)|"
    r"(?<=//)(?:[\w-]{1,63}\.){0,3}(?:transfer|interact)\.sh(?![\w-]|\.\w))",
    re.I,
)
_MINERS = re.compile(
    r"stratum\+(?:tcp|ssl|tls)://|\b(?:xmr|pool\.minexmr|nanopool|supportxmr|2miners|ethermine)\.(?:com|org|io)",
    re.I,
)
_HUGGING_FACE = "huggingface.co"
_FROM_HUB = re.compile(
    r"huggingface_hub\.(hf_hub_download|snapshot_download)|.*\.from_pretrained|.*\.from_single_file"
)
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def check(view: View, declared: Set[str]) -> Iterator[Finding]:
    """Hosts beyond `declared` (lower case, without ports), and addresses that stolen data is sent to."""
    reaching: set[str] = set()
    for node in view.nodes:
        if isinstance(node, ast.Call):
            for host, finding in _reached(view, node, declared):
                reaching.add(host)
                yield finding
    docs = _docstrings(view)
    for node in view.nodes:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in docs:
            continue
        drop = DROPS.search(node.value[:20_000]) or _MINERS.search(node.value[:20_000])
        if drop and host_of(drop.group()) not in declared:
            yield view.finding("drop-address", node, drop.group())
        for host in named_in(node.value):
            if host not in declared and host not in reaching:
                yield view.finding("host-named", node, host)


def _reached(view: View, call: ast.Call, declared: Set[str]) -> Iterator[tuple[str, Finding]]:
    name = view.name(call.func)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    arguments = [
        *call.args[:4],
        *(word.value for word in call.keywords if word.arg in ("url", "host", "base_url")),
    ]
    if not arguments:
        return
    texts = [view.path(argument) for argument in arguments]
    if FETCH.fullmatch(name) or (_METHODS.fullmatch(method) and any(_URL.match(text) for text in texts)):
        for text in texts:
            for host in named_in(text) or _bare(name, text):
                if host not in declared:
                    yield host, view.finding("host-undeclared", call, host)
            if _PROGRAM.fullmatch(text) and "://" in text:
                yield "", view.finding("fetched-program", call, text.rpartition("/")[2][:80])
    elif method in ("connect", "connect_ex", "sendto") and _uses_sockets(view):
        for argument in arguments:
            if isinstance(argument, ast.Tuple) and argument.elts:
                for host in _bare("socket.create_connection", view.path(argument.elts[0])):
                    if host not in declared:
                        yield host, view.finding("host-undeclared", call, host)
    elif _FROM_HUB.fullmatch(name or f".{method}") and _HUGGING_FACE not in declared:
        first = view.folder.text(arguments[0]) or ""
        offline = any(word.arg == "local_files_only" and _true(word.value) for word in call.keywords)
        if _REPOSITORY.fullmatch(first) and not offline and not first.startswith("."):
            yield _HUGGING_FACE, view.finding("host-undeclared", call, f"{_HUGGING_FACE} ({first[:60]})")


def _true(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def named_in(text: str) -> list[str]:
    """The hosts of the URLs in a text, without local hosts and names of formats."""
    hosts = (host_of(match.group(1)) for match in _URL.finditer(text[:20_000]))
    return [host for host in dict.fromkeys(hosts) if host and _is_foreign(host)]


def host_of(text: str) -> str:
    """The host of an address, in lower case and without the port; empty if there is none."""
    after = text.rpartition("://")[2].partition("/")[0].rpartition("@")[2]
    name = after.partition(":")[0].lower().rstrip(".,;)")
    return name if _HOST.fullmatch(name) and ("." in name) and ANY not in name else ""


def _bare(name: str, text: str) -> list[str]:
    """A host as an argument of its own: `socket.create_connection(("cdn.example.org", 443))`."""
    if "://" in text or not name.startswith(("socket", "http.client", "ftplib", "smtplib")):
        return []
    host = text.partition("\n")[0].lower()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}", host):
            return []
    return [host] if _is_foreign(host) else []


def _is_foreign(host: str) -> bool:
    return not _LOCAL.fullmatch(host) and host not in _NAMES_OF_THINGS


def _uses_sockets(view: View) -> bool:
    return any(name.partition(".")[0] in _MODULES for name in view.source.names.values())


def _docstrings(view: View) -> set[int]:
    """Texts that are statements of their own: documentation, not code."""
    return {id(node.value) for node in view.nodes if isinstance(node, ast.Expr)}
