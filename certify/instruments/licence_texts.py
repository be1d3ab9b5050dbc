"""Is a licence file the licence that it is declared to be? Told by phrases that the licence can't do without.

A phrase list is no lawyer: it finds the wrong file, a cut text and the usual additions, and knows a few
licences only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_MIT = (
    "permission is hereby granted free of charge to any person obtaining a copy",
    "to deal in the software without restriction",
    "sublicense and or sell copies of the software",
    "notice and this permission notice shall be included in all copies or substantial portions",
    "provided as is without warranty of any kind",
    "fitness for a particular purpose and noninfringement",
    "be liable for any claim damages or other liability",
    "use or other dealings in the software",
)
_BSD = (
    "redistribution and use in source and binary forms with or without modification are permitted",
    "redistributions of source code must retain the above copyright",
    "redistributions in binary form must reproduce the above copyright",
    "as is and any express or implied warranties",
    "direct indirect incidental special exemplary or consequential damages",
    "even if advised of the possibility of such damage",
)
_BSD_NAMES = (
    "used to endorse or promote products derived from this software without specific prior written permission"
)
_GPL3 = (
    "everyone is permitted to copy and distribute verbatim copies of this license document",
    "0 definitions",
    "conveying modified source versions",
    "conveying non source forms",
    "automatic licensing of downstream recipients",
    "no surrender of others freedom",
    "disclaimer of warranty",
    "limitation of liability",
    "end of terms and conditions",
)
_CC4 = (
    "creative commons corporation",
    "by exercising the licensed rights",
    "section 1 definitions",
    "section 2 scope",
    "section 3 license conditions",
    "section 5 disclaimer of warranties and limitation of liability",
    "section 6 term and termination",
    "section 8 interpretation",
)

# What must be there, in normalised words.
_PHRASES: dict[str, tuple[str, ...]] = {
    "MIT": _MIT,
    "ISC": (
        "permission to use copy modify and or distribute this software for any purpose with or without fee",
        "this permission notice appear in all copies",
        "provided as is and the author disclaims all warranties",
        "in connection with the use or performance of this software",
    ),
    "BSD-2-Clause": _BSD,
    "BSD-3-Clause": (*_BSD, _BSD_NAMES),
    "Apache-2.0": (
        "apache license version 2 0 january 2004",
        "1 definitions",
        "2 grant of copyright license",
        "3 grant of patent license",
        "4 redistribution",
        "5 submission of contributions",
        "6 trademarks",
        "7 disclaimer of warranty",
        "8 limitation of liability",
        "9 accepting warranty or additional liability",
    ),
    "GPL-3.0": ("gnu general public license version 3 29 june 2007", *_GPL3),
    "AGPL-3.0": (
        "gnu affero general public license version 3 19 november 2007",
        "remote network interaction",
        *_GPL3,
    ),
    "MPL-2.0": (
        "mozilla public license version 2 0",
        "2 1 grants",
        "3 1 distribution of source form",
        "5 termination",
        "6 disclaimer of warranty",
        "7 limitation of liability",
        "exhibit a source code form license notice",
    ),
    "CC-BY-4.0": ("attribution 4 0 international", *_CC4),
    "CC-BY-SA-4.0": ("attribution sharealike 4 0 international", *_CC4),
    "CC-BY-ND-4.0": ("attribution noderivatives 4 0 international", *_CC4),
    "CC-BY-NC-4.0": ("attribution noncommercial 4 0 international", "noncommercial purposes only", *_CC4),
    "CC-BY-NC-SA-4.0": ("attribution noncommercial sharealike 4 0 international", *_CC4),
    "CC-BY-NC-ND-4.0": ("attribution noncommercial noderivatives 4 0 international", *_CC4),
    "CC0-1.0": (
        "cc0 1 0 universal",
        "statement of purpose",
        "1 copyright and related rights",
        "2 waiver",
        "3 public license fallback",
        "4 limitations and disclaimers",
    ),
    "Unlicense": (
        "this is free and unencumbered software released into the public domain",
        "for any purpose commercial or non commercial and by any means",
        "relinquishment in perpetuity of all present and future rights",
        "in connection with the software or the use",
    ),
    "Zlib": (
        "provided as is without any express or implied warranty",
        "use this software for any purpose including commercial applications",
        "the origin of this software must not be misrepresented",
        "altered source versions must be plainly marked as such",
        "this notice may not be removed or altered from any source distribution",
    ),
    "BSL-1.0": (
        "boost software license version 1 0",
        "use reproduce display distribute execute and transmit the software",
        "must be included in all copies of the software in whole or in part",
        "provided as is without warranty of any kind",
    ),
}
# What must not be there: another licence's clause, or the usual additions to a free one.
_ADDITIONS = (
    "commons clause",
    "non commercial use only",
    "noncommercial use only",
    "may not sell",
    "not be used commercially",
)
_FOREIGN = {
    "BSD-2-Clause": (_BSD_NAMES, "neither the name"),
    "CC-BY-4.0": ("noncommercial purposes only", "sharealike 4 0", "noderivatives 4 0"),
    "CC-BY-SA-4.0": ("noncommercial purposes only",),
}
# Creative Commons lets a work name its licence by address (CC-BY-4.0, section 3.a.1.C).
_CC_ADDRESS = re.compile(r"creativecommons\.org/(?:licenses/([a-z-]+)/4\.0|publicdomain/(zero)/1\.0)")


@dataclass(frozen=True)
class TextMatch:
    """`score` is the share of phrases found; `missing` those that aren't, `foreign` those of other terms that
    are there.
    """

    state: Literal["matches", "differs", "not-checkable"]
    score: float
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def matches_text(identifier: str, text: str) -> TextMatch:
    """Whether `text` is the licence `identifier` (SPDX). An identifier without phrases here is
    `not-checkable`, never a match.

    A Creative Commons licence may be named by its address instead of given in full.
    """
    key = next((known for known in _PHRASES if known.lower() == _plain(identifier).lower()), None)
    if key is None:
        return TextMatch("not-checkable", 0.0)
    words = normalise(text)
    missing = tuple(phrase for phrase in _PHRASES[key] if phrase not in words)
    if missing and key.startswith("CC") and _cc_by_address(text) == {key}:
        missing = ()
    forbidden = _FOREIGN.get(key, ()) if key.startswith("CC") else (*_FOREIGN.get(key, ()), *_ADDITIONS)
    foreign = tuple(phrase for phrase in forbidden if phrase in words)
    score = 1 - len(missing) / len(_PHRASES[key])
    return TextMatch("differs" if missing or foreign else "matches", score, missing, foreign)


def normalise(text: str) -> str:
    """Lower-case words with single spaces: layout, quotes, comment signs and punctuation don't count; `++`
    stays.
    """
    return " ".join(re.findall(r"[^\W_]+(?:\+\+)?", text.lower().replace("\u2019", "").replace("'", "")))


def _plain(identifier: str) -> str:
    return re.sub(r"-(only|or-later)$|\+$", "", identifier.strip(), flags=re.IGNORECASE)


def _cc_by_address(text: str) -> set[str]:
    found = _CC_ADDRESS.findall(text.lower())
    return {"CC0-1.0" if zero else f"CC-{code.upper()}-4.0" for code, zero in found}
