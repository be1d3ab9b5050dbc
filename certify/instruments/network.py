"""Which of the network acts that were seen go beyond the hosts that a manifest declares."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence


def undeclared(acts: Sequence[str], declared: Iterable[str]) -> list[str]:
    """The acts (`connect HOST:PORT`, `getaddrinfo HOST:PORT`, `bind ...`) that no declared host explains.

    A host is declared by its exact name, with or without a port. A connection to a bare address is explained
    where a declared name was looked up before it, since the name is then no longer to be seen.
    """
    hosts = {host.rpartition(":")[0] or host for host in (text.lower() for text in declared)}
    looked_up = False
    beyond = []
    for act in acts:
        verb, _, address = act.partition(" ")
        host = address.rpartition(":")[0].strip("[]").lower()
        if host in hosts:
            looked_up = looked_up or verb == "getaddrinfo"
        elif not (verb == "connect" and looked_up and _is_address(host)):
            beyond.append(act)
    return beyond


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
