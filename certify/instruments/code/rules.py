"""The rules as data: what each is called, how sure it is, what it says and what to do.

Rows follow the incidents and rule lists that stores of plugins have published: code that installs or fetches
code, payloads behind encodings, theft of credentials, persistence, and sources that read otherwise than they
run (Boucher and Anderson, "Trojan Source", 2021).
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
    """`says` is the sentence of its findings, where `{what}` is the thing found."""

    slug: str
    family: Family
    band: Band
    says: str
    fix: str


_REVIEW = "Write it in plain code, so that whoever reviews it reads what runs."
_DECLARE = "Declare it as a dependency of the package, and let the store install it."
_OWN_FOLDER = "Keep to the plugin's own folder and to what the SDK hands over."
_HOST = "Declare the host under [network] with a reason in the description, or take the call out."

_ROWS: tuple[tuple[str, Family, Band, str, str], ...] = (
    # Code that comes from elsewhere.
    ("runtime-install", "runtime-install", CERTAIN, "installs packages while it runs", _DECLARE),
    ("install-named", "runtime-install", SUSPICIOUS, "names a command that installs packages", _DECLARE),
    ("fetched-code", "runtime-install", CERTAIN, "runs code that it fetches with {what}", _DECLARE),
    ("hub-code", "runtime-install", CERTAIN, "{what} runs code of a repository that it fetches", _DECLARE),
    ("fetched-program", "runtime-install", SUSPICIOUS, "fetches a program or source, {what}", _DECLARE),
    ("remote-code", "runtime-install", SUSPICIOUS, "{what} lets a repository bring code of its own", _DECLARE),
    ("install-hook", "runtime-install", SUSPICIOUS, "{what} acts while the package is installed",
     "Declare what is needed in pyproject.toml; nothing has to run to install plain Python."),
    # Code that nobody can read.
    ("hidden-code", "obfuscation", CERTAIN, "{what} runs code that is hidden in an encoded text", _REVIEW),
    ("hidden-name", "obfuscation", CERTAIN, "puts the name {what} together from pieces", _REVIEW),
    ("marshalled-code", "obfuscation", CERTAIN, "{what} of a constant hides compiled code", _REVIEW),
    ("hidden-program", "obfuscation", CERTAIN, "an encoded text holds {what}", _REVIEW),
    ("odd-encoding", "obfuscation", CERTAIN, "the source's encoding {what} hides code from its readers", _REVIEW),
    ("not-reviewable", "obfuscation", CERTAIN, "this file can't be reviewed: {what}", "Split it up or mend it."),
    ("encoded-code", "obfuscation", SUSPICIOUS, "an encoded text holds {what}", _REVIEW),
    ("detour", "obfuscation", SUSPICIOUS, "reaches {what} by a detour", _REVIEW),
    ("built-code-object", "obfuscation", SUSPICIOUS, "{what} makes code out of bytes", _REVIEW),
    ("not-parsed", "obfuscation", SUSPICIOUS, "this source was not reviewed: {what}", "Mend or remove it."),
    # Code that a value decides.
    ("dynamic-code", "dynamic-code", SUSPICIOUS, "{what}() of a value runs code that nobody reviewed",
     "Use json or ast.literal_eval for data, a table of functions for choices."),
    ("shell", "dynamic-code", SUSPICIOUS, "{what}() runs a shell", "Give the program a list of arguments."),
    ("unsafe-deserialisation", "dynamic-code", SUSPICIOUS, "{what} runs whatever code its data holds",
     "Use JSON or safetensors; weights_only=True for torch.load."),
    ("script-eval", "dynamic-code", SUSPICIOUS, "{what} runs text as code in the user's browser", _REVIEW),
    # What is not the plugin's to take.
    ("credentials", "secrets", CERTAIN, "goes to where {what} lie", _OWN_FOLDER),
    ("decrypts-credentials", "secrets", CERTAIN, "{what} opens what the system keeps secret", _OWN_FOLDER),
    ("environment-sent", "secrets", CERTAIN, "sends the whole environment away with {what}", _OWN_FOLDER),
    ("drop-address", "secrets", CERTAIN, "names {what}, where stolen data is commonly sent", _OWN_FOLDER),
    ("credentials-named", "secrets", SUSPICIOUS, "names where {what} lie", _OWN_FOLDER),
    ("environment-taken", "secrets", SUSPICIOUS, "takes the whole environment with {what}",
     "Read the variables you need by their names."),
    ("many-secrets", "secrets", SUSPICIOUS, "reads secrets of other programs: {what}", _OWN_FOLDER),
    ("watches-user", "secrets", SUSPICIOUS, "{what} watches what the user types or sees", _OWN_FOLDER),
    # What stays behind, or opens a door.
    ("start-up", "persistence", CERTAIN, "writes to {what}, which starts by itself", _OWN_FOLDER),
    ("scheduled", "persistence", CERTAIN, "{what} makes a program start by itself", _OWN_FOLDER),
    ("start-up-file", "persistence", CERTAIN, "the file runs at every start of Python: {what}",
     "Take the file out; import what you need where you need it."),
    ("remote-shell", "persistence", CERTAIN, "{what} gives a shell to whoever calls", "Take it out."),
    ("own-source", "persistence", CERTAIN, "{what} writes to its own source",
     "Write to the current folder or to tempfile.gettempdir()."),
    ("start-up-named", "persistence", SUSPICIOUS, "names {what}, which starts by itself", _OWN_FOLDER),
    # Another face for the examiner.
    ("asks-for-certify", "test-detection", CERTAIN, "asks whether it is being certified: {what}",
     "Behave the same wherever you run."),
    ("asks-for-tests", "test-detection", SUSPICIOUS, "asks whether it is being tested: {what}",
     "Behave the same wherever you run."),
    ("asks-for-debugger", "test-detection", SUSPICIOUS, "asks whether somebody watches: {what}",
     "Behave the same wherever you run."),
    # Sources that read otherwise than they run.
    ("bidi-control", "trojan-source", CERTAIN, "{what} makes this line read otherwise than it runs",
     "Write the character as an escape, such as \\u202e."),
    ("hidden-letter", "trojan-source", CERTAIN, "a name holds {what}", "Use plain letters of one alphabet."),
    ("bidi-pair", "trojan-source", SUSPICIOUS, "{what} turns the direction of a text in the source",
     "Write the character as an escape, such as \\u2068."),
    ("invisible-character", "trojan-source", SUSPICIOUS, "the source holds {what}, which nobody sees",
     "Write the character as an escape."),
    ("disguised-name", "trojan-source", SUSPICIOUS, "a name is written with {what} and means another",
     "Use plain letters."),
    # Machine code.
    ("native-undeclared", "native-code", CERTAIN, "this is {what}, which the manifest does not declare",
     "Declare it under [native] with its SHA-256, or take it out."),
    ("native-changed", "native-code", CERTAIN, "this is not the file that [native] declares: {what}",
     "Write the SHA-256 of the file that you ship."),
    ("code-injection", "native-code", CERTAIN, "{what} puts code into memory or into another program",
     "Take it out."),
    ("native-declared", "native-code", NOTED, "declared: {what}", ""),
    # Hosts.
    ("host-undeclared", "declared-hosts", SUSPICIOUS, "reaches for {what}, which the manifest does not declare",
     _HOST),
    ("host-named", "declared-hosts", NOTED, "names the host {what}", ""),
    # Files out of sight.
    ("hidden-file", "hidden-files", SUSPICIOUS, "{what} is out of sight", "Take it out, or give it a plain name."),
    ("archive-not-scanned", "hidden-files", SUSPICIOUS, "{what} can't be looked into", "Ship its files unpacked."),
    ("archive-with-code", "hidden-files", SUSPICIOUS, "an archive with code inside: {what}",
     "Ship its files unpacked."),
    ("disguised-file", "hidden-files", SUSPICIOUS, "{what}", "Give the file the name of what it is."),
)  # fmt: skip

RULES = {slug: Rule(slug, family, band, says, fix) for slug, family, band, says, fix in _ROWS}
