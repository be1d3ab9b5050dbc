from __future__ import annotations

import pytest

from certify.instruments.code.network import undeclared


def network(*acts: str) -> list[tuple[str, str, bool]]:
    return [("network", act, False) for act in acts]


LOOKED_UP = [
    ("network", "getaddrinfo example.org:443", False),
    ("resolved", "example.org 192.0.2.7", False),
    ("resolved", "example.org 2001:db8::7", False),
]


def test_without_declared_hosts_every_network_act_is_beyond() -> None:
    acts = ["getaddrinfo example.org:443", "connect 192.0.2.7:443", "bind 192.0.2.1:0", "sendto ::1:9"]
    assert undeclared(network(*acts), []) == acts


def test_other_kinds_are_passed_over() -> None:
    assert (
        undeclared(
            [("local", "connect /run/x.sock", False), ("write", "/etc/x", False), ("process", "ls", False)],
            [],
        )
        == []
    )


@pytest.mark.parametrize(
    "act",
    [
        "connect 192.0.2.7:443",
        "sendto 192.0.2.7:53",
        "sendmsg 2001:db8::7:53",
        "connect ::ffff:192.0.2.7:443",
        "connect 2001:DB8:0:0:0:0:0:7:443",
        "connect Example.org.:443",
        "gethostbyname example.org:0",
    ],
)
def test_a_declared_host_may_be_looked_up_and_called(act: str) -> None:
    assert undeclared([*LOOKED_UP, ("network", act, False)], ["EXAMPLE.org:443"]) == []


def test_an_address_to_which_no_declared_host_resolved_is_beyond() -> None:
    events = [*LOOKED_UP, *network("connect 192.0.2.8:443")]
    assert undeclared(events, ["example.org"]) == ["connect 192.0.2.8:443"]


def test_a_lookup_that_was_not_seen_to_resolve_excuses_nothing() -> None:
    events = network("getaddrinfo example.org:443", "connect 192.0.2.7:443")
    assert undeclared(events, ["example.org"]) == ["connect 192.0.2.7:443"]


def test_what_an_undeclared_host_resolved_to_is_beyond() -> None:
    events = [*LOOKED_UP, *network("connect 192.0.2.7:443")]
    assert undeclared(events, ["other.test"]) == ["getaddrinfo example.org:443", "connect 192.0.2.7:443"]


def test_an_address_that_is_called_before_its_lookup_is_beyond() -> None:
    events = [*network("connect 192.0.2.7:443"), *LOOKED_UP]
    assert undeclared(events, ["example.org"]) == ["connect 192.0.2.7:443"]


@pytest.mark.parametrize("name", ["example.org.evil.test", "notexample.org", "example.org 192.0.2.7 x"])
def test_a_host_that_only_begins_or_ends_like_a_declared_one_is_beyond(name: str) -> None:
    assert undeclared(network(f"getaddrinfo {name}:443"), ["example.org"]) == [f"getaddrinfo {name}:443"]


def test_waiting_for_callers_is_beyond_even_at_an_address_of_a_declared_host() -> None:
    events = [("resolved", "localhost 127.0.0.1", False), *network("bind 127.0.0.1:80", "bind :80")]
    assert undeclared(events, ["localhost"]) == ["bind 127.0.0.1:80", "bind :80"]


def test_a_declared_address_may_be_called_and_bound() -> None:
    assert undeclared(network("connect 127.0.0.1:9", "bind 127.0.0.1:0"), ["127.0.0.1"]) == []


def test_libraries_may_see_whether_the_machine_has_ipv6() -> None:
    assert undeclared(network("bind ::1:0", "bind 127.0.0.1:0"), []) == []
    assert undeclared(network("bind ::1:80", "bind 0.0.0.0:0"), []) == ["bind ::1:80", "bind 0.0.0.0:0"]


KERNEL = [("network", "socket AF_INET SOCK_DGRAM", True), ("network", "connect 192.0.2.53:53", True)]


def test_what_a_lookup_of_a_declared_host_needs_is_explained() -> None:
    assert undeclared([*network("getaddrinfo example.org:443"), *KERNEL], ["example.org"]) == []


def test_without_a_lookup_of_declared_hosts_alone_what_the_kernel_told_is_beyond() -> None:
    told = [detail for _, detail, _ in KERNEL]
    assert undeclared(KERNEL, ["example.org"]) == told
    both = network("getaddrinfo example.org:443", "getaddrinfo other.test:443")
    assert undeclared([*both, *KERNEL], ["example.org"]) == ["getaddrinfo other.test:443", *told]


def test_a_worker_cannot_claim_the_name_servers_excuse() -> None:
    events = network("getaddrinfo example.org:443", "connect 192.0.2.53:53")
    assert undeclared(events, ["example.org"]) == ["connect 192.0.2.53:53"]
