"""Content credentials (C2PA): the author's signature over the finished file. Nothing is written after it.

Needs the extra `c2pa`. The chain and the key are the author's own. No time stamp is fetched, so nothing is
sent over the network.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SDKError
from ..version import __version__
from .metadata import TRAINED_ALGORITHMIC_MEDIA

if TYPE_CHECKING:
    from .metadata import Provider

ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
# A thumbnail would make the file several times larger, and show the image without its mark.
_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


@dataclass(frozen=True)
class Credentials:
    """`chain` is a PEM file, the leaf first; `key` a PEM file (PKCS 8). The leaf needs the extended key usage
    emailProtection or another that C2PA allows.
    """

    chain: Path
    key: Path
    algorithm: str = "es256"


def sign(
    png: bytes,
    credentials: Credentials,
    provider: Provider | None = None,
    source_type: str = TRAINED_ALGORITHMIC_MEDIA,
) -> bytes:
    """The PNG with a signed manifest which declares that a trained model created it.

    Raises SDKError if c2pa-python is missing, a file cannot be read, or the signature is refused.
    """
    try:
        import c2pa
    except ImportError as error:
        raise _refused(f"{error}", "Install it: pip install sd-certify[c2pa].") from error
    try:
        chain, key = credentials.chain.read_bytes(), credentials.key.read_bytes()
    except OSError as error:
        raise _refused(f"{error.filename}: {error.strerror}", "Name files that can be read.") from error
    try:
        info = c2pa.C2paSignerInfo(credentials.algorithm.encode(), chain, key, None)
        settings = c2pa.Settings.from_json(json.dumps(_SETTINGS))
        out = io.BytesIO()
        with (
            c2pa.Context(settings) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(json.dumps(_manifest(provider, source_type)), context=context) as builder,
        ):
            builder.sign(signer, "image/png", io.BytesIO(png), out)
    except c2pa.C2paError as error:
        hint = "The chain must be the leaf, then its CA; the leaf digitalSignature and emailProtection."
        raise _refused(str(error), hint) from error
    return out.getvalue()


def _manifest(provider: Provider | None, source_type: str) -> dict[str, Any]:
    name, version = (provider.system, provider.version) if provider else ("sd-certify SDK", __version__)
    agent = {"name": name, "version": version}
    action = {"action": "c2pa.created", "digitalSourceType": source_type, "softwareAgent": agent}
    return {
        "claim_generator_info": [agent],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }


def _refused(reason: str, hint: str) -> SDKError:
    return SDKError(f"The image cannot be signed: {reason}.", [hint], code="ERR_MARK_NOT_WRITTEN")
