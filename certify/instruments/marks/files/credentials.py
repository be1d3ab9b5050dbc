"""Judges C2PA content credentials: the signature shows who makes a claim, and the claim itself is read
too.

The report comes from `certify.decoders.credentials`. "Trusted" alone says nothing about AI: a manifest that
claims a camera is trusted too. Names of issuers are no evidence, because anyone can write them into a
certificate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from certify.instruments.marks.files.xmp import AI_TERMS, OTHER_TERMS, source_term
from certify.instruments.marks.layers import Layer

_CAUSES = {
    "assertion.dataHash.mismatch": (
        "the signed file was different: something was written after signing, or the manifest "
        "belongs to another image",
        "Sign last of all: metadata and pixels first.",
    ),
    "claimSignature.mismatch": ("the manifest was altered after it was signed", "Sign again."),
    "signingCredential.expired": ("the certificate has expired", "Sign with a valid certificate."),
}
_UNTRUSTED = "signingCredential.untrusted"
_SIGN = "Sign with marking.credentials; the first action is c2pa.created with a digitalSourceType."


def judge_credentials(report: Mapping[str, Any], anchored: bool) -> Layer:
    """Judges the report of an image; `anchored` if there is a trust list.

    `present`: whole, signed under a trust anchor, and claiming AI-generated media. `contradictory`: whole,
    and claiming other media. `malformed`: broken, or not signed by anyone on the list. `not-checkable-here`:
    whole, but without a list of trusted signers.
    """
    if not report.get("found"):
        return Layer("credentials", "absent", "", "there is no C2PA manifest", _SIGN)
    if broken := report.get("broken"):
        return Layer("credentials", "malformed", "", f"the manifest cannot be read: {broken}"[:200], _SIGN)
    failures = [str(code) for code in report.get("failures", ())]
    facts = {
        key: str(report.get(key, ""))[:200]
        for key in ("issuer", "signed", "label", "instance", "generator", "version", "state")
    }
    if serious := [code for code in failures if code != _UNTRUSTED]:
        reason, fix = _CAUSES.get(serious[0], (serious[0], _SIGN))
        return Layer(
            "credentials", "malformed", facts["issuer"], f"{reason} ({serious[0]})", fix, facts=facts
        )
    terms = [source_term(str(action.get("source_type", ""))) for action in report.get("actions", ())]
    claimed = next((term for term in terms if term), "")
    if claimed in OTHER_TERMS:
        reason = f"it claims {claimed}, which does not say that the image is AI-generated"
        return Layer("credentials", "contradictory", facts["issuer"], reason, _SIGN, facts=facts)
    if claimed not in AI_TERMS:
        reason = "no action says by digitalSourceType that the image is AI-generated"
        return Layer("credentials", "malformed", facts["issuer"], reason, _SIGN, facts=facts)
    if report.get("state") == "Trusted" and not failures:
        return Layer("credentials", "present", facts["issuer"], facts=facts)
    if anchored:
        reason = "the signer is not on the trust list"
        return Layer(
            "credentials", "malformed", facts["issuer"], reason, "Use a certificate of the list.", facts=facts
        )
    reason = "it is whole, but there is no trust list to check the signer"
    return Layer("credentials", "not-checkable-here", facts["issuer"], reason, facts=facts)


def replayed(layers: Iterable[Layer]) -> list[str]:
    """Manifests that several images carry: each image has its own, so at least one was copied."""
    labels = Counter(layer.facts["label"] for layer in layers if layer.facts.get("label"))
    return [label for label, count in labels.items() if count > 1]
