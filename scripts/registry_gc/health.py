"""Whether a registry answers as its clients would ask: `GET /v2/`, with or without TLS."""

import hashlib
import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import Literal

from registry_gc.addresses import Address
from registry_gc.client_certificates import wants_client_certificate
from registry_gc.environment import is_in_cluster

UNKNOWN = "NotAsked"

_TIMEOUT = 5.0  # seconds for one answer
_OTHER_NAMES = frozenset({62, 64})  # OpenSSL's codes for a certificate of another host, or address


@dataclass(frozen=True, slots=True)
class Health:
    """What came of asking. `reason` is one word for programs, `message` a sentence for people."""

    reason: str
    message: str
    healthy: bool = False


def ask(address: Address, scheme: Literal["http", "https"], bundle: str = "") -> Health:
    """Ask a registry; `bundle` is who may have signed its certificate, empty for the system's.

    One that somebody else signed is no registry of ours. One for other names is: a public
    certificate cannot name a Service, and clients outside use another address than we do here.
    """
    url = f"{scheme}://{address}/v2/"
    note = ""
    try:
        try:
            status = _status(_connection(address, scheme, bundle))
        except ssl.SSLCertVerificationError as error:
            if error.verify_code not in _OTHER_NAMES:
                raise
            note = f"; its certificate does not name {address.host}, so pods must not use that name"
            status = _status(_connection(address, scheme, bundle, any_name=True))
    except ssl.SSLCertVerificationError as error:
        hint = "" if bundle else " (a private authority must be the Secret's ca.crt)"
        return Health("CertificateNotBelieved", f"{url}: {error.verify_message}{hint}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        if scheme == "https" and wants_client_certificate(_with_port(address, scheme)):
            said = f"{url} asks who we are, so it is there"
            return Health("WantsClientCertificate", said, healthy=True)
        if not isinstance(error, ssl.SSLError) and not is_in_cluster():
            said = f"{url} was not asked, because pods are not reached from outside of the cluster"
            return Health(UNKNOWN, said)
        if isinstance(error, ssl.SSLError):
            return Health("NoTLS", f"{url}: {error.reason or error}")
        return Health("NoAnswer", f"{url}: {error or type(error).__name__}")
    # 401 is how a registry with passwords says that it is one.
    if status in (200, 401):
        return Health("Answers", f"{url} answers {status}{note}", healthy=True)
    return Health(f"Answers{status}", f"{url} answers {status}{note}")


def served_certificate(address: Address) -> str:
    """Return the SHA-256 of the certificate that is served there, empty if none can be seen."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only looked at: nothing is sent and nothing believed
    try:
        with (
            socket.create_connection((address.host, address.port), _TIMEOUT) as connection,
            context.wrap_socket(connection) as wrapped,
        ):
            return fingerprint(wrapped.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError):
        return ""


def fingerprint(der: bytes) -> str:
    """Return the SHA-256 of a certificate in DER, empty for nothing."""
    return hashlib.sha256(der).hexdigest() if der else ""


def first_fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of the first certificate in a file, empty if there is none."""
    text = pem.decode("ascii", errors="replace")
    begin, end = text.find("-----BEGIN CERTIFICATE-----"), text.find("-----END CERTIFICATE-----")
    if begin < 0 or end < begin:
        return ""
    try:
        return fingerprint(ssl.PEM_cert_to_DER_cert(text[begin:end] + "-----END CERTIFICATE-----"))
    except ValueError:
        return ""


def _status(connection: http.client.HTTPConnection) -> int:
    try:
        connection.request("GET", "/v2/")
        answer = connection.getresponse()
        answer.read(1024)
        return answer.status
    finally:
        connection.close()


def _connection(
    address: Address, scheme: str, bundle: str, *, any_name: bool = False
) -> http.client.HTTPConnection:
    address = _with_port(address, scheme)
    if scheme == "http":
        return http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT)
    context = ssl.create_default_context(cadata=bundle or None)
    # As container runtimes, Docker and curl believe it: Python 3.13 wants more of a certificate.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = not any_name
    return http.client.HTTPSConnection(
        address.host, address.port, timeout=_TIMEOUT, context=context
    )


def _with_port(address: Address, scheme: str) -> Address:
    return address if address.port else Address(address.host, 443 if scheme == "https" else 80)
