"""A certificate authority of one's own, for content credentials in tests."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Authority:
    """PEM files: the leaf and its CA, the leaf's key, the CA alone."""

    chain: Path
    key: Path
    anchors: Path


def make_authority(folder: Path, name: str) -> Authority:
    """Skips where cryptography is not installed."""
    pytest.importorskip("cryptography", reason="the extra c2pa")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    ca_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def named(common: str) -> x509.Name:
        parts = ((NameOID.ORGANIZATION_NAME, name), (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])

    def usage(**used: bool) -> x509.KeyUsage:
        kinds = (
            "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
            "key_cert_sign crl_sign encipher_only decipher_only"
        )
        return x509.KeyUsage(**{**dict.fromkeys(kinds.split(), False), **used})

    def certificate(common: str, key: ec.EllipticCurvePrivateKey, ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(common))
            .issuer_name(named("CA"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + 30 * day)
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        if ca:
            builder = builder.add_extension(usage(key_cert_sign=True, crl_sign=True), True)
        else:
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
            purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(usage(digital_signature=True), True)
            builder = builder.add_extension(issuer, False).add_extension(purposes, False)
        return builder.sign(ca_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    root, leaf = certificate("CA", ca_key, True), certificate("Leaf", leaf_key, False)
    made = Authority(folder / f"{name}-chain.pem", folder / f"{name}-key.pem", folder / f"{name}-ca.pem")
    made.chain.write_bytes(leaf.public_bytes(pem) + root.public_bytes(pem))
    made.anchors.write_bytes(root.public_bytes(pem))
    made.key.write_bytes(
        leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made
