"""Whether a registry answers, against real servers on loopback."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from registry_gc.addresses import Address
from registry_gc.certificates import Held, Terms, renewed
from registry_gc.health import ask, first_fingerprint, served_certificate
from support.registry_process import free_port


@pytest.fixture(scope="module")
def held() -> Held:
    return renewed(Held(), Terms("test", ("127.0.0.1", "localhost")), datetime.now(UTC)).held


@contextmanager
def registry(status: int, context: ssl.SSLContext | None = None) -> Iterator[Address]:
    """Answer every GET of /v2/ with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/v2/" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: clients that do not believe us are the test."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Address("127.0.0.1", server.server_port)
        finally:
            server.shutdown()
            thread.join()


def context(held: Held, folder: Path) -> ssl.SSLContext:
    (folder / "both").write_bytes(held.certificate + held.key)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(folder / "both")
    return found


@pytest.fixture(autouse=True)
def _inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")


def test_from_outside_of_the_cluster_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's `registry-gc endpoint` must not publish that it is ill. Seen to fail: say so."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    found = ask(Address("one.registry.svc.invalid", 5000), "http")

    assert (found.reason, found.healthy) == ("NotAsked", False)
    assert "not reached from outside" in found.message


def without_identifiers() -> tuple[bytes, bytes]:
    """Return an authority as people make them, and a certificate of its with the key."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("a CA", "registry")
    ]
    made = [
        x509.CertificateBuilder(names[0], name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=key is keys[0], path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(keys[0], hashes.SHA256())
        .public_bytes(Encoding.PEM)
        for name, key in zip(names, keys, strict=True)
    ]
    private = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made[0], made[1] + private


@pytest.mark.parametrize(
    ("status", "healthy"), [(200, True), (401, True), (404, False), (503, False)]
)
def test_what_a_registry_answers(status: int, *, healthy: bool) -> None:
    """Seen to fail: take any answer for a registry; take 401 for none."""
    with registry(status) as address:
        found = ask(address, "http")

    assert found.healthy is healthy
    assert str(status) in found.message


def test_nobody_listens() -> None:
    found = ask(Address("127.0.0.1", free_port()), "http")

    assert (found.healthy, found.reason) == (False, "NoAnswer")
    assert "refused" in found.message


class TestTLS:
    def test_its_own_authority_is_believed(self, held: Held, tmp_path: Path) -> None:
        """This is what clients do with the bundle. Seen to fail: hand over no bundle."""
        with registry(200, context(held, tmp_path)) as address:
            assert ask(address, "https", held.bundle.decode()).healthy

    def test_another_authority_is_not(self, held: Held, tmp_path: Path) -> None:
        """Seen to fail: verify nothing."""
        other = renewed(Held(), Terms("other", ("a",)), datetime.now(UTC)).held
        with registry(200, context(held, tmp_path)) as address:
            for bundle in (other.bundle.decode(), ""):
                found = ask(address, "https", bundle)
                assert (found.healthy, found.reason) == (False, "CertificateNotBelieved")

    def test_a_certificate_for_other_names_is_told_and_believed(self, tmp_path: Path) -> None:
        """A public certificate cannot name a Service. Seen to fail: ask by that name alone."""
        held = renewed(Held(), Terms("test", ("another.host",)), datetime.now(UTC)).held
        with registry(200, context(held, tmp_path)) as address:
            found = ask(address, "https", held.bundle.decode())

        assert (found.healthy, found.reason) == (True, "Answers")
        assert "does not name 127.0.0.1" in found.message

    def test_other_names_excuse_no_other_authority(self, tmp_path: Path) -> None:
        """Seen to fail: take each refusal for one of names, and verify nothing then."""
        held = renewed(Held(), Terms("test", ("another.host",)), datetime.now(UTC)).held
        with registry(200, context(held, tmp_path)) as address:
            found = ask(address, "https")

        assert found.reason == "CertificateNotBelieved"
        assert "ca.crt" in found.message

    def test_what_clients_believe_is_believed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Go, Docker and curl want no key identifiers. Seen to fail: leave Python's flags."""
        default = ssl.create_default_context

        def strict(cadata: str | None = None) -> ssl.SSLContext:
            made = default(cadata=cadata)
            made.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 has it
            return made

        monkeypatch.setattr(ssl, "create_default_context", strict)
        authority, plain = without_identifiers()
        (tmp_path / "both").write_bytes(plain)
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(tmp_path / "both")
        with registry(200, found) as address:
            said = ask(address, "https", authority.decode())

        assert said.healthy, said

    def test_http_at_a_tls_port_says_so(self, held: Held) -> None:
        with registry(200) as address:
            assert ask(address, "https", held.bundle.decode()).reason == "NoTLS"

    def test_one_that_wants_a_certificate_is_there(self, held: Held, tmp_path: Path) -> None:
        strict = context(held, tmp_path)
        strict.verify_mode = ssl.CERT_REQUIRED
        strict.load_verify_locations(cadata=held.bundle.decode())
        with registry(200, strict) as address:
            found = ask(address, "https", held.bundle.decode())

        assert (found.healthy, found.reason) == (True, "WantsClientCertificate")

    def test_the_served_certificate_is_told_apart(self, held: Held, tmp_path: Path) -> None:
        """By its bytes, believed or not. Seen to fail: compare what the bundle says."""
        with registry(200, context(held, tmp_path)) as address:
            served = served_certificate(address)

        assert served == first_fingerprint(held.certificate) != first_fingerprint(held.authority)
        expected = x509.load_pem_x509_certificate(held.certificate).fingerprint(hashes.SHA256())
        assert served == expected.hex()

    def test_nothing_is_served(self) -> None:
        assert served_certificate(Address("127.0.0.1", free_port())) == ""

    @pytest.mark.parametrize(
        "content",
        [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", b"\xff"],
    )
    def test_a_file_that_is_no_certificate(self, content: bytes) -> None:
        assert first_fingerprint(content) == ""
