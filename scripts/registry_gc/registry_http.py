"""Whether a registry answers at its address, and where other pods reach it."""

import http.client
import socket
import ssl
from urllib.parse import urlsplit

from registry_gc.addresses import Address
from registry_gc.client_certificates import wants_client_certificate
from registry_gc.registry_config import RegistryConfig

_ANSWER_TIMEOUT = 5.0  # seconds for one answer
_PROBE = "registry-gc/probe"  # a repository that nobody has
_HERE = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - what a registry listens on, not we


def answers(config: RegistryConfig) -> bool:
    """Say whether the registry answers at its address, with whatever status."""
    try:
        connection = _connect(config)
        try:
            connection.request("GET", f"{config.prefix.rstrip('/')}/v2/")
            return connection.getresponse().status < 500
        finally:
            connection.close()
    except ssl.SSLError:
        return True  # it wants a client's certificate, so it is there
    except (OSError, http.client.HTTPException):
        # Or it ended the connection before that was read.
        is_tls = config.tls and config.net != "unix"
        return is_tls and wants_client_certificate(local_address(config))


def takes_pushes(config: RegistryConfig) -> bool | None:
    """Say whether the registry would take a push; None where it does not say before a login.

    A manifest that is none is sent: read-only answers 405 before it looks at it, everything else
    refuses it after, and nothing is written either way (distribution v3.1.1 and v2.8.3,
    registry/handlers/manifests.go, manifestDispatcher and PutManifest).
    """
    try:
        connection = _connect(config)
        try:
            path = f"{config.prefix.rstrip('/')}/v2/{_PROBE}/manifests/probe"
            headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
            connection.request("PUT", path, b"no manifest", headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return None
    if status == http.HTTPStatus.METHOD_NOT_ALLOWED:
        return False
    return True if status == http.HTTPStatus.BAD_REQUEST else None


def url_of(config: RegistryConfig, pod_address: str) -> str:
    """Return where other pods reach the registry of this one; empty for a socket in the pod."""
    if config.net == "unix":
        return ""
    host = pod_address
    listens_on, _, port = config.address.rpartition(":")
    if listens_on.strip("[]") not in _EVERYWHERE:
        host = listens_on.strip("[]")
    if pod_address and host in _HERE:
        return ""  # a proxy stands before it; asked from another pod, that pod's own would answer
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if config.tls else "http"
    return f"{scheme}://{host}:{port}{config.prefix.rstrip('/')}/v2/"


def is_registry_at(url: str) -> bool:
    """Say whether a registry, and not whoever has its address now, answers there."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or not parts.port:
            return False
    except ValueError:
        return False
    at = Address(parts.hostname, parts.port)
    try:
        connection = _connection(at.host, at.port, tls=parts.scheme == "https")
        try:
            connection.request("GET", parts.path)
            return connection.getresponse().getheader("Docker-Distribution-Api-Version") is not None
        finally:
            connection.close()
    except ssl.SSLError:
        return True  # it wants a client's certificate: who it is cannot be seen, so it counts
    except (OSError, ValueError, http.client.HTTPException):
        return parts.scheme == "https" and wants_client_certificate(at)


def local_address(config: RegistryConfig) -> Address:
    """Return where the registry of this pod listens, for a client in the same pod."""
    host, _, port = config.address.rpartition(":")
    host = host.strip("[]")
    return Address("localhost" if host in _EVERYWHERE else host, int(port))


def _connect(config: RegistryConfig) -> http.client.HTTPConnection:
    if config.net == "unix":
        return _UnixConnection(config.address)
    at = local_address(config)
    return _connection(at.host, at.port, tls=config.tls)


def _connection(host: str, port: int, *, tls: bool) -> http.client.HTTPConnection:
    if tls:
        # Only whether it answers: nothing secret is sent and nothing that it says is used.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        return http.client.HTTPSConnection(host, port, timeout=_ANSWER_TIMEOUT, context=context)
    return http.client.HTTPConnection(host, port, timeout=_ANSWER_TIMEOUT)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_ANSWER_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_ANSWER_TIMEOUT)
        self.sock.connect(self._path)
