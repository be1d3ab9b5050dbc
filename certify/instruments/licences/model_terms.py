"""The base model's licence and its conditions: CreativeML OpenRAIL-M (v1.4, v1.5), its ++-M edition (v2.0).

Paragraph 4 applies to anyone who distributes the model or a derivative, or offers it as a service: the use
restrictions must be in the distributor's own terms, with notice to recipients (4a), a copy of the licence is
included (4b), modified files say that they were changed (4c), copyright and attribution notices stay (4d).
Paragraph 5 binds the users; Attachment A lists 11 restrictions. The two editions differ in the title and in
paragraph 7: OpenRAIL-M requires the latest version of the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .texts import matches_text
from .words import normalise

TITLES = {
    "v1.4": "CreativeML Open RAIL-M",
    "v1.5": "CreativeML Open RAIL-M",
    "v2.0": "CreativeML Open RAIL++-M",
}
IDENTIFIERS = {"v1.4": "CreativeML-OpenRAIL-M", "v1.5": "CreativeML-OpenRAIL-M", "v2.0": "OpenRAIL++-M"}

_TITLE = re.compile(r"\bcreativeml open ?rail(\+\+)? m\b")
_TITLE_AS_WRITTEN = re.compile(r"creativeml\s+open\s*rail(\+\+)?[-\s]+m\b", re.IGNORECASE)
_ATTACHMENT = re.compile(r"\battachment a use restrictions\b")
_LATEST_VERSION = "undertake reasonable efforts to use the latest version of the model"
_DUTIES = {
    "paragraph 4 (distribution)": "4 distribution and redistribution",
    "paragraph 4a (pass the use restrictions on)": "must be included as an enforceable provision by you",
    "paragraph 4b (give a copy of the licence)": "a copy of this license",
    "paragraph 4c (mark what was changed)": "to carry prominent notices stating that you changed the files",
    "paragraph 4d (keep the notices)": "retain all copyright patent trademark and attribution notices",
    "paragraph 5 (bind the users)": "you shall require all of your users",
}
# A characteristic phrase for each item of Attachment A, in order.
_RESTRICTIONS = (
    "national federal state local or international law",
    "exploit or harm minors",
    "verifiably false information",
    "personal identifiable information that can be used to harm",
    "defame disparage or otherwise harass",
    "fully automated decision making",
    "online or offline social behavior",
    "vulnerabilities of a specific group of persons",
    "legally protected characteristics or categories",
    "medical advice and medical results interpretation",
    "administration of justice law enforcement immigration or asylum",
)
# How a plugin's own terms refer to the restrictions, and how they bind users to them.
_SPOKEN_OF = re.compile(
    r"\buse (?:based )?restrictions?\b|\battachment a\b|\brestricted uses\b|\bopen ?rail\b|"
    r"\bprohibited uses?\b|使用限制|附件 ?a|附录 ?a|"
    r"利用制限|使用制限|別紙 ?a|添付 ?a|사용 ?제한|부록 ?a|첨부 ?a"
)
_BINDING = re.compile(
    r"\b(?:must|shall|agree|agrees|bound|binds|subject to|comply|complies|required|may not|under the terms|"
    r"accept|accepts)\b|必须|须|不得|遵守|同意|なければならない|守らなければ|준수|동의|해야"
)
_NEAR = 400  # characters between the two
# Who holds the rights in the models, by the copyright lines of their licences.
_HOLDERS = {
    "v1.4": r"rombach|esser|compvis|stability ai|runway",
    "v1.5": r"rombach|esser|compvis|stability ai|runway",
    "v2.0": r"rombach|esser|stability ai",
}
_CHANGED = re.compile(
    r"\b(?:changed|changes|modified|modifications?|derived|derivatives?|fine ?tuned?|trained|merged|"
    r"distilled|converted|pruned|made (?:from|on|with|for))\b|"
    r"训练|微调|修改|衍生|学習|微調整|改変|派生|학습|미세 ?조정|수정|파생"
)
_NAMES = {
    "v1.4": r"stable diffusion|\bsd ?v?1 ?4\b|\bv1 ?4\b",
    "v1.5": r"stable diffusion|\bsd ?v?1 ?5\b|\bv1 ?5\b",
    "v2.0": r"stable diffusion|\bsd ?v?2(?: ?0)?\b|\bv2 ?0\b",
}


@dataclass(frozen=True)
class Statement:
    """Whether a text states something: `yes` names the file; `maybe` means that a person must read it."""

    answer: str  # "yes", "maybe" or "no"
    file: str = ""


def base_terms(text: str, model_type: str) -> list[str]:
    """What is missing or wrong in the licence text passed on for `model_type` (v1.4, v1.5, v2.0); empty when
    it is whole.

    Raises `KeyError` for another model type.
    """
    title = TITLES[model_type]
    words = normalise(text)
    problems = _title_problems(words, title)
    problems += [f"{name} is missing" for name, phrase in _DUTIES.items() if phrase not in words]
    if title.endswith("RAIL-M") and _LATEST_VERSION not in words:
        problems.append("paragraph 7 (use the latest version) is missing")
    if title.endswith("++-M") and _LATEST_VERSION in words:
        problems.append(
            "paragraph 7 is that of OpenRAIL-M: this is the text for v1.4 and v1.5 under another title"
        )
    attachment = _attachment_problems(words)
    return [*problems, *attachment] if problems else _alterations(text, model_type, attachment)


def of_edition(text: str, model_type: str) -> str:
    """The part for `model_type` of a file with the licences of both editions in sequence; a text with a
    single edition is unchanged.
    """
    titles = list(_TITLE_AS_WRITTEN.finditer(text))
    cuts = [
        title.start() for before, title in pairwise(titles) if bool(before.group(1)) != bool(title.group(1))
    ]
    if len(cuts) != 1:
        return text
    wanted, first = TITLES[model_type].endswith("++-M"), bool(titles[0].group(1))
    return text[: cuts[0]] if wanted == first else text[cuts[0] :]


def slips(text: str, model_type: str) -> str:
    """The few words that differ from the licence of `model_type`; empty if it matches, or differs more."""
    match = matches_text(IDENTIFIERS[model_type], text)
    return _quoted(match.quotes) if match.state == "near" else ""


def restrictions_passed_on(texts: Mapping[str, str]) -> Statement:
    """Whether the plugin's own terms (file -> text, without the model's licence) bind users to the use
    restrictions: paragraphs 4a and 5. `maybe` if they are mentioned, but not binding.
    """
    spoken = ""
    for file, text in texts.items():
        words = normalise(text)
        for match in _SPOKEN_OF.finditer(words):
            spoken = spoken or file
            around = words[max(0, match.start() - _NEAR) : match.end() + _NEAR]
            if _BINDING.search(around):
                return Statement("yes", file)
    return Statement("maybe", spoken) if spoken else Statement("no")


def attribution_kept(texts: Mapping[str, str], model_type: str) -> Statement:
    """Whether any text (file -> text) keeps the copyright notice of the model's authors: paragraph 4d."""
    holder = re.compile(_HOLDERS[model_type])
    for file, text in texts.items():
        lines = [line.lower() for line in text.splitlines()]
        if any(
            ("copyright" in line or "\u00a9" in line or "(c)" in line) and holder.search(line)
            for line in lines
        ):
            return Statement("yes", file)
    named = next((file for file, text in texts.items() if holder.search(text.lower())), "")
    return Statement("maybe", named) if named else Statement("no")


