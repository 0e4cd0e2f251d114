"""A certificate for this machine, made at start, and a bundle that trusts it in addition to the public ones.

The bundle contains the public authorities too, because a client that reads them again for each of its sessions pays
for that in production as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

__all__ = ["ADDRESS", "Certificate", "make_certificate"]

ADDRESS = "127.0.0.1"
"""Nothing leaves this machine. At a poll interval of 10 s our client polls a local service as often as any other."""


@dataclass(frozen=True)
class Certificate:
    """Paths of PEM files.

    :ivar chain: certificate and key of the server. :ivar bundle: the authorities that a client trusts.
    """

    chain: Path
    bundle: Path


def make_certificate(folder: Path) -> Certificate:
    """Create an authority and a certificate for :data:`ADDRESS`, of the common kind: elliptic curve, P-256."""
    import certifi
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.now(timezone.utc)
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark authority")])

    def certificate(
        name: x509.Name, public: ec.EllipticCurvePublicKey, *, is_authority: bool
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=is_authority,
                    crl_sign=is_authority,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )

    root = certificate(issuer, authority.public_key(), is_authority=True).sign(authority, hashes.SHA256())
    leaf = (
        certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ADDRESS)]), key.public_key(), is_authority=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(ADDRESS)), x509.DNSName("localhost")]),
            critical=False,
        )
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    chain, bundle = folder / "server.pem", folder / "trusted.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(leaf.public_bytes(pem) + private)
    chain.chmod(0o600)
    bundle.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + root.public_bytes(pem))
    return Certificate(chain=chain, bundle=bundle)
