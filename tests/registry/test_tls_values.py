"""What the chart's values say of TLS is what the registry does: the oldest one, whom it lets in.

With registry 3.1.1, 3.0.0 and 2.8.2, from what the chart renders.
"""

import http.client
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import merged
from helm_chart_test.fixtures import Renderer
from support.certificates import Certificate, self_signed, signed_by
from support.chart import CHART, helm_of
from support.registry_process import RegistryProcess, free_port
from support.rendered import registry_container
from support.rendered_registry import RenderedRegistry
from support.waiting import until

VERSIONS = ("3.1.1", "3.0", "2.8")
BEGINS = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2}
SECRET: dict[str, Any] = {"tlsSecretName": "own"}
CLIENTS: dict[str, Any] = merged(SECRET, {"tls": {"clientCA": {"secretRef": "clients"}}})


@pytest.fixture(scope="module")
def render() -> Renderer:
    return Renderer(CHART, helm_of("helm"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def own(folder: Path) -> Certificate:
    return self_signed(folder, "IP:127.0.0.1")


@pytest.fixture(scope="module")
def clients(folder: Path) -> Certificate:
    """Return who signs clients' certificates."""
    return self_signed(folder, "DNS:clients", authority=True, name="clients")


@pytest.fixture(scope="module")
def client(folder: Path, clients: Certificate) -> Certificate:
    return signed_by(clients, folder, "DNS:client", name="client")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Certificate:
    return self_signed(folder, "DNS:stranger", name="stranger")


Serve = Callable[..., Any]


@pytest.fixture
def serve(render: Renderer, own: Certificate, clients: Certificate, tmp_path: Path) -> Serve:
    """Return what runs a registry with what its container would see."""

    @contextmanager
    def serving(values: dict[str, Any], version: str) -> Iterator[RegistryProcess]:
        others = {
            "own": {"tls.crt": own.crt.read_text(), "tls.key": own.key.read_text()},
            "clients": {"ca.crt": clients.crt.read_text()},
        }
        pod = RenderedRegistry(render(values), tmp_path / "root", others)
        environment = pod.environment
        with RegistryProcess(
            tmp_path / "registry",
            started=False,
            configuration=pod.configuration,
            environment=environment,
            version=version,
            tls=True,
        ) as registry:
            environment["REGISTRY_HTTP_ADDR"] = f"127.0.0.1:{registry.port}"
            registry.start()
            yield registry

    return serving


def lets_in(
    registry: RegistryProcess,
    own: Certificate,
    shown: Certificate | None = None,
    *,
    at_most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> bool:
    """Say whether a client with this certificate, and TLS no newer than that, gets an answer."""
    context = ssl.create_default_context(cafile=str(own.crt))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = at_most
    context.set_ciphers("ALL:@SECLEVEL=0")  # as old clients do
    if shown:
        context.load_cert_chain(shown.crt, shown.key)
    connection = http.client.HTTPSConnection(
        "127.0.0.1", registry.port, context=context, timeout=10
    )
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


# Python warns of what must be tried here: that nobody may speak it any more.
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("values", "oldest"),
    [
        ({}, "1.2"),
        ({"tls": {"mode": "secret"}}, "1.2"),
        ({"tls": {"minimumVersion": "1.3"}}, "1.3"),
        # What the configuration says counts, also against us.
        (
            {"tls": {"mode": "secret"}, "configData": {"http": {"tls": {"minimumtls": "tls1.3"}}}},
            "1.3",
        ),
    ],
    ids=["a peer's", "said", "1.3", "configured"],
)
def test_the_oldest_tls(
    serve: Serve, own: Certificate, version: str, values: dict[str, Any], oldest: str
) -> None:
    """Without a word too: that is why the chart says nothing for a peer's Secret.

    Seen to fail: `1.3` without `tls` before it, with which no registry starts.
    """
    with serve(merged(SECRET, values), version) as registry:
        assert lets_in(registry, own)
        taken = [name for name, newest in BEGINS.items() if lets_in(registry, own, at_most=newest)]
        assert taken == (["1.2"] if oldest == "1.2" else [])


@pytest.mark.parametrize("version", VERSIONS)
def test_who_has_no_certificate_is_turned_away(
    serve: Serve, own: Certificate, client: Certificate, stranger: Certificate, version: str
) -> None:
    """Seen to fail: the authority's variable as a text; another one's name."""
    with serve(CLIENTS, version) as registry:
        assert lets_in(registry, own, client)
        assert not lets_in(registry, own)
        assert not lets_in(registry, own, stranger)


@pytest.mark.parametrize("version", VERSIONS)
def test_who_has_none_may_be_let_in(
    serve: Serve, own: Certificate, client: Certificate, stranger: Certificate, version: str
) -> None:
    """Not by 2.8, which knows no such choice and turns all away: hence the chart refuses it there.

    The control of the chart's sentence. Seen to fail: without CLIENTAUTH.
    """
    values = merged(CLIENTS, {"tls": {"clientCA": {"required": False}}})
    with serve(values, version) as registry:
        assert lets_in(registry, own, client)
        assert lets_in(registry, own) is (version != "2.8")
        assert not lets_in(registry, own, stranger)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_probe_has_an_answer_where_clients_show_certificates(
    serve: Serve, render: Renderer, version: str
) -> None:
    """By the port of the metrics, and 503 while the store is ill, as `/` says it otherwise.

    Seen to fail: the path of the metrics, which answers 200 whatever the store does.
    """
    port = free_port()
    values = merged(CLIENTS, {
        "metrics": {"enabled": True, "port": port},
        "configData": {"health": {"storagedriver": {"interval": "1s", "threshold": 1}}},
    })  # fmt: skip
    asks = registry_container(render(values))["readinessProbe"]["httpGet"]
    assert asks["port"] == port

    def status() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", asks["path"])
            return connection.getresponse().status
        finally:
            connection.close()

    with serve(values, version) as registry:
        assert status() == http.HTTPStatus.OK
        # No folder any more, so that nothing can be looked for: not found would be an answer.
        root = Path(registry.environment["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"])
        shutil.rmtree(root.parent)
        root.parent.write_text("")
        until(lambda: status() == http.HTTPStatus.SERVICE_UNAVAILABLE, what="the store is ill")
