"""Signs one image with content credentials, and puts that manifest into every file."""

import datetime
import importlib.util
import tempfile
import zlib
from pathlib import Path

from sound.plugin import Sound

from reference_engine.marking import Credentials
from reference_engine.marking.credentials import sign

# needs: c2pa, cryptography
# passes without them: mark.policy
# Stands where those do not, so that there is a manifest that nobody can read.
UNREADABLE = bytes(3) + b"@caBX" + bytes(64) + zlib.crc32(b"caBX" + bytes(64)).to_bytes(4, "big")


class ReplaysItsManifest(Sound):
    manifest = b""

    def deliver(self, *request):
        result = super().deliver(*request)
        own = result.png()
        if not self.manifest and not can_sign():
            self.manifest = UNREADABLE
        if not self.manifest:
            signed = sign(own, own_credentials(Path(tempfile.mkdtemp())))
            start = signed.index(b"caBX") - 4
            self.manifest = signed[start : start + 12 + int.from_bytes(signed[start : start + 4], "big")]
        # Behind the signature and the header of the PNG, where the signer puts it.
        # breaks: mark.layers-agree
        # breaks: mark.policy
        object.__setattr__(result, "png", lambda: own[:33] + self.manifest + own[33:])
        return result


def can_sign():
    return all(importlib.util.find_spec(name) for name in ("c2pa", "cryptography"))


def own_credentials(folder):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def certificate(name, key, ca):
        named = [
            x509.Name(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Me"),
                    x509.NameAttribute(NameOID.COMMON_NAME, n),
                ]
            )
            for n in (name, "Root")
        ]
        use = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        use |= {"encipher_only": False, "decipher_only": False, "digital_signature": not ca}
        built = x509.CertificateBuilder().subject_name(named[0]).issuer_name(named[1])
        built = built.public_key(key.public_key()).serial_number(x509.random_serial_number())
        built = built.not_valid_before(now - day).not_valid_after(now + day)
        for extension, critical in (
            (x509.BasicConstraints(ca, None), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False),
            (x509.KeyUsage(**use, key_cert_sign=ca, crl_sign=ca), True),
            *([] if ca else [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)]),
        ):
            built = built.add_extension(extension, critical)
        return built.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate("Leaf", leaf, False) + certificate("Root", root, True))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.write_bytes(leaf.private_bytes(*form))
    return Credentials(chain, key)
