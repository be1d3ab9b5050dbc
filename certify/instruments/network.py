"""Which of the network acts that were seen go beyond the hosts that a manifest declares."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence


def undeclared(events: Sequence[tuple[str, str]], declared: Iterable[str]) -> list[str]:
    """The network acts that no declared host explains, in order.

    `events` are (kind, detail) in the order in which they were seen: `network` with `VERB HOST:PORT`,
    `resolved` with `HOST ADDRESS`; other kinds are passed over. A host is declared by its exact name, with or
    without a port. A bare address is explained where a declared name was seen before to resolve to it; but
    never for `bind`, which waits for callers.
    """
    hosts = {_host(text.partition(":")[0]) for text in declared}
    resolved: set[str] = set()
    beyond = []
    for kind, detail in events:
        if kind == "resolved":
            name, _, address = detail.rpartition(" ")
            if _host(name) in hosts:
                resolved.add(_host(address))
        elif kind == "network":
            verb, _, target = detail.partition(" ")
            host = _host(target.rpartition(":")[0])
            if host not in hosts and (verb == "bind" or host not in resolved):
                beyond.append(detail)
    return beyond


def _host(text: str) -> str:
    """One spelling for one host: names without case and closing dot, addresses in their shortest form."""
    name = text.strip("[]").lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
