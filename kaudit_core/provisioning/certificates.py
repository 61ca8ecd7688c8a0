"""Certificates for the webhook: an authority of its own, and leaves that are renewed under it. PEM in, PEM out.

What API servers trust is the authority, so a new leaf cuts nobody off; a renewed authority keeps its name and key, so
that leaves of before and after it are good under either of its certificates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SKEW = timedelta(hours=1)
"""Clocks that are slow by this much take a new certificate at once."""
_CURVES = ec.SECP256R1
_NOTHING = {"content_commitment": False, "data_encipherment": False, "key_agreement": False}
_NEITHER = {"encipher_only": False, "decipher_only": False, "key_encipherment": False}


@dataclass(frozen=True)
class Pair:
    """A certificate, with what follows it in its chain, and its private key."""

    certificate: str
    key: str

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate itself; ValueError if it can't be read."""
        return x509.load_pem_x509_certificate(self.certificate.encode())

    @property
    def ends(self) -> datetime:
        """When it expires."""
        return end_of(self.leaf)


@dataclass(frozen=True)
class Wanted:
    """A leaf: for a server of these names and addresses, or for a client."""

    name: str
    server: bool
    names: Sequence[str] = ()
    addresses: Sequence[str] = ()


@dataclass(frozen=True)
class Term:
    """How long certificates last, and how long before their end they are renewed."""

    now: datetime
    days: int
    renew_before: int

    def over(self, ends: datetime) -> bool:
        """Whether a certificate that ends then is to be renewed."""
        return ends - self.now <= timedelta(days=self.renew_before)


def end_of(certificate: x509.Certificate) -> datetime:
    """When a certificate expires, in UTC: older releases of the library only tell it without a zone."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=UTC)


def fingerprint(certificate: str) -> str:
    """The SHA-256 of the first certificate in a PEM text."""
    return x509.load_pem_x509_certificate(certificate.encode()).fingerprint(SHA256()).hex()


def keep_authority(found: Pair | None, name: str, term: Term, leaf_days: int) -> tuple[Pair, str]:
    """The authority, and why it is another one than before ("": it isn't). It outlives every leaf that it may sign.

    Raises ValueError where what is there is no authority with its key: the API servers may trust it.
    """
    if found is None:
        return _authority(ec.generate_private_key(_CURVES()), _subject(name), term), "made"
    certificate, key = found.leaf, load_pem_private_key(found.key.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or _public(key) != _public(certificate):
        raise ValueError("the certificate and the key don't belong together")
    if found.ends - term.now <= timedelta(days=term.renew_before + leaf_days):
        return _authority(key, certificate.subject, term), "renewed with the same key"
    return found, ""


def keep_leaf(found: Pair | None, authority: Pair, wanted: Wanted, term: Term) -> tuple[Pair, str]:
    """The leaf, and why it is another one than before ("": it isn't)."""
    reason = "made" if found is None else why_renew(found, authority, wanted, term)
    return (_issue(authority, wanted, term), reason) if found is None or reason else (found, "")


def why_renew(found: Pair, authority: Pair, wanted: Wanted, term: Term) -> str:
    """Why a leaf can't stay; "" if it can."""
    try:
        leaf, key = found.leaf, load_pem_private_key(found.key.encode(), None)
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        leaf.verify_directly_issued_by(authority.leaf)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return "made: the one before was not of this authority"
    if _public(key) != _public(leaf):
        return "made: the one before had another key"
    if leaf.subject != _subject(wanted.name) or set(extension.value) != set(_alternatives(wanted)):
        return "made: for other names"
    return "renewed" if term.over(found.ends) else ""


def _authority(key: ec.EllipticCurvePrivateKey, subject: x509.Name, term: Term) -> Pair:
    usage = x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **_NOTHING, **_NEITHER)
    builder = (
        _builder(subject, key.public_key(), subject, term.now, term.now + timedelta(days=term.days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(_pem(builder.sign(key, SHA256())), _key_pem(key))


def _issue(authority: Pair, wanted: Wanted, term: Term) -> Pair:
    signing = load_pem_private_key(authority.key.encode(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey), "keep_authority has looked"
    key = ec.generate_private_key(_CURVES())
    ends = min(term.now + timedelta(days=term.days), authority.ends)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if wanted.server else ExtendedKeyUsageOID.CLIENT_AUTH
    usage = x509.KeyUsage(digital_signature=True, key_cert_sign=False, crl_sign=False, **_NOTHING, **_NEITHER)
    builder = (
        _builder(_subject(wanted.name), key.public_key(), authority.leaf.subject, term.now, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(wanted)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    return Pair(_pem(builder.sign(signing, SHA256())), _key_pem(key))


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(ends)
    )


def _alternatives(wanted: Wanted) -> list[x509.GeneralName]:
    names = wanted.names if wanted.server else [wanted.name]
    return [*map(x509.DNSName, names), *(x509.IPAddress(ip_address(address)) for address in wanted.addresses)]


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _public(holder: object) -> bytes:
    key = holder.public_key()  # type: ignore[attr-defined]
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
