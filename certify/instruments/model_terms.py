"""The base model's licence, which a plugin must pass on whole: CreativeML OpenRAIL-M (v1.4, v1.5), its ++-M
edition (v2.0).

Both texts oblige whoever distributes the model, or makes it available as a service, in paragraph 4, bind
users in paragraph 5, and list 11 use restrictions in Attachment A. They differ in the title and in paragraph
7: OpenRAIL-M asks for the latest version of the model.
"""

from __future__ import annotations

import re

from .licence_texts import normalise

TITLES = {
    "v1.4": "CreativeML Open RAIL-M",
    "v1.5": "CreativeML Open RAIL-M",
    "v2.0": "CreativeML Open RAIL++-M",
}

_TITLE = re.compile(r"\bcreativeml open ?rail(\+\+)? m\b")
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
# One telling phrase for each item of Attachment A, in its order.
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
    return problems + _attachment_problems(words)


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
    found = sum(phrase in attachment for phrase in _RESTRICTIONS)
    total = len(_RESTRICTIONS)
    return [] if found == total else [f"Attachment A has {found} of its {total} use restrictions"]
