"""The rules as data: name, family, band, message and fix.

Rows follow the incidents and rule lists that stores of plugins have published: code that installs or fetches
code, payloads behind encodings, theft of credentials, persistence, and sources that do not run as they
read (Boucher and Anderson, "Trojan Source", 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from certify.instruments.findings import CERTAIN, NOTED, SUSPICIOUS, Band

Family = Literal[
    "runtime-install",
    "obfuscation",
    "secrets",
    "persistence",
    "test-detection",
    "trojan-source",
    "native-code",
    "dynamic-code",
    "declared-hosts",
    "hidden-files",
]


@dataclass(frozen=True)
class Rule:
    """`says` is the message of its findings, with a placeholder `{what}`."""

    slug: str
    family: Family
    band: Band
    says: str
    fix: str


_REVIEW = "Write plain code, so that a reviewer can read what runs."
_DECLARE = "Declare it as a dependency of the package, and let the store install it."
_OWN_FOLDER = "Keep to the plugin's own folder and to what the SDK hands over."
_HOST = "Declare the host under [network] with a reason in the description, or remove the call."

_ROWS: tuple[tuple[str, Family, Band, str, str], ...] = (
    # Code that comes from elsewhere.
    ("runtime-install", "runtime-install", CERTAIN, "installs packages while it runs", _DECLARE),
    ("install-named", "runtime-install", SUSPICIOUS, "names a command that installs packages", _DECLARE),
    ("fetched-code", "runtime-install", CERTAIN, "runs code that it fetches with {what}", _DECLARE),
    ("hub-code", "runtime-install", CERTAIN, "{what} runs code of a repository that it fetches", _DECLARE),
    ("fetched-program", "runtime-install", SUSPICIOUS, "fetches a program or source, {what}", _DECLARE),
    ("remote-code", "runtime-install", SUSPICIOUS, "{what} lets a repository bring code of its own", _DECLARE),
    ("install-hook", "runtime-install", SUSPICIOUS, "{what} runs while the package is installed",
     "Declare what is needed in pyproject.toml; nothing has to run to install plain Python."),
    # Code that can't be reviewed.
    ("hidden-code", "obfuscation", CERTAIN, "{what} runs code that is hidden in an encoded text", _REVIEW),
    ("hidden-name", "obfuscation", CERTAIN, "puts the name {what} together from pieces", _REVIEW),
    ("marshalled-code", "obfuscation", CERTAIN, "{what} of a constant hides compiled code", _REVIEW),
    ("hidden-program", "obfuscation", CERTAIN, "an encoded text holds {what}", _REVIEW),
    ("odd-encoding", "obfuscation", CERTAIN, "the source's encoding {what} hides code from its readers", _REVIEW),
    ("not-reviewable", "obfuscation", CERTAIN, "this file can't be reviewed: {what}", "Split the file or fix it."),
    ("encoded-code", "obfuscation", SUSPICIOUS, "an encoded text holds {what}", _REVIEW),
    ("detour", "obfuscation", SUSPICIOUS, "accesses {what} indirectly", _REVIEW),
    ("built-code-object", "obfuscation", SUSPICIOUS, "{what} makes code out of bytes", _REVIEW),
    ("not-parsed", "obfuscation", SUSPICIOUS, "this source was not reviewed: {what}", "Fix or remove it."),
    # Code that depends on a value.
    ("dynamic-code", "dynamic-code", SUSPICIOUS, "{what}() of a value runs code that was not reviewed",
     "Use json or ast.literal_eval for data, a table of functions for choices."),
    ("shell", "dynamic-code", SUSPICIOUS, "{what}() runs a shell", "Give the program a list of arguments."),
    ("unsafe-deserialisation", "dynamic-code", SUSPICIOUS, "{what} runs whatever code its data holds",
     "Use JSON or safetensors; weights_only=True for torch.load."),
    ("script-eval", "dynamic-code", SUSPICIOUS, "{what} runs text as code in the user's browser", _REVIEW),
    # Secrets.
    ("credentials", "secrets", CERTAIN, "accesses {what}", _OWN_FOLDER),
    ("decrypts-credentials", "secrets", CERTAIN, "{what} opens what the system keeps secret", _OWN_FOLDER),
    ("environment-sent", "secrets", CERTAIN, "sends the whole environment away with {what}", _OWN_FOLDER),
    ("drop-address", "secrets", CERTAIN, "names {what}, where stolen data is commonly sent", _OWN_FOLDER),
    ("credentials-named", "secrets", SUSPICIOUS, "names the path of {what}", _OWN_FOLDER),
    ("environment-taken", "secrets", SUSPICIOUS, "takes the whole environment with {what}",
     "Read the variables you need by their names."),
    ("many-secrets", "secrets", SUSPICIOUS, "reads secrets of other programs: {what}", _OWN_FOLDER),
    ("watches-user", "secrets", SUSPICIOUS, "{what} watches what the user types or sees", _OWN_FOLDER),
    # Persistence and remote access.
    ("start-up", "persistence", CERTAIN, "writes to {what}, which runs automatically", _OWN_FOLDER),
    ("scheduled", "persistence", CERTAIN, "{what} makes a program start automatically", _OWN_FOLDER),
    ("start-up-file", "persistence", CERTAIN, "the file runs whenever Python starts: {what}",
     "Remove the file; import what you need where you need it."),
    ("remote-shell", "persistence", CERTAIN, "{what} gives a shell to a remote caller", "Remove it."),
    ("own-source", "persistence", CERTAIN, "{what} writes to its own source",
     "Write to the current folder or to tempfile.gettempdir()."),
    ("start-up-named", "persistence", SUSPICIOUS, "names {what}, which runs automatically", _OWN_FOLDER),
    # Different behaviour under test.
    ("asks-for-certify", "test-detection", CERTAIN, "detects whether it is being certified: {what}",
     "Behave the same wherever you run."),
    ("asks-for-tests", "test-detection", SUSPICIOUS, "detects whether it is being tested: {what}",
     "Behave the same wherever you run."),
    ("asks-for-debugger", "test-detection", SUSPICIOUS, "detects whether a debugger is attached: {what}",
     "Behave the same wherever you run."),
    # Sources that do not run as they read.
    ("bidi-control", "trojan-source", CERTAIN, "{what} makes this line run differently than it reads",
     "Write the character as an escape, such as \\u202e."),
    ("hidden-letter", "trojan-source", CERTAIN, "a name holds {what}", "Use letters of a single alphabet."),
    ("bidi-pair", "trojan-source", SUSPICIOUS, "{what} changes the direction of a text in the source",
     "Write the character as an escape, such as \\u2068."),
    ("invisible-character", "trojan-source", SUSPICIOUS, "the source holds {what}, which is invisible",
     "Write the character as an escape."),
    ("disguised-name", "trojan-source", SUSPICIOUS, "a name is written with {what} and means another",
     "Use plain letters."),
    # Machine code.
    ("native-undeclared", "native-code", CERTAIN, "this is {what}, which the manifest does not declare",
     "Declare it under [native] with its SHA-256, or remove it."),
    ("native-changed", "native-code", CERTAIN, "this is not the file that [native] declares: {what}",
     "Write the SHA-256 of the file that you ship."),
    ("code-injection", "native-code", CERTAIN, "{what} puts code into memory or into another program",
     "Remove it."),
    ("native-declared", "native-code", NOTED, "declared: {what}", ""),
    # Hosts.
    ("host-undeclared", "declared-hosts", SUSPICIOUS, "contacts {what}, which the manifest does not declare",
     _HOST),
    ("host-named", "declared-hosts", NOTED, "names the host {what}", ""),
    # Hidden files.
    ("hidden-file", "hidden-files", SUSPICIOUS, "{what} is hidden", "Remove it, or give it a plain name."),
    ("archive-not-scanned", "hidden-files", SUSPICIOUS, "{what} can't be scanned", "Ship its files unpacked."),
    ("archive-with-code", "hidden-files", SUSPICIOUS, "the archive contains code: {what}",
     "Ship its files unpacked."),
    ("disguised-file", "hidden-files", SUSPICIOUS, "{what}", "Give the file the name of what it is."),
)  # fmt: skip

RULES = {slug: Rule(slug, family, band, says, fix) for slug, family, band, says, fix in _ROWS}
