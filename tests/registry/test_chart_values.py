"""The registry itself understands what the chart tells it, for every value that names an option.

A name that the registry does not know is no error to it, so nothing but its behaviour proves one:
whom it asks, how it logs in, what it demands of a client.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from helm_chart_test.fixtures import Renderer
from registry_gc.registry_config import effective
from support.chart import CHART, helm_of
from support.client import Client
from support.fake_kubernetes import certificate
from support.recording_server import Asked, Recorder, recording_server
from support.redis_listener import Login, redis_listeners
from support.registry_process import RegistryProcess
from support.rendered_registry import RenderedRegistry
from support.token_server import ISSUER, SERVICE, token_server
from support.waiting import until

Others = Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def render() -> Renderer:
    return Renderer(CHART, helm_of("helm"))


@pytest.fixture
def deploy(render: Renderer, tmp_path: Path) -> Callable[..., Any]:
    """Return what renders these values and runs the registry with what its container would see."""

    @contextmanager
    def deployed(
        values: dict[str, Any], others: Others | None = None, more: Mapping[str, str] | None = None
    ) -> Iterator[tuple[RegistryProcess, Client]]:
        pod = RenderedRegistry(render(values), tmp_path / "root", others or {})
        environment = {**pod.environment, **(more or {})}
        with RegistryProcess(
            tmp_path / "registry",
            started=False,
            configuration=pod.configuration,
            environment=environment,
        ) as registry:
            environment["REGISTRY_HTTP_ADDR"] = f"127.0.0.1:{registry.port}"
            registry.start()
            yield registry, registry.client(timeout=10)

    return deployed


def asked(recorder: Recorder, client: Client, part: str) -> Asked:
    """Let the registry look for something, and return its first request with this in its path."""
    client.request("HEAD", f"/v2/app/blobs/sha256:{'d' * 64}")
    found = until(
        lambda: [each for each in recorder.asked if part in each.path],
        what=f"a request for {part}",
    )
    first: Asked = found[0]
    return first


def logins(listener_index: int, listeners: Any, client: Client) -> set[Login]:
    client.request("HEAD", f"/v2/app/blobs/sha256:{'d' * 64}")
    return set(until(lambda: listeners[listener_index].logins, what="somebody logs in"))


REDIS_USER = {"username": "cache", "password": "p: #\"a'", "db": 3}


@pytest.mark.parametrize("by_secret", [False, True], ids=["values", "Secret"])
def test_redis_with_a_password(deploy: Callable[..., Any], *, by_secret: bool) -> None:
    """Seen to fail: the password written as it is, which is not YAML."""
    with redis_listeners(1) as listeners:
        redis: dict[str, Any] = {"addrs": [f"127.0.0.1:{listeners[0].port}"], **REDIS_USER}
        others = {"mine": {"user": "cache", "redisPassword": json.dumps(REDIS_USER["password"])}}
        if by_secret:
            redis |= {"username": "", "password": "", "secretRef": "mine"}
            redis["secretKeys"] = {"username": "user"}
        with deploy({"redis": redis}, others) as (registry, client):
            expected = {Login(listeners[0].port, "server", "cache", "p: #\"a'", 3)}
            assert logins(0, listeners, client) == expected
            ours = effective(registry.config_path.read_text(), registry.environment)
    assert ours.cache == "redis"
    assert ours.redis is not None
    assert (ours.redis.username, ours.redis.password, ours.redis.database) == (
        "cache",
        "p: #\"a'",
        3,
    )


def test_redis_behind_sentinels(deploy: Callable[..., Any]) -> None:
    """Seen to fail: REGISTRY_REDIS_SENTINEL_MASTERNAME, which the registry does not know."""
    with redis_listeners(2) as listeners:
        listeners[0].masters = {"theirs": listeners[1].port}
        values = {
            "redis": {
                "addrs": [f"127.0.0.1:{listeners[0].port}"],
                "password": "of-the-master",
                "sentinel": {"masterName": "theirs", "username": "asker", "password": "of-theirs"},
            }
        }
        with deploy(values) as (registry, client):
            assert logins(1, listeners, client) == {
                Login(listeners[1].port, "server", password="of-the-master")
            }
            asking = listeners[0].logins
            assert {(each.username, each.password) for each in asking} == {("asker", "of-theirs")}
            ours = effective(registry.config_path.read_text(), registry.environment).redis
    assert ours is not None
    assert (ours.master_name, ours.sentinel_username) == ("theirs", "asker")
    assert ours.sentinel_password == "of-theirs"


def test_redis_with_tls(deploy: Callable[..., Any], tmp_path: Path) -> None:
    """Both have the client's certificate. Seen to fail: `rootcas` as a text; no certSecret."""
    both = certificate(tmp_path)
    key = (tmp_path / "key.pem").read_text()
    with redis_listeners(1, both) as listeners:
        redis = {
            "addrs": [f"127.0.0.1:{listeners[0].port}"],
            "tls": {"enabled": True, "caSecret": "authority", "certSecret": "client"},
        }
        others = {
            "authority": {"ca.crt": both.read_text()},
            "client": {"tls.crt": both.read_text(), "tls.key": key},
        }
        with deploy({"redis": redis}, others) as (registry, client):
            assert logins(0, listeners, client) == {Login(listeners[0].port, "server")}
            ours = effective(registry.config_path.read_text(), registry.environment).redis
    assert ours is not None
    assert ours.tls
    assert Path(ours.root_cas[0]).read_text() == both.read_text()
    assert Path(ours.certificate).exists()


