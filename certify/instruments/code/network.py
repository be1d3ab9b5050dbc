"""Network events that go beyond the hosts that a manifest declares."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

_LOOKUPS = ("getaddrinfo", "gethostbyname", "gethostbyaddr")
_NAME_SERVICE = "53"


def undeclared(events: Sequence[tuple[str, str, bool]], declared: Iterable[str]) -> list[str]:
    """The network events that no declared host explains, in order.

    `events` are (kind, detail, by the kernel) in the order in which they were seen: `network` with
    `VERB HOST:PORT` or, of a socket that was refused, `socket FAMILY KIND`; `resolved` with `HOST ADDRESS`;
    other kinds are passed over. A host is declared by its exact name, with or without a port. A bare address
    is explained where a declared name was seen before to resolve to it; but never for `bind`, which waits for
    callers, unless it is for any free port of the local machine: libraries test for IPv6 in this way.

    A lookup asks a name server, and a socket that was refused had no address yet: both are explained where
    the plugin looked up declared hosts and no others.
    """
    hosts = {_host(text.partition(":")[0]) for text in declared}
    looked_up = {
        _host(_target(detail)[0]) for kind, detail, _ in events if kind == "network" and _is_lookup(detail)
    }
    only_declared = bool(looked_up) and looked_up <= hosts
    resolved: set[str] = set()
    beyond = []
    for kind, detail, by_kernel in events:
        if kind == "resolved":
            name, _, address = detail.rpartition(" ")
            if _host(name) in hosts:
                resolved.add(_host(address))
        elif kind == "network" and not _is_explained(detail, by_kernel, hosts, resolved, only_declared):
            beyond.append(detail)
    return beyond


def _is_explained(
    detail: str, by_kernel: bool, hosts: set[str], resolved: set[str], only_declared: bool
) -> bool:
    verb = detail.partition(" ")[0]
    if verb == "socket":
        return only_declared
    name, port = _target(detail)
    host = _host(name)
    if verb == "bind":
        return host in hosts or (port == "0" and _is_loopback(host))
    if by_kernel and port == _NAME_SERVICE and only_declared:
        return True
    return host in hosts or host in resolved


def _is_lookup(detail: str) -> bool:
    return detail.partition(" ")[0] in _LOOKUPS


def _target(detail: str) -> tuple[str, str]:
    name, _, port = detail.partition(" ")[2].rpartition(":")
    return name, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(text: str) -> str:
    """The canonical form of a host: lower case without the final dot, or the shortest form of an address."""
    name = text.strip("[]").lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
