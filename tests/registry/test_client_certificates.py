"""A registry that lets nobody in without a certificate (`http.tls.clientcas`), as we see it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.conftest import StartRegistry
from registry_gc.addresses import Address
from registry_gc.certificates import Held, Terms, renewed
from registry_gc.client_certificates import wants_client_certificate
from registry_gc.health import ask, first_fingerprint, served_certificate
from registry_gc.registry_config import load
from registry_gc.registry_control import RegistryControl
from registry_gc.registry_http import answers, is_registry_at, takes_pushes
from registry_gc.sidecar_runs import Runs

_OFTEN = 20  # the refusal may be lost with the connection, or not


@pytest.fixture(scope="module")
def held() -> Held:
    return renewed(Held(), Terms("test", ("127.0.0.1", "localhost")), datetime.now(UTC)).held


def variables(held: Held, folder: Path, *, wanted: bool = True) -> dict[str, str]:
    files = {"tls.crt": held.certificate, "tls.key": held.key, "ca.crt": held.bundle}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    found = {
        "REGISTRY_HTTP_TLS_CERTIFICATE": str(folder / "tls.crt"),
        "REGISTRY_HTTP_TLS_KEY": str(folder / "tls.key"),
    }
    if wanted:
        found["REGISTRY_HTTP_TLS_CLIENTCAS"] = json.dumps([str(folder / "ca.crt")])
    return found


@pytest.mark.parametrize("version", ["3.1.1", "3.0", "2.8"])
@pytest.mark.parametrize("least", ["tls1.2", "tls1.3"])
def test_it_is_there_and_healthy(
    start_registry: StartRegistry, held: Held, tmp_path: Path, version: str, least: str
) -> None:
    """Seen to fail: take a connection that ends for no answer."""
    environment = variables(held, tmp_path) | {"REGISTRY_HTTP_TLS_MINIMUMTLS": least}
    registry = start_registry(version=version, environment=environment, tls=True)
    config = load(registry.config_path, environment)
    at = Address("127.0.0.1", registry.port)

    assert wants_client_certificate(at)
    for _ in range(_OFTEN):
        found = ask(at, "https", held.bundle.decode())
        assert (found.healthy, found.reason) == (True, "WantsClientCertificate"), found
        assert answers(config)
        assert is_registry_at(f"https://{at}/v2/")
    assert takes_pushes(config) is None


def test_one_that_wants_none(start_registry: StartRegistry, held: Held, tmp_path: Path) -> None:
    registry = start_registry(environment=variables(held, tmp_path, wanted=False), tls=True)

    assert not wants_client_certificate(Address("127.0.0.1", registry.port))


def test_what_it_serves_is_seen_and_its_variables_say_whether_it_is_read_only(
    start_registry: StartRegistry, held: Held, tmp_path: Path
) -> None:
    """No probe gets in, so a renewed certificate and a switch are told by what can be seen."""
    environment = variables(held, tmp_path)
    read_only = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled":true}'}
    registry = start_registry(environment=environment | read_only, tls=True)
    control = RegistryControl(
        registry.config_path, {}, Runs(["c"], registry.config_path, {}), lambda _seconds: None
    )
    state = control.state()

    assert served_certificate(Address("127.0.0.1", registry.port)) == first_fingerprint(
        held.certificate
    )
    assert (state["answers"], state["readOnly"]) == (True, True)
    assert state["certificate"] == first_fingerprint(held.certificate)