@pytest.mark.parametrize("source", ["bundle", "Secret", "keys"])
def test_tokens_of_a_server(deploy: Callable[..., Any], source: str) -> None:
    """A text that looks like a number or a boolean stays a text.

    Seen to fail: REGISTRY_AUTH_TOKEN_ROOTCERTS; `service: 007` without quotes in the variable.
    """
    with token_server({("u", "p"): {"pull"}}, chain=source != "keys") as server:
        token: dict[str, Any] = {"realm": server.realm, "service": SERVICE, "issuer": ISSUER}
        sources: dict[str, dict[str, Any]] = {
            "bundle": {"rootCertBundle": server.bundle},
            "Secret": {"rootCertBundleRef": {"name": "signer", "key": "ca"}},
            "keys": {"jwks": server.keys, "signingAlgorithms": ["ES256"]},
        }
        token |= sources[source]
        others = {"signer": {"ca": server.bundle}}
        with deploy({"auth": {"token": token}}, others) as (_, client):
            answer = client.request("GET", "/v2/")
            assert answer.status == 401
            asks = answer.headers["www-authenticate"]
            assert f'realm="{server.realm}",service="{SERVICE}"' in asks
            allowed = server.token("u", ["repository:app:pull"], {"pull"})
            headers = {"Authorization": f"Bearer {allowed}"}
            assert client.request("GET", "/v2/app/tags/list", headers=headers).status == 404
    with deploy({"auth": {"token": {**token, "service": "007"}}}, others) as (_, client):
        assert 'service="007"' in client.request("GET", "/v2/").headers["www-authenticate"]


def test_users_of_an_htpasswd_file(deploy: Callable[..., Any]) -> None:
    """Seen to fail: htpasswdRef that does not turn it on."""
    lines = "u:$2y$05$tpmtsxi5b6RGMwYuG7J2Iuj8HtxEzpLgMzyKGkGHoaVUrBqqxhE1a"
    values = {
        "secrets": {"htpasswdRef": {"name": "users", "key": "lines"}},
        "auth": {"htpasswd": {"realm": "Images: ours"}},
    }
    with deploy(values, {"users": {"lines": lines}}) as (_, client):
        answer = client.request("GET", "/v2/")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="Images: ours"'


def test_s3_with_every_kind_of_option(deploy: Callable[..., Any]) -> None:
    """Seen to fail: a bucket called 007 without quotes, which is 7 to the registry."""
    with recording_server() as server:
        values = {
            "storage": "s3",
            "s3": {
                "region": "eu-central-1",
                "regionEndpoint": server.url,
                "bucket": "007",
                "forcepathstyle": True,
                "secure": False,
                "chunksize": 5242880,
                "rootdirectory": "/below",
            },
            "secrets": {"s3": {"secretRef": "keys", "secretKeys": {"accessKey": "id"}}},
        }
        with deploy(values, {"keys": {"id": "AKIAMINE", "s3SecretKey": "s"}}) as (_, client):
            first = asked(server, client, "/007")
    assert "Credential=AKIAMINE/" in first.headers["authorization"]
    assert "/eu-central-1/s3/" in first.headers["authorization"]
    assert "below" in first.path


