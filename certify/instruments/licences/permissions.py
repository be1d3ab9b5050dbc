"""The permissions of a licence for a store and a buyer: sale, conditions, and share-alike.

Categories are those of the licence index that license-expression carries (from ScanCode LicenseDB,
CC-BY-4.0); that index has no use restrictions, so the RAIL family is defined here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from license_expression import get_license_index

from .identifiers import RAIL_IDS, canonical, is_non_commercial, parse
from .texts import family

Sale = Literal["yes", "no", "conditions", "unknown"]
Sharing = Literal["none", "parts", "whole", "network"]

_NETWORK = ("AGPL-", "SSPL-", "OSL-", "CPAL-", "EUPL-", "RPL-")
_SHARED_ALIKE = ("CC-BY-SA", "CC-BY-NC-SA", "ODbL", "OFL")
# Source-available licences with limits on commercial use.
_LIMITED = ("BUSL-", "Elastic-", "PolyForm-", "FSL-", "CC-BY-ND", "Aladdin")
_OPEN = {"Permissive", "Public Domain", "Copyleft", "Copyleft Limited", "CLA", "Patent License"}


@dataclass(frozen=True)
class Permission:
    """`sale`: may the work be part of something sold; `sharing`: how much must be given under the same terms;
    `use_limits`: whether use restrictions go with it.
    """

    sale: Sale
    sharing: Sharing
    use_limits: bool

    def __str__(self) -> str:
        sale = {
            "yes": "may be sold",
            "no": "may not be sold",
            "conditions": "sale on conditions",
            "unknown": "sale: needs review",
        }[self.sale]
        shared = {"none": "", "parts": "changes shared alike", "whole": "whole work shared alike",
                  "network": "shared alike, users over a network too"}[self.sharing]  # fmt: skip
        return "; ".join(
            filter(None, (sale, shared, "use restrictions passed on" if self.use_limits else ""))
        )


_STRICTER: tuple[Sharing, ...] = ("none", "parts", "whole", "network")
_HARDER: tuple[Sale, ...] = ("yes", "conditions", "unknown", "no")


def permission(expression: str) -> Permission:
    """What an SPDX expression allows: the strictest part of an `AND`, the most permissive part of an `OR`.
    An expression that can't be parsed is `unknown`.
    """
    parsed = parse(expression)
    return Permission("unknown", "none", False) if parsed is None else _of(parsed)


def _of(parsed: Any) -> Permission:
    operator = getattr(parsed, "operator", "")
    if operator not in (" AND ", " OR "):
        # Of `GPL-2.0-only WITH ...` the licence counts; an exception only adds permissions.
        return _of_one(canonical(str(getattr(parsed, "license_symbol", parsed))))
    rows = [_of(part) for part in parsed.args]
    choose = max if operator == " AND " else min
    return Permission(
        choose((row.sale for row in rows), key=_HARDER.index),
        choose((row.sharing for row in rows), key=_STRICTER.index),
        (all if operator == " OR " else any)(row.use_limits for row in rows),
    )


def _of_one(identifier: str) -> Permission:
    rail = identifier.lower() in {name.lower() for name in RAIL_IDS} or "rail" in identifier.lower()
    if is_non_commercial(identifier):
        return Permission("no", _sharing(identifier), rail)
    if rail:
        return Permission("yes", "none", True)
    if identifier.startswith(_LIMITED):
        return Permission("conditions", "none", False)
    category = _categories().get(family(identifier).lower(), "")
    sale: Sale = "yes" if category in _OPEN else "conditions" if category else "unknown"
    return Permission(sale, _sharing(identifier), False)


def _sharing(identifier: str) -> Sharing:
    if identifier.startswith(_NETWORK):
        return "network"
    category = _categories().get(family(identifier).lower(), "")
    if identifier.startswith(_SHARED_ALIKE) or category == "Copyleft Limited":
        return "parts"
    return "whole" if category == "Copyleft" else "none"


@cache
def _categories() -> dict[str, str]:
    return {
        family(str(name)).lower(): str(row["category"])
        for row in get_license_index()
        for name in (row.get("spdx_license_key"), *row.get("other_spdx_license_keys", ()))
        if name
    }
