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


@dataclass(frozen=True, slots=True)
class Health:
    """What came of asking. `reason` is one word for programs, `message` a sentence for people."""

    reason: str
    message: str
    healthy: bool = False


def ask(address: Address, scheme: Literal["http", "https"], bundle: str = "") -> Health:
    """Ask a registry; `bundle` is who may have signed its certificate, empty for the system's."""
    url = f"{scheme}://{address}/v2/"
    try:
        connection = _connection(address, scheme, bundle)
        try:
            connection.request("GET", "/v2/")
            answer = connection.getresponse()
            answer.read(1024)
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as error:
        return Health("CertificateNotBelieved", f"{url}: {error.verify_message}")
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
    if answer.status in (200, 401):
        return Health("Answers", f"{url} answers {answer.status}", healthy=True)
    return Health(f"Answers{answer.status}", f"{url} answers {answer.status}")


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


def _connection(address: Address, scheme: str, bundle: str) -> http.client.HTTPConnection:
    address = _with_port(address, scheme)
    if scheme == "http":
        return http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT)
    context = ssl.create_default_context(cadata=bundle or None)
    # As container runtimes, Docker and curl believe it: Python 3.13 wants more of a certificate.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return http.client.HTTPSConnection(
        address.host, address.port, timeout=_TIMEOUT, context=context
    )


def _with_port(address: Address, scheme: str) -> Address:
    return address if address.port else Address(address.host, 443 if scheme == "https" else 80)
