"""Places that are nobody's business but the user's, as a plugin opens them and as a source names them."""

from __future__ import annotations

import pytest

from certify.instruments.code.places import SECRETS, first, private_place


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/home/u/.ssh", "SSH keys"),
        ("/home/u/.ssh/id_ed25519", "SSH keys"),
        ("/home/u/.aws/sso/cache", "cloud credentials"),
        ("/home/u/.config/solana/id.json", "cloud credentials"),
        ("/home/u/.config/google-chrome/Default", "browser profiles"),
        ("/home/u/.thunderbird/x/key4.db", "browser profiles"),
        ("/home/u/.config/discord/x", "messengers' tokens"),
        ("/home/u/Library/Keychains/login.keychain-db", "keyrings"),
        ("/home/u/wallet.dat", "wallets"),
        ("/home/u/.env", "stored passwords"),
        ("/home/u/.bash_history", "what the user typed"),
        ("/home/u/.cache/huggingface/token", "access tokens"),
        ("/etc/shadow", "system passwords"),
        ("/proc/1/environ", "others' memory"),
        ("/var/run/docker.sock", "services"),
        ("/dev/input/event3", "what the user types"),
    ],
)
def test_a_private_place_is_known_by_what_lies_there(path: str, what: str) -> None:
    assert private_place(path) == what


@pytest.mark.parametrize(
    "path",
    [
        "/home/u/work/picture.png",
        "/usr/lib/python3/dist-packages/sshpubkeys/keys.py",
        "/home/u/.cache/huggingface/hub/model",
        "/proc/self/status",
        "/proc/meminfo",
        "/etc/passwd",
        "/dev/urandom",
        "/tmp/worker/environment.json",
    ],
)
def test_other_places_are_free(path: str) -> None:
    assert private_place(path) == ""


def test_a_source_may_name_what_a_plugin_must_not_open() -> None:
    for text in (".env", "Cookies", ".netrc"):
        assert first(SECRETS, text) == ""
        assert private_place(f"/home/u/{text}")
