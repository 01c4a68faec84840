"""A small token server: who has a password gets a token for what they may do.

As https://distribution.github.io/distribution/spec/auth/token/ describes it. On loopback, because
the registry itself never talks to it: the client is told where it is, and brings the token.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ISSUER, SERVICE, KEY_ID = "tokens.example", "registry.example", "first"
_VALID = timedelta(minutes=5)


@dataclass
class TokenServer:
    """Its address, the key it signs with, who may do what, and what it was asked.

    `users` maps (name, password) to the actions that name is allowed on any repository. With
    `chain` a token carries its certificate, for a registry that has the bundle and not the keys.
    """

    users: dict[tuple[str, str], set[str]]
    chain: bool = False
    port: int = 0
    granted: list[str] = field(default_factory=list)
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def realm(self) -> str:
        # Not by its address: crane takes a private one for an attack.
        return f"http://localhost:{self.port}/token"

    @property
    def keys(self) -> str:
        """Return the public key as a JSON Web Key Set."""
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        public = algorithm.to_jwk(self.key.public_key(), as_dict=True)
        return json.dumps({"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "ES256"}]})

    @property
    def bundle(self) -> str:
        """Return the certificate, as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @cached_property
    def certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def token(self, subject: str, scopes: list[str], allowed: set[str]) -> str:
        """Return a token for what is both asked for and allowed."""
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            may = sorted(set(actions.split(",")) & allowed)
            access.append({"type": kind, "name": name, "actions": may})
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "sub": subject,
            "aud": SERVICE,
            "iat": now,
            "nbf": now,
            "exp": now + _VALID,
            "access": access,
        }
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        named = {"x5c": [base64.b64encode(der).decode()]} if self.chain else {"kid": KEY_ID}
        return jwt.encode(claims, self.key, algorithm="ES256", headers=named)

    def answer(self, query: str, authorization: str) -> str | None:
        """Return the token for a request, or nothing for a wrong password."""
        name, _, password = (
            base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
        )
        allowed = self.users.get((name, password))
        if allowed is None:
            return None
        scopes = [each for given in parse_qs(query).get("scope", []) for each in given.split()]
        self.granted += scopes
        return self.token(name, scopes, allowed)


@contextmanager
def token_server(users: dict[tuple[str, str], set[str]], *, chain: bool) -> Iterator[TokenServer]:
    """Run one until the end of the block."""
    served = TokenServer(users, chain)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = served.answer(urlsplit(self.path).query, self.headers.get("Authorization", ""))
            self.send_response(200 if token else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            found = {"token": token, "expires_in": int(_VALID.total_seconds())}
            self.wfile.write(json.dumps(found if token else {}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
