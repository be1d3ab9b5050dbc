"""The licence in a Python package's METADATA (core metadata 2.4; PEP 639 and the classifiers before it)."""

from __future__ import annotations

import email
import re
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from .identifiers import check_expression

# Classifiers of https://pypi.org/classifiers that name a single licence; the others name a family.
_CLASSIFIERS = {
    "Academic Free License (AFL)": "AFL-3.0",
    "Apache Software License": "Apache-2.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "BSD License": "BSD-3-Clause",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "Free for non-commercial use": "LicenseRef-Non-Commercial",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License (GPL)": "GPL-2.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.1-or-later",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "zlib/libpng License": "Zlib",
    "Zope Public License": "ZPL-2.1",
}
# How people write it in the free field, in small letters.
_FREE = {
    "apache": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0", "apache2": "Apache-2.0", "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause", "3-clause bsd license": "BSD-3-Clause", "new bsd": "BSD-3-Clause",
    "mit license": "MIT", "the mit license": "MIT", "mpl 2.0": "MPL-2.0", "psf": "PSF-2.0",
    "gplv3": "GPL-3.0-only", "lgplv3": "LGPL-3.0-only", "agplv3": "AGPL-3.0-only",
}  # fmt: skip
_NON_COMMERCIAL = re.compile(r"non[- ]?commercial", re.IGNORECASE)


@dataclass(frozen=True)
class Package:
    """One package: `licence` is an SPDX expression, empty if the metadata has none; `said` is the text of the
    free field; `platforms` are the systems that it was resolved for.
    """

    name: str
    version: str
    licence: str = ""
    said: str = ""
    platforms: tuple[str, ...] = ()


def read_metadata(text: str, name: str, version: str, platforms: tuple[str, ...] = ()) -> Package:
    """The package of a METADATA text."""
    message = email.message_from_string(text)
    said = str(message.get("License", "")).strip()
    licence = _expression(str(message.get("License-Expression", "")).strip())
    licence = licence or _of_classifiers([str(row) for row in message.get_all("Classifier", [])])
    licence = licence or _of_free_text(said)
    return Package(
        canonicalize_name(name), version, licence, said.splitlines()[0][:120] if said else "", platforms
    )


def _expression(text: str) -> str:
    return text if text and not check_expression(text) else ""


def _of_classifiers(rows: list[str]) -> str:
    """All of them count. For a package with two it is unknown which applies, so the stricter reading,
    `AND`, is taken.
    """
    names = [row.rpartition(" :: ")[2] for row in rows if row.startswith("License :: ")]
    licences = [_CLASSIFIERS[name] for name in names if name in _CLASSIFIERS]
    return " AND ".join(dict.fromkeys(licences))


def _of_free_text(said: str) -> str:
    if len(said) <= 80 and said:
        known = _FREE.get(said.lower()) or _expression(said)
        if known:
            return known
    return "LicenseRef-Non-Commercial" if _NON_COMMERCIAL.search(said[:400]) else ""
