"""A registry as its clients see it: certificates, credentials, redirects.

Each request has a connection of its own, so that behind a Service all replicas get their share.
"""

import base64
import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

from registry_gc.errors import AnswerError, ConfigurationError, RefusedError

_TIMEOUT = 30.0  # seconds for one answer
_REDIRECTS = 5
_LARGEST = 64 << 20  # bytes of one answer; what we ask for is far smaller
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)  # a Secret's tls.crt has its issuers after the first one
_ANOTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> str:
        """Return what it says, for people: the registry's first error, or the body's beginning."""
        try:
            first = json.loads(self.body)["errors"][0]
            return f"{self.status} {first['code']}: {first['message']}"
        except (ValueError, LookupError, TypeError):
            text = self.body[:200].decode(errors="replace").strip()
            return f"{self.status} {text}".strip()


class Trust:
    """Which certificate a registry may show; `notes` are what it is forgiven.

    Of a folder with the keys of a TLS Secret: `ca.crt` has to have signed it; without one it has to
    be the first of `tls.crt` and no other. In both cases it need not name the host that is asked:
    inside a cluster that is the Service, and certificates name what clients outside use. Without a
    folder the system's authorities count, and the name does too; or, with `anything`, every
    certificate does.
    """

    def __init__(self, folder: Path | None = None, *, anything: bool = False) -> None:
        """Raise ConfigurationError when the folder has no certificate."""
        self.notes: list[str] = []
        self._anything = anything and not folder
        if self._anything:
            self.notes.append("who has signed its certificate was not looked at")
        self._needs_name = folder is None
        self._is_for_another = False
        self._exact: bytes | None = None
        authority = _certificates(folder / "ca.crt") if folder else []
        own = _certificates(folder / "tls.crt") if folder and not authority else []
        if folder and not authority and not own:
            raise ConfigurationError(
                f"there is no certificate in {folder}",
                why="neither ca.crt nor tls.crt is there, or neither holds one",
                next_step="mount the Secret that the registry's certificate is from",
            )
        if own:
            self._exact = ssl.PEM_cert_to_DER_cert(own[0])
        self._trusted = "\n".join(authority or own[:1]) or None
        self._authority = "\n".join(authority)

    def connected(self, host: str, port: int) -> http.client.HTTPSConnection:
        """Return a connection whose certificate counts. Raises AnswerError, OSError."""
        try:
            return self._connected(host, port, with_name=not self._is_for_another)
        except ssl.SSLCertVerificationError as error:
            if self._needs_name or error.verify_code not in _ANOTHER_NAME:
                raise self._not_trusted(host, error) from error
        # Found out once: the server logs each handshake that ends like this.
        self._is_for_another = True
        connection = self.connected(host, port)
        names = _names(connection)
        self.notes.append(f"its certificate is for {names}, not for {host}: fine in here")
        return connection

    def elsewhere(self) -> ssl.SSLContext:
        """Return what counts for other servers that the registry sends us to."""
        context = ssl.create_default_context()
        if self._authority:
            context.load_verify_locations(cadata=self._authority)
        return context

    def _connected(self, host: str, port: int, *, with_name: bool) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cadata=self._trusted)
        # As strict as docker and containerd are, which take certificates that Python's default
        # does not; and a certificate that is trusted itself needs no issuer.
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = with_name and not self._anything
        if self._anything:
            context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)
        connection.connect()
        if self._exact and _socket(connection).getpeercert(binary_form=True) != self._exact:
            connection.close()
            raise self._another(host)
        return connection

    def _not_trusted(self, host: str, error: ssl.SSLCertVerificationError) -> AnswerError:
        if self._exact and "expired" not in error.verify_message:
            return self._another(host)
        return AnswerError(
            f"clients will not trust the certificate that {host} shows",
            why=error.verify_message,
            next_step="give the registry a certificate that is valid now, and beside it the ca.crt "
            "of who signed it",
        )

    def _another(self, host: str) -> AnswerError:
        return AnswerError(
            f"{host} shows another certificate than the tls.crt of its Secret",
            why="the registry reads it once, at its start; or something else answers there",
            next_step="kubectl rollout restart the registry; then look at what the Service selects",
        )


