"""A registry that lets nobody in without a certificate, when its refusal is lost on the way."""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_gc.addresses import Address
from registry_gc.certificates import Held, Terms, renewed
from registry_gc.client_certificates import wants_client_certificate
from registry_gc.health import ask
from registry_gc.registry_config import effective
from registry_gc.registry_http import answers, is_registry_at
from support.registry_process import free_port

HELD = renewed(Held(), Terms("test", ("127.0.0.1", "localhost")), datetime.now(UTC)).held


@pytest.fixture(params=[True, False], ids=["wanted", "not wanted"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Address, bool]]:
    """Shake hands, with or without the client's certificate, and say nothing more."""
    (tmp_path / "both").write_bytes(HELD.certificate + HELD.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both")
    if request.param:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=HELD.bundle.decode())

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with (
                    suppress(OSError),
                    closing(connection),
                    context.wrap_socket(connection, server_side=True) as wrapped,
                ):
                    wrapped.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield Address("127.0.0.1", listening.getsockname()[1]), request.param
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(autouse=True)
def _lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def reset(connection: http.client.HTTPSConnection, *_: object) -> None:
        connection.connect()
        connection.close()
        raise ConnectionResetError("connection reset by peer")

    monkeypatch.setattr(http.client.HTTPSConnection, "request", reset)


def test_it_is_asked_for(server: tuple[Address, bool]) -> None:
    """By who sends nothing, so that the reason arrives. Seen to fail: do not read it."""
    address, wanted = server

    assert wants_client_certificate(address) is wanted


def test_nobody_listens() -> None:
    assert not wants_client_certificate(Address("127.0.0.1", free_port()))


def test_who_wants_one_is_there(server: tuple[Address, bool]) -> None:
    """Or a restart would count as failed, another replica as gone, a registry as ill.

    Seen to fail: take a connection that is reset for nobody.
    """
    address, wanted = server
    config = effective(
        f"version: 0.1\nstorage: {{filesystem: {{}}}}\nhttp: {{addr: '{address}', "
        "tls: {certificate: /c, key: /k}}",
        {},
    )
    health = ask(address, "https", HELD.bundle.decode())

    assert answers(config) is wanted
    assert is_registry_at(f"https://{address}/v2/") is wanted
    assert (health.healthy, health.reason == "WantsClientCertificate") == (wanted, wanted)
