"""A certificate authority of a release's own, and the certificate that it signs for the registry.

Decided here, from what is there now and the time: what is kept, what is made anew, and why. Nothing
is read or written. ECDSA on P-256, because every client that speaks to a registry knows it and an
RSA key of that strength takes seconds to make.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from registry_gc.addresses import IP, Address, ip, unique

_EARLIER = timedelta(hours=1)  # clocks of nodes and clients differ from ours
_LONGEST_COMMON_NAME = 64  # characters (RFC 5280)
# For so long a new authority signs nothing if it need not: nodes and clients learn of it first.
_LEARN = timedelta(minutes=15)
_SHARE_LEFT = 3  # renewed once less than one third of its life is left
_MOST_RETIRED = 4  # authorities in a bundle besides the current one


@dataclass(frozen=True, slots=True)
class Terms:
    """For whom the certificate is, how long it and its authority live.

    A year, so that a forgotten trust is noticed while somebody remembers it; ten years, because a
    new authority is work for who has trusted the old one by hand.
    """

    release: str
    hosts: tuple[str, ...]
    lifetime: timedelta = timedelta(days=365)
    authority_lifetime: timedelta = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Held:
    """What is kept between two runs, PEM all of it; what is missing or damaged is made anew.

    `bundle` is what clients are to trust: the authority, and those before it while certificates of
    theirs may be served.
    """

    certificate: bytes = b""
    key: bytes = b""
    bundle: bytes = b""
    authority: bytes = b""
    authority_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What is to be held from now on, and why something of it is new; empty for what is kept."""

    held: Held
    why_authority: str = ""
    why_certificate: str = ""
    ends: datetime | None = None


def renewed(held: Held, terms: Terms, now: datetime) -> Renewal:
    """Return what to hold at this time; without a reason to renew exactly what is held."""
    before = held
    why_authority = _fault_of_authority(held, terms, now)
    if why_authority:
        held = replace(held, **_new_authority(terms, now))
    why_certificate = _fault_of_certificate(held, terms, now)
    if why_certificate:
        held = replace(held, **_new_certificate(held, terms, now))
    bundle = _bundle(held, before, terms, now)
    if _pems(bundle) != _pems(held.bundle):
        held = replace(held, bundle=bundle)
    return Renewal(
        held, why_authority, why_certificate, _certificate(held.certificate).not_valid_after_utc
    )


def hosts_of(addresses: Iterable[Address]) -> tuple[str, ...]:
    """Return the names that a certificate needs for these addresses, each once."""
    return tuple(address.host for address in unique(Address(each.host) for each in addresses))


def hosts_in(pem: bytes) -> set[str]:
    """Return the names and addresses that a certificate is for, none for what is no certificate."""
    try:
        names = _names(x509.load_pem_x509_certificate(pem))
    except ValueError:
        return set()
    return {str(name) for name in names}


def _fault_of_authority(held: Held, terms: Terms, now: datetime) -> str:
    """Return why an authority cannot go on, empty if it can."""
    if not held.authority or not held.authority_key:
        return "there is none"
    try:
        certificate = _certificate(held.authority)
        is_its_key = _public(certificate) == _key(held.authority_key).public_key()
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return "it cannot be read"
    if not is_its_key or not constraints.value.ca:
        return "its key does not belong to it"
    if now < certificate.not_valid_before_utc:
        return "it begins in the future"
    # A certificate must not outlive who signed it.
    if certificate.not_valid_after_utc < now + terms.lifetime:
        return (
            f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}, before a new certificate would"
        )
    return ""


def _fault_of_certificate(held: Held, terms: Terms, now: datetime) -> str:
    """Return why a certificate cannot go on, empty if it can."""
    if not held.certificate or not held.key:
        return "there is none"
    try:
        certificate = _certificate(held.certificate)
        is_its_key = _public(certificate) == _key(held.key).public_key()
        names = {str(name) for name in _names(certificate)}
    except (ValueError, TypeError):
        return "it cannot be read"
    if not is_its_key:
        return "its key does not belong to it"
    if not _is_signed_by(certificate, _certificate(held.authority)) and not (
        _is_new(held, now) and any(_is_signed_by(certificate, each) for each in _pems(held.bundle))
    ):
        return "its authority is another one"
    # More names than needed are fine: a node that has left would else mean a new certificate.
    if missing := sorted(set(terms.hosts) - names):
        return f"it is not for {', '.join(missing)}"
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        return "it begins in the future"
    if ends - now < (ends - begins) / _SHARE_LEFT:
        return f"it ends on {ends:%Y-%m-%d}"
    return ""


def _is_new(held: Held, now: datetime) -> bool:
    """Say whether the authority was made so lately that not everybody may trust it yet."""
    return now < _certificate(held.authority).not_valid_before_utc + _EARLIER + _LEARN


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _new_authority(terms: Terms, now: datetime) -> dict[str, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # Each by a name of its own: programs that look an issuer up by name must not meet the old one.
    name = _name(f"{terms.release} CA {now:%Y-%m-%d} {serial % 16**6:06x}")
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), serial)
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + terms.authority_lifetime)
        # It signs servers' certificates and no further authority.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return {"authority": certificate.public_bytes(Encoding.PEM), "authority_key": _pem_of(key)}


def _new_certificate(held: Held, terms: Terms, now: datetime) -> dict[str, bytes]:
    issuer, issuer_key = _certificate(held.authority), _key(held.authority_key)
    issuer_identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder(
            issuer.subject, _name(terms.release), public, x509.random_serial_number()
        )
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + terms.lifetime)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, terms.hosts)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_identifier.value),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return {"certificate": certificate.public_bytes(Encoding.PEM), "key": _pem_of(key)}


def _bundle(held: Held, before: Held, terms: Terms, now: datetime) -> bytes:
    """Return what clients are to trust: the authority first, then those whose work may be served.

    A registry serves what it read at its start, and nodes learn of a bundle a little later: so an
    authority stays until the last certificate that it can have signed has ended.
    """
    current = _certificate(held.authority)
    # It was made when the one before it signed for the last time.
    last_leaf_ends = current.not_valid_before_utc + _EARLIER + terms.lifetime
    retired = [
        certificate
        for certificate in dict.fromkeys([*_pems(before.authority), *_pems(before.bundle)])
        if certificate != current and now < min(certificate.not_valid_after_utc, last_leaf_ends)
    ]
    kept = [current, *retired[:_MOST_RETIRED]]
    return b"".join(each.public_bytes(Encoding.PEM) for each in kept)


def _pems(content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content) if content else []
    except ValueError:
        return []


def _certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("not a key of ours")
    return key


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not a key of ours")
    return key


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_LONGEST_COMMON_NAME])])


def _general_name(host: str) -> x509.GeneralName:
    address = ip(host)
    return x509.IPAddress(address) if address is not None else x509.DNSName(host)


def _names(certificate: x509.Certificate) -> list[str | IP]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names: list[str | IP] = list(found.get_values_for_type(x509.DNSName))
    addresses = found.get_values_for_type(x509.IPAddress)
    # A network only constrains names.
    return [*names, *(each for each in addresses if isinstance(each, IP))]


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,  # of an EC key nothing is enciphered
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