class Registry:
    """One registry; `url` may have a path, which is its `http.prefix`."""

    def __init__(self, url: str, trust: Trust, username: str = "", password: str = "") -> None:
        """Raise ConfigurationError for what is not the address of a registry."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"{url!r} is not the address of a registry",
                why="it needs a scheme and a host",
                next_step="write it like http://registry.example.com:5000",
            )
        self.url = url.rstrip("/")
        self.trust = trust
        self._credentials = (username, password) if username else None
        self._authorization: dict[str, str] = {}  # by scope

    @property
    def has_credentials(self) -> bool:
        """Say whether there is a user to log in as."""
        return self._credentials is not None

    def ask(self) -> Answer:
        """Return what `/v2/` answers without credentials. Raises AnswerError, OSError."""
        return self._send("GET", self._path("/v2/"), {}, None)

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Return the answer to a request below the prefix, or at a Location; logs in if asked to.

        `scope` is what a token is asked for. Raises AnswerError, OSError, and RefusedError when
        the registry refuses the credentials, or there are none and it wants some.
        """
        path = self._path(path)
        given = dict(headers or {})
        if scope in self._authorization:
            given["Authorization"] = self._authorization[scope]
        answer = self._send(method, path, given, body)
        if answer.status == 401 and scope not in self._authorization:
            self._authorization[scope] = self._log_in(answer, scope)
            given["Authorization"] = self._authorization[scope]
            answer = self._send(method, path, given, body)
        if answer.status in (401, 403):
            raise self._refused(answer)
        return answer

    def _path(self, path: str) -> str:
        """Return a path and query on our own address.

        A Location may name the address that `http.host` publishes; what is tried is this one.
        """
        parts = urlsplit(path)
        query = f"?{parts.query}" if parts.query else ""
        prefix = urlsplit(self.url).path.rstrip("/")
        begins = "" if not path.startswith("/v2/") else prefix
        return f"{begins}{parts.path}{query}"

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        parts = urlsplit(self.url)
        answer = _exchanged(self._connection(), method, path, headers, body)
        url = f"{parts.scheme}://{parts.netloc}{path}"
        for _ in range(_REDIRECTS):
            if answer.status not in (301, 302, 307, 308) or method not in ("GET", "HEAD"):
                return answer
            # Without our credentials: where it leads is signed, and another's server.
            location = answer.headers.get("location", "")
            url = location if "://" in location else urljoin(url, location)
            answer = _fetched(url, self.trust)
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return self.trust.connected(host, parts.port or 443)
        return http.client.HTTPConnection(host, parts.port or 80, timeout=_TIMEOUT)

    def _log_in(self, answer: Answer, scope: str) -> str:
        """Return the Authorization header that a challenge asks for. Raises RefusedError."""
        challenge = answer.headers.get("www-authenticate", "")
        if challenge.lower().startswith("basic") and self._credentials:
            pair = ":".join(self._credentials).encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        if challenge.lower().startswith("bearer"):
            return f"Bearer {self._token(dict(_CHALLENGE.findall(challenge)), scope, answer)}"
        raise self._refused(answer)

    def _token(self, challenge: Mapping[str, str], scope: str, answer: Answer) -> str:
        asked = {"service": challenge.get("service", ""), "scope": scope}
        realm = challenge.get("realm", "")
        url = f"{realm}?{urlencode({key: value for key, value in asked.items() if value})}"
        headers = {}
        if self._credentials:
            pair = ":".join(self._credentials).encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        given = _fetched(url, self.trust, headers)
        try:
            found = json.loads(given.body)
            return str(found.get("token") or found["access_token"])
        except (ValueError, LookupError, AttributeError, TypeError):
            if given.status in (401, 403):
                raise self._refused(answer) from None
            raise AnswerError(
                f"the token service at {realm} gave no token",
                why=f"it answered {given.said}",
                next_step="look at its log, and at auth.token.realm",
            ) from None

    def _refused(self, answer: Answer) -> RefusedError:
        if self._credentials:
            return RefusedError(
                f"the registry at {self.url} refuses the user {self._credentials[0]!r}",
                why=f"it answered {answer.said}",
                next_step="check the password, and what the registry's own users are",
            )
        return RefusedError(
            f"the registry at {self.url} wants credentials, and none were given",
            why=f"it answered {answer.said}",
            next_step="set tests.username and tests.password, or tests.secretRef (--username, "
            "GC_PASSWORD)",
        )


def _fetched(url: str, trust: Trust, headers: Mapping[str, str] | None = None) -> Answer:
    """Return what another server than the registry answers. Raises AnswerError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise AnswerError(
            f"the registry sends its clients to {url!r}, which is no address",
            why=str(error),
            next_step="look at auth.token.realm and http.host in the values",
        ) from error
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = trust.elsewhere()
        connection = http.client.HTTPSConnection(
            host, port or 443, timeout=_TIMEOUT, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port or 80, timeout=_TIMEOUT)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    try:
        return _exchanged(connection, "GET", path, headers or {}, None)
    except OSError as error:
        raise AnswerError(
            f"the registry sends its clients to {host}, which does not serve them",
            why=str(error),
            next_step="let them reach it; or for object storage, which the registry then reads "
            "itself: configData.storage.redirect.disable: true",
        ) from error


def _exchanged(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> Answer:
    try:
        connection.request(method, path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        content = answer.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ConnectionError(f"an answer of more than {_LARGEST >> 20} MiB")
        if answer.length:
            raise http.client.IncompleteRead(content, answer.length)
        return Answer(answer.status, found, content)
    except http.client.HTTPException as error:
        # A connection that breaks is one that was never answered.
        raise ConnectionError(f"no whole answer: {error!r}") from error
    finally:
        connection.close()


def _certificates(path: Path) -> list[str]:
    return _CERTIFICATE.findall(path.read_text(errors="replace")) if path.exists() else []


def _socket(connection: http.client.HTTPSConnection) -> ssl.SSLSocket:
    socket = connection.sock
    if not isinstance(socket, ssl.SSLSocket):
        raise TypeError("an HTTPS connection without TLS")
    return socket


def _names(connection: http.client.HTTPSConnection) -> str:
    found = (_socket(connection).getpeercert() or {}).get("subjectAltName", ())
    names = [str(entry[1]) for entry in found if isinstance(entry, tuple)]
    return ", ".join(names) or "no name"