def change_stated(texts: Mapping[str, str], model_type: str) -> Statement:
    """Whether a notice (file -> text) says that weights were made from the base model: paragraph 4c.

    Both must be close together: that something was changed, trained or derived, and from what.
    """
    name = re.compile(_NAMES[model_type])
    changed = ""
    for file, text in texts.items():
        words = normalise(text)
        for match in _CHANGED.finditer(words):
            changed = changed or file
            around = words[max(0, match.start() - 200) : match.end() + 200]
            if name.search(around):
                return Statement("yes", file)
    return Statement("maybe", changed) if changed else Statement("no")


def _title_problems(words: str, title: str) -> list[str]:
    match = _TITLE.search(words)
    if match is None:
        return [f'the title "{title}" is missing']
    if bool(match.group(1)) != title.endswith("++-M"):
        return [f'this is another licence: the model is under "{title}"']
    return []


def _attachment_problems(words: str) -> list[str]:
    heads = list(_ATTACHMENT.finditer(words))
    if not heads:
        return ["Attachment A with its use restrictions is missing"]
    attachment = words[heads[-1].end() :]
    count = sum(phrase in attachment for phrase in _RESTRICTIONS)
    total = len(_RESTRICTIONS)
    return [] if count == total else [f"Attachment A has {count} of its {total} use restrictions"]


def _alterations(text: str, model_type: str, attachment: list[str]) -> list[str]:
    """Changes that the duties do not cover: words added, or removed elsewhere. If the attachment has
    problems, they name what is missing, and only additions are reported here.
    """
    match = matches_text(IDENTIFIERS[model_type], text)
    if match.state != "differs":
        return attachment
    quotes = [quote for quote in match.quotes if "added: " in quote or not attachment]
    altered = [f"the text was altered: {_quoted(quotes)}"] if quotes or not attachment else []
    return [*attachment, *altered]


def _quoted(quotes: Sequence[str]) -> str:
    return "; ".join(f'"{quote}"' for quote in list(dict.fromkeys(quotes))[:3])
