from __future__ import annotations

from certify.instruments.network import undeclared


def test_without_declared_hosts_every_act_is_beyond() -> None:
    acts = ["getaddrinfo example.org:443", "connect 192.0.2.7:443", "bind 127.0.0.1:0", "connect /run/x.sock"]
    assert undeclared(acts, []) == acts


def test_a_declared_host_may_be_looked_up_and_connected_to() -> None:
    acts = ["getaddrinfo example.org:443", "connect 192.0.2.7:443", "connect 2001:db8::7:443"]
    assert undeclared(acts, ["Example.org:443"]) == []


def test_a_host_that_only_begins_or_ends_like_a_declared_one_is_beyond() -> None:
    acts = ["getaddrinfo example.org.evil.test:443", "getaddrinfo notexample.org:443"]
    assert undeclared(acts, ["example.org"]) == acts


def test_an_address_before_any_declared_lookup_is_beyond() -> None:
    acts = ["connect 192.0.2.7:443", "getaddrinfo example.org:443"]
    assert undeclared(acts, ["example.org"]) == ["connect 192.0.2.7:443"]


def test_a_declared_address_is_no_finding() -> None:
    assert undeclared(["connect 127.0.0.1:9"], ["127.0.0.1"]) == []
