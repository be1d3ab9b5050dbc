"""Which places hold what is nobody's business but the user's: accounts, keys, wallets, browsers, services."""

from __future__ import annotations

import re

# By the end of a path, whatever home it lies in: where programs keep what they must not share.
_IN_HOMES = (
    r"\.(ssh|gnupg|aws|azure|kube|docker|password-store|electrum|bitcoin|ethereum|monero|mozilla|thunderbird)(/|$)",
    r"\.config/(gcloud|gh|google-chrome|chromium|BraveSoftware|vivaldi|opera|microsoft-edge|discord|solana|op|rclone)(/|$)",
    r"\.local/share/(keyrings|kwalletd|TelegramDesktop)(/|$)",
    r"\.(netrc|pypirc|npmrc|pgpass|git-credentials|boto|s3cfg|bash_history|zsh_history|python_history|env)$",
    r"\.cache/huggingface/token$|\.huggingface/token$",
    r"(Exodus|exodus|Ledger Live|MetaMask|metamask|Local Extension Settings)(/|$)",
    r"(wallet\.dat|keystore\.json|Login Data|Cookies|cookies\.sqlite|key4\.db|logins\.json)$",
    r"id_(rsa|dsa|ecdsa|ed25519)$",
)
_OF_THE_SYSTEM = (
    r"^/etc/(shadow|gshadow|sudoers)",
    r"^/etc/ssh/",
    r"^/proc/\d+/(environ|mem|maps|cmdline|fd)",
    r"^/proc/(kcore|kallsyms)$",
    r"^/(var/)?run/(docker|containerd|podman|dbus|user|secrets)",
    r"^/var/(lib/docker|spool/cron|mail)(/|$)",
    r"^/dev/(k?mem|input)",
)
_PRIVATE = re.compile("|".join(_IN_HOMES + _OF_THE_SYSTEM))


def private_place(path: str) -> bool:
    """Whether a path (absolute, or as a plugin wrote it) leads to such a place."""
    return _PRIVATE.search(path) is not None