def test_s3_without_keys_has_the_pods_own_identity(deploy: Callable[..., Any]) -> None:
    """What IRSA's webhook sets is for the AWS library alone, which empty keys would stop.

    Seen to fail: REGISTRY_STORAGE_S3_ACCESSKEY with an empty text.
    """
    with recording_server() as server:
        s3 = {"region": "us-east-1", "regionEndpoint": server.url, "bucket": "images"}
        values = {"storage": "s3", "s3": {**s3, "forcepathstyle": True}}
        identity = {"AWS_ACCESS_KEY_ID": "AKIAPOD", "AWS_SECRET_ACCESS_KEY": "s"}
        with deploy(values, {}, identity) as (_, client):
            first = asked(server, client, "/images")
    assert "Credential=AKIAPOD/" in first.headers["authorization"]


def google_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "images@example.com",
            "private_key": text,
            "private_key_id": "1",
            "token_uri": "http://127.0.0.1:9/none",
        }
    )


@pytest.mark.parametrize("source", ["values", "Secret", "credentials", "identity"])
def test_gcs(deploy: Callable[..., Any], source: str) -> None:
    """Seen to fail: `credentials` as a quoted text; the key file's path with another name."""
    token = '{"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}'
    answers = {"/computeMetadata/v1/instance/service-accounts/default/token": token}
    with recording_server(answers) as server:
        gcs: dict[str, Any] = {"bucket": "images", "chunksize": 5242880}
        values: dict[str, Any] = {"storage": "gcs", "gcs": gcs}
        others = {"google": {"key.json": google_key()}}
        if source == "values":
            values["secrets"] = {"gcs": {"keyfile": google_key()}}
        elif source == "Secret":
            values["secrets"] = {
                "gcs": {"secretRef": "google", "secretKeys": {"keyfile": "key.json"}}
            }
        elif source == "credentials":
            gcs["credentials"] = json.loads(google_key())
        more = {
            "STORAGE_EMULATOR_HOST": server.url,
            "GCE_METADATA_HOST": server.url.removeprefix("http://"),
        }
        with deploy(values, others, more) as (_, client):
            assert asked(server, client, "images")


def test_azure_with_a_key(deploy: Callable[..., Any]) -> None:
    """A container called 123 stays a text. Registry 3 wants to be told how to log in.

    Seen to fail: no REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE, as at all three peers: it panics.
    """
    with recording_server() as server:
        values = {
            "storage": "azure",
            "azure": {
                "serviceurl": f"{server.url}/account",
                "max_retries": 1,
                "retry_delay": "10ms",
                "container": "123",
            },
            "secrets": {
                "azure": {"accountName": "account", "accountKey": base64.b64encode(b"k").decode()}
            },
        }
        with deploy(values) as (registry, client):
            first = asked(server, client, "/account/123")
            assert "max_retries: 1" in registry.config_path.read_text()
    assert first.headers["authorization"].startswith("SharedKey account:")


@pytest.mark.parametrize(
    "credentials",
    [
        {"type": "default_credentials"},
        {"type": "client_secret", "clientid": "id", "tenantid": "007", "secret": "s"},
    ],
    ids=lambda credentials: str(credentials["type"]),
)
def test_azure_with_an_identity(deploy: Callable[..., Any], credentials: dict[str, str]) -> None:
    """The registry refuses to start with an identity that it cannot read.

    Seen to fail: `credentials` as a text; REGISTRY_STORAGE_AZURE_ACCOUNTKEY wanted from the Secret.
    """
    values = {
        "storage": "azure",
        "azure": {"accountname": "account", "container": "images", "credentials": credentials},
    }
    with deploy(values) as (registry, _):
        parameters = effective(registry.config_path.read_text(), registry.environment).parameters
    assert parameters["credentials"] == credentials


def test_a_mirrors_memory(deploy: Callable[..., Any], tmp_path: Path) -> None:
    """Seen to fail: `7d` as it is, which Go does not know; a number of seconds, taken for less."""
    with recording_server() as server:
        values = {"proxy": {"enabled": True, "remoteurl": server.url, "ttl": "7d"}}
        with deploy(values) as (registry, client):
            assert client.request("GET", "/v2/").status == 200
            assert registry.environment["REGISTRY_PROXY_TTL"] == "604800s"
