"""Paths of secrets and of start-up files on the three systems: with forward slashes, as data.

A path in a source is matched against `SECRETS` only. For a path that a plugin opens there are more patterns:
`.env` in a text may be a suffix, but as a file in a home folder it is private.
"""

from __future__ import annotations

import re

Places = tuple[tuple[re.Pattern[str], str], ...]

_BROWSERS = r"(?<![\w-])(google-chrome|chromium|Chrome|BraveSoftware|Microsoft/Edge|Opera Software)"


def _places(*rows: tuple[str, str]) -> Places:
    return tuple((re.compile(pattern, re.IGNORECASE | re.MULTILINE), what) for pattern, what in rows)


SECRETS = _places(
    (r"(^|[/~*])\.ssh(/|$)|\bid_(rsa|dsa|ecdsa|ed25519)\b", "SSH keys"),
    (r"\.aws/(credentials|config)|\.config/gcloud|(^|[/~*])\.azure/", "cloud credentials"),
    (r"\.kube/config|\.docker/config\.json", "cloud credentials"),
    (r"\.git-credentials|\.pypirc|\.npmrc|\.pgpass|\.my\.cnf", "stored passwords"),
    (r"\.gnupg(/|$)|\.password-store|keyrings/|login\.keychain|keychain-db|Library/Keychains", "keyrings"),
    (r"Microsoft/(Credentials|Vault|Protect)", "keyrings"),
    (
        r"User Data/(Default|Profile)|Login Data|Local State$|Mozilla/Firefox|\.mozilla/firefox",
        "browser profiles",
    ),
    (
        rf"{_BROWSERS}/?.*(Cookies|History|Web Data)(?=[/*-]|$)|logins\.json|key[34]\.db|cookies\.sqlite",
        "browser profiles",
    ),
    (
        r"discord(canary|ptb)?/Local Storage|Local Storage/leveldb|Telegram Desktop/tdata",
        "messengers' tokens",
    ),
    (r"(^|[/*])Slack/(Cookies|storage)(?=[/*]|$)", "messengers' tokens"),
    (
        r"wallet\.dat|(^|/)\.(bitcoin|ethereum|electrum|litecoin|monero|solana)(/|$)|Ethereum/keystore",
        "wallets",
    ),
    (r"exodus\.wallet|Electrum/wallets|Local Extension Settings|atomic/Local Storage|Ledger Live", "wallets"),
    (r"(^|/)etc/(shadow|sudoers)\b|Windows/System32/config/(SAM|SYSTEM)", "system passwords"),
    (r"\.cache/huggingface/token|\.huggingface/token|\.config/gh/hosts\.yml", "access tokens"),
)
_WHEN_OPENED = _places(
    (r"(^|/)\.(aws|azure|kube|docker)(/|$)|(^|/)\.config/(rclone|solana|op|gh)(/|$)", "cloud credentials"),
    (
        r"\.config/(google-chrome|chromium|BraveSoftware|vivaldi|opera|microsoft-edge)(/|$)",
        "browser profiles",
    ),
    (r"(^|/)\.(mozilla|thunderbird)(/|$)|(^|/)(Cookies|Login Data)$", "browser profiles"),
    (r"\.config/discord(/|$)|\.local/share/TelegramDesktop(/|$)", "messengers' tokens"),
    (r"(^|/)(Exodus|MetaMask|keystore\.json)(/|$)", "wallets"),
    (r"\.local/share/kwalletd(/|$)", "keyrings"),
    (r"(^|/)\.(netrc|env|boto|s3cfg)$", "stored passwords"),
    (r"(^|/)\.(bash|zsh|python)_history$", "what the user typed"),
    (r"^/etc/(shadow|gshadow|sudoers)|^/etc/ssh/", "system passwords"),
    (r"^/proc/\d+/(environ|mem|maps|cmdline|fd)|^/proc/(kcore|kallsyms)$|^/dev/k?mem", "others' memory"),
    (r"^/(var/)?run/(docker|containerd|podman|dbus|user|secrets)|^/var/lib/docker(/|$)", "services"),
    (r"^/var/(spool/cron|mail)(/|$)", "others' post and timetables"),
    (r"^/dev/input", "what the user types"),
)
START_UPS = _places(
    (r"\.(bash|zsh|ksh)(rc|_profile|_login|_logout|env)$|config\.fish$", "a shell's start-up file"),
    (r"(^|[~/])\.(profile|zprofile|zlogin|xinitrc|xprofile)$", "a shell's start-up file"),
    (
        r"(^|/)etc/(cron[\w.]*|profile(\.d)?|init\.d|rc\.local|systemd|ld\.so\.preload)(?=[/*]|$)|var/spool/cron",
        "a system start-up file",
    ),
    (r"\.config/autostart/|systemd/user/|\.config/systemd|Library/Launch(Agents|Daemons)", "autostart"),
    (r"Start Menu/Programs/Startup", "autostart"),
    (
        r"(^|/)(site|user)customize\.py$|(site-packages|dist-packages)/[^/\n]*\.pth$",
        "Python's start-up files",
    ),
    (r"authorized_keys$", "the list of who may log in"),
    (r"\.git/hooks/|PowerShell/.*profile\.ps1|\.vscode/(tasks|extensions)", "hooks of other programs"),
)
SCHEDULERS = re.compile(
    r"\bcrontab\s+(-|/)|\|\s*crontab\b|\bschtasks(\.exe)?\s+/create|\bsystemctl\s+(--user\s+)?enable\b"
    r"|\blaunchctl\s+(load|bootstrap)\b|\breg(\.exe)?\s+add\b.*\\run\b",
    re.IGNORECASE,
)
RUN_KEY = re.compile(
    r"Software[\\/]+Microsoft[\\/]+Windows[\\/]+CurrentVersion[\\/]+Run(Once)?", re.IGNORECASE
)


def first(places: Places, text: str) -> str:
    """What is at the path in a text; empty for any other path."""
    return next((what for pattern, what in places if pattern.search(text)), "")


def private_place(path: str) -> str:
    """What is at an absolute path that was opened, if it is private to the user; else empty."""
    return first(SECRETS, path) or first(_WHEN_OPENED, path)
