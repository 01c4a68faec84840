"""Credentials: from the values or from anybody's Secret, and nowhere to be read outside of one."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm_chart_test import Object, fake_cluster
from helm_chart_test.fixtures import Renderer
from support.workload import env_of, mounts_of, of_kind, reference, volumes_of, workload

OWN = "test-docker-registry-secret"
S3: dict[str, Any] = {
    "storage": "s3",
    "s3": {"bucket": "images", "region": "eu-central-1"},
}
AZURE: dict[str, Any] = {
    "storage": "azure",
    "azure": {"accountname": "account", "container": "images"},
}
GCS: dict[str, Any] = {"storage": "gcs", "gcs": {"bucket": "images"}}
SWIFT: dict[str, Any] = {
    "storage": "swift",
    "swift": {"authurl": "https://swift.example.com", "container": "images"},
    "image": {"tag": "2.8.3"},
}
PROXY: dict[str, Any] = {"proxy": {"enabled": True, "remoteurl": "https://registry-1.docker.io"}}
REDIS: dict[str, Any] = {"redis": {"addrs": ["redis:6379"]}}


def data(objects: list[Object], name: str = OWN) -> dict[str, str]:
    """Return what is in a Secret that the chart makes."""
    encoded = of_kind(objects, "Secret")[name]["data"]
    return {key: b64decode(text).decode() for key, text in encoded.items()}


def store_names(objects: list[Object]) -> set[str]:
    prefix = "REGISTRY_STORAGE_"
    return {name.removeprefix(prefix) for name in env_of(objects) if name.startswith(prefix)}


@pytest.mark.parametrize(
    ("values", "left"),
    [
        (S3, {"S3_BUCKET", "S3_REGION"}),
        (AZURE, {"AZURE_ACCOUNTNAME", "AZURE_CONTAINER", "AZURE_CREDENTIALS_TYPE"}),
        (GCS, {"GCS_BUCKET"}),
    ],
    ids=lambda part: part.get("storage") if isinstance(part, dict) else None,
)
def test_a_store_without_keys_has_the_pods_own_identity(
    render: Renderer, values: dict[str, Any], left: set[str]
) -> None:
    """Seen to fail: `.Values.secrets.s3.secretRef` without a default (S2); empty keys as variables,
    which stop the cloud's own login.
    """
    rendered = render({**values, "secrets": {values["storage"]: None}})
    assert store_names(rendered) == left
    if values is AZURE:
        assert env_of(rendered)["REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE"] == "default_credentials"


@pytest.mark.parametrize(
    ("values", "section", "fields"),
    [
        (S3, "s3", {"accessKey": "S3_ACCESSKEY", "secretKey": "S3_SECRETKEY"}),
        (
            AZURE,
            "azure",
            {
                "accountName": "AZURE_ACCOUNTNAME",
                "accountKey": "AZURE_ACCOUNTKEY",
                "container": "AZURE_CONTAINER",
            },
        ),
        (SWIFT, "swift", {"username": "SWIFT_USERNAME", "password": "SWIFT_PASSWORD"}),
    ],
    ids=["s3", "azure", "swift"],
)
def test_each_stores_keys_may_be_in_a_secret_with_other_names(
    render: Renderer, values: dict[str, Any], section: str, fields: dict[str, str]
) -> None:
    """Seen to fail: the key's own name where `secretKeys` maps it (S5)."""
    given = {
        "secretRef": "{{ .Release.Name }}-keys",
        "secretKeys": {field: f"my-{field}" for field in fields},
    }
    rendered = render({**values, "secrets": {section: given}})
    for field, variable in fields.items():
        name, key, _ = reference(rendered, f"REGISTRY_STORAGE_{variable}")
        assert (name, key) == ("test-keys", f"my-{field}")
    assert not {key for key in data(rendered) if key.startswith(section)}


def test_each_other_credential_may_be_in_a_secret_with_other_names(render: Renderer) -> None:
    """Seen to fail: `key: proxyUsername` whatever `proxy.secretKeys` says (S5)."""
    values: dict[str, Any] = {
        "proxy": {
            **PROXY["proxy"],
            "secretRef": "up",
            "secretKeys": {"username": "u", "password": "p"},
        },
        "redis": {**REDIS["redis"], "secretRef": "cache", "secretKeys": {"password": "pw"}},
        "secrets": {
            "haSharedSecretRef": {"name": "shared", "key": "it"},
            "htpasswdRef": {"name": "users", "key": "lines"},
        },
    }
    rendered = render(values)
    assert reference(rendered, "REGISTRY_HTTP_SECRET") == ("shared", "it", False)
    assert reference(rendered, "REGISTRY_PROXY_USERNAME") == ("up", "u", False)
    assert reference(rendered, "REGISTRY_PROXY_PASSWORD") == ("up", "p", False)
    assert reference(rendered, "REGISTRY_REDIS_PASSWORD") == ("cache", "pw", False)
    # A Redis has these or has them not.
    assert reference(rendered, "REGISTRY_REDIS_USERNAME") == ("cache", "redisUsername", True)
    assert reference(rendered, "REGISTRY_REDIS_SENTINELPASSWORD")[2]
    assert volumes_of(rendered)["auth"]["secret"] == {
        "secretName": "users",
        "items": [{"key": "lines", "path": "htpasswd"}],
    }
    assert env_of(rendered)["REGISTRY_AUTH"] == "htpasswd"
    # Nothing that is made at random is left, which Argo CD would make anew each time.
    assert data(rendered) == {"proxyUsername": "", "proxyPassword": ""}


def test_a_google_key_is_a_file(render: Renderer) -> None:
    """Seen to fail: the JSON text in the variable, which is a path."""
    given = render({**GCS, "secrets": {"gcs": {"keyfile": '{"type": "service_account"}'}}})
    assert data(given)["gcsKeyfile"] == '{"type": "service_account"}'
    referred = {"secretRef": "google", "secretKeys": {"keyfile": "key.json"}}
    named = render({**GCS, "secrets": {"gcs": referred}})
    for rendered, name, key in ((given, OWN, "gcsKeyfile"), (named, "google", "key.json")):
        assert volumes_of(rendered)["gcs-keyfile"]["secret"] == {
            "secretName": name,
            "items": [{"key": key, "path": "keyfile.json"}],
        }
        place = env_of(rendered)["REGISTRY_STORAGE_GCS_KEYFILE"]
        assert place == f"{mounts_of(rendered)['gcs-keyfile']}/keyfile.json"


def test_azure_logs_in_as_it_is_told(render: Renderer) -> None:
    """Seen to fail: an account's key wanted from the Secret beside `client_secret`."""
    identity = {"type": "client_secret", "clientid": "id", "tenantid": "t", "secret": "hidden"}
    rendered = render({**AZURE, "azure": {**AZURE["azure"], "credentials": identity}})
    env = env_of(rendered)
    prefix = "REGISTRY_STORAGE_AZURE_CREDENTIALS_"
    assert {env[prefix + name] for name in ("TYPE", "CLIENTID", "TENANTID")} == {
        "client_secret",
        "id",
        "t",
    }
    assert reference(rendered, f"{prefix}SECRET") == (OWN, "azureClientSecret", False)
    assert data(rendered)["azureClientSecret"] == "hidden"
    named: dict[str, Any] = {"secretRef": "keys", "secretKeys": {"clientSecret": "client"}}
    identity = {**identity, "secret": ""}
    values = {"azure": {**AZURE["azure"], "credentials": identity}, "secrets": {"azure": named}}
    rendered = render({**AZURE, **values})
    assert reference(rendered, f"{prefix}SECRET") == ("keys", "client", False)
    assert "REGISTRY_STORAGE_AZURE_ACCOUNTKEY" not in env_of(rendered)
    rendered = render({**AZURE, "secrets": {"azure": named}})
    assert env_of(rendered)[f"{prefix}TYPE"] == "shared_key"
    assert reference(rendered, "REGISTRY_STORAGE_AZURE_ACCOUNTKEY")[:2] == (
        "keys",
        "azureAccountKey",
    )


def test_one_secret_may_hold_all(render: Renderer) -> None:
    """risadams' `existingSecret`. What a configuration can do without may be missing in it.

    Seen to fail: the chart's own Secret beside it; `optional` left out, so that a store with the
    pod's own identity never starts.
    """
    rendered = render(
        {
            **S3,
            **PROXY,
            **REDIS,
            "existingSecret": "{{ .Release.Name }}-all",
            "secrets": {"htpasswd": "in the Secret"},
        }
    )
    assert OWN not in of_kind(rendered, "Secret")
    assert reference(rendered, "REGISTRY_HTTP_SECRET") == ("test-all", "haSharedSecret", False)
    for variable, key in (
        ("REGISTRY_STORAGE_S3_ACCESSKEY", "s3AccessKey"),
        ("REGISTRY_PROXY_PASSWORD", "proxyPassword"),
        ("REGISTRY_REDIS_PASSWORD", "redisPassword"),
    ):
        assert reference(rendered, variable) == ("test-all", key, True)
    assert volumes_of(rendered)["auth"]["secret"]["secretName"] == "test-all"


def test_redis_beside_configdata_gets_its_password(render: Renderer) -> None:
    """As at risadams: the connection in configData, the password here (S8).

    Seen to fail: `redis.secretRef` alone ignored, as there.
    """
    config = {
        "configData": {
            "storage": {"cache": {"blobdescriptor": "redis"}},
            "redis": {"addrs": ["cache:6379"]},
        }
    }
    for redis, expected in (
        ({"password": "p"}, (OWN, "redisPassword", False)),
        ({"secretRef": "cache"}, ("cache", "redisPassword", False)),
    ):
        rendered = render({**config, "redis": redis})
        assert reference(rendered, "REGISTRY_REDIS_PASSWORD") == expected
        assert "REGISTRY_REDIS_ADDRS" not in env_of(rendered)
    alone = render({"redis": {"secretRef": "cache"}})  # the rest may be in variables of the user
    assert reference(alone, "REGISTRY_REDIS_PASSWORD")[0] == "cache"
    assert "REGISTRY_REDIS_PASSWORD" not in env_of(render({}))


def test_redis_is_told_by_variables(render: Renderer) -> None:
    """Seen to fail: no REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR; `db: 0` as a variable, which would
    overrule configData.
    """
    redis = {
        "addrs": ["a:1", "b:2"],
        "poolsize": 5,
        "dialtimeout": "10ms",
        "sentinel": {"masterName": "theirs", "password": "hidden"},
        "tls": {"enabled": True, "caSecret": "authority"},
    }
    rendered = render({"redis": redis})
    env = env_of(rendered)
    assert env["REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR"] == "redis"
    assert json.loads(env["REGISTRY_REDIS_ADDRS"]) == ["a:1", "b:2"]
    assert env["REGISTRY_REDIS_MASTERNAME"] == "theirs"
    assert (env["REGISTRY_REDIS_POOLSIZE"], env["REGISTRY_REDIS_DIALTIMEOUT"]) == ("5", "10ms")
    assert json.loads(env["REGISTRY_REDIS_TLS_ROOTCAS"]) == [
        f"{mounts_of(rendered)['redis-ca']}/ca.crt"
    ]
    assert "REGISTRY_REDIS_DB" not in env
    assert data(rendered)["redisSentinelPassword"] == "hidden"


def test_a_proxy_without_a_password_is_told_none(render: Renderer) -> None:
    """Seen to fail: REGISTRY_PROXY_USERNAME from an empty key (S6)."""
    for half in ({}, {"username": "u"}):
        env = env_of(render({"proxy": {**PROXY["proxy"], **half}}))
        assert not {"REGISTRY_PROXY_USERNAME", "REGISTRY_PROXY_PASSWORD"} & env.keys()


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("plain/+=", "plain/+="),
        ("*star", '"*star"'),
        ("a: b", '"a: b"'),
        ("a #b", '"a #b"'),
        ("0123", '"0123"'),
        ('"quoted"', '"quoted"'),
        ('q"u', 'q"u'),
        ("true", "true"),
    ],
)
def test_a_password_is_what_the_registry_reads(render: Renderer, given: str, written: str) -> None:
    """It takes each variable for YAML (S4). What people quoted themselves stays as it is.

    Seen to fail: docker-registry.scalar that returns its text.
    """
    rendered = render({**S3, "secrets": {"s3": {"accessKey": given, "secretKey": "s"}}})
    assert data(rendered)["s3AccessKey"] == written
    assert given == "true" or yaml.safe_load(written) == yaml.safe_load(json.dumps(given)).strip(
        '"'
    )


def test_false_is_an_answer_for_s3(render: Renderer) -> None:
    """Seen to fail: `with .secure`, which drops false (S3), and numbers without quotes (S4)."""
    s3 = {
        "bucket": 20240101,
        "region": "eu",
        "regionEndpoint": "http://minio:9000",
        "secure": False,
        "encrypt": False,
        "skipverify": True,
        "storageclass": "",
        "chunksize": 33554432,
        "accesskey": "a",
        "secretkey": "hidden",
    }
    rendered = render({"storage": "s3", "s3": s3})
    env = env_of(rendered)
    prefix = "REGISTRY_STORAGE_S3_"
    found = {n.removeprefix(prefix): text for n, text in env.items() if n.startswith(prefix)}
    keys = {
        found.pop("ACCESSKEY")["secretKeyRef"]["name"],
        found.pop("SECRETKEY")["secretKeyRef"]["name"],
    }
    assert keys == {OWN}
    assert found == {
        "BUCKET": "20240101",
        "CHUNKSIZE": "33554432",
        "REGION": "eu",
        "REGIONENDPOINT": "http://minio:9000",
        "SECURE": "false",
        "ENCRYPT": "false",
        "SKIPVERIFY": "true",
    }


def test_an_option_that_no_variable_can_say_is_in_the_file(render: Renderer) -> None:
    """Seen to fail: REGISTRY_STORAGE_AZURE_MAX_RETRIES, which is `retries` below `max`."""
    azure = {**AZURE["azure"], "max_retries": 9, "retry_delay": "1s"}
    rendered = render({**AZURE, "azure": azure})
    config = yaml.safe_load(
        of_kind(rendered, "ConfigMap")["test-docker-registry-config"]["data"]["config.yml"]
    )
    assert config["storage"] == {"azure": {"max_retries": 9, "retry_delay": "1s"}}
    assert not [name for name in env_of(rendered) if "RETR" in name]


def test_what_is_secret_in_the_configuration_stays_out_of_the_configmap(render: Renderer) -> None:
    """Seen to fail: the ConfigMap with configSecret (S8); `merge`, to which `false` is nothing."""
    values: dict[str, Any] = {
        "configData": {"log": {"level": "warn"}, "http": {"http2": {"disabled": True}}},
        "configSecret": {
            "notifications": {
                "endpoints": [{"name": "audit", "headers": {"Authorization": ["hidden"]}}]
            },
            "http": {"http2": {"disabled": False}, "addr": ":5555"},
        },
        "garbageCollect": {"enabled": True},
    }
    rendered = render(values)
    assert "hidden" not in str([each for each in rendered if each["kind"] != "Secret"])
    public = of_kind(rendered, "ConfigMap")["test-docker-registry-config"]["data"]["config.yml"]
    whole = yaml.safe_load(data(rendered, "test-docker-registry-config-secret")["config.yml"])
    assert yaml.safe_load(public)["http"]["http2"] == {"disabled": True}
    assert whole["http"] == {
        **yaml.safe_load(public)["http"],
        "http2": {"disabled": False},
        "addr": ":5555",
    }
    assert whole["log"]["level"] == "warn"
    assert volumes_of(rendered)["test-docker-registry-config"] == {
        "secret": {"secretName": "test-docker-registry-config-secret"}
    }
    (container,) = workload(rendered)["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 5555}]


def test_the_registrys_own_certificate_may_be_given_inline(render: Renderer) -> None:
    """risadams' `tls.crt` and `tls.key`; `tlsSecretName` wins.

    Seen to fail: no checksum, so that a new certificate is never read (W10).
    """
    inline = {"tls": {"crt": "certificate", "key": "key"}}
    rendered = render(inline)
    assert of_kind(rendered, "Secret")["test-docker-registry-tls"]["type"] == "kubernetes.io/tls"
    assert data(rendered, "test-docker-registry-tls") == {
        "tls.crt": "certificate",
        "tls.key": "key",
    }
    assert volumes_of(rendered)["tls-cert"]["secret"]["secretName"] == "test-docker-registry-tls"

    def checksum(values: dict[str, Any]) -> object:
        return workload(render(values))["spec"]["template"]["metadata"]["annotations"]

    assert checksum(inline) != checksum({"tls": {"crt": "renewed", "key": "key"}})
    named = render({**inline, "tlsSecretName": "mine"})
    assert volumes_of(named)["tls-cert"]["secret"]["secretName"] == "mine"
    assert "test-docker-registry-tls" not in of_kind(named, "Secret")


def test_tokens_are_checked_with_what_was_given(render: Renderer) -> None:
    """Seen to fail: the bundle's text in the variable, which is a path; a text that reads like a
    boolean without quotes.
    """
    token: dict[str, Any] = {
        "realm": "https://auth.example.com/token",
        "service": "yes",
        "issuer": "me",
    }
    given = render({"auth": {"token": {**token, "rootCertBundle": "PEM", "jwks": '{"keys": []}'}}})
    public = of_kind(given, "ConfigMap")["test-docker-registry-token"]["data"]
    assert public == {"rootcertbundle.pem": "PEM", "jwks.json": '{"keys": []}'}
    env = env_of(given)
    assert (env["REGISTRY_AUTH"], env["REGISTRY_AUTH_TOKEN_SERVICE"]) == ("token", '"yes"')
    place = mounts_of(given)["token"]
    assert env["REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE"] == f"{place}/rootcertbundle.pem"
    assert env["REGISTRY_AUTH_TOKEN_JWKS"] == f"{place}/jwks.json"
    assert "REGISTRY_AUTH_TOKEN_AUTOREDIRECT" not in env
    named = render({"auth": {"token": {**token, "rootCertBundleRef": {"name": "signer"}}}})
    assert volumes_of(named)["token"]["projected"]["sources"] == [
        {"secret": {"name": "signer", "items": [{"key": "tls.crt", "path": "rootcertbundle.pem"}]}}
    ]
    assert "test-docker-registry-token" not in of_kind(named, "ConfigMap")


def test_a_generated_secret_is_kept(render: Renderer, tmp_path: Path) -> None:
    """Given, else as the cluster has it, else random (S1).

    Seen to fail: `randAlphaNum` before `lookup`; the value at the top, as stable's README has it,
    ignored.
    """
    (kept,) = [
        each
        for each in render({"secrets": {"haSharedSecret": "kept"}})
        if each["metadata"]["name"] == OWN
    ]
    owner = {"meta.helm.sh/release-name": "test", "meta.helm.sh/release-namespace": "test-ns"}
    kept = {**kept, "metadata": {**kept["metadata"], "annotations": owner}}
    with fake_cluster([kept], tmp_path) as kubeconfig:
        for values, expected in (
            ({}, "kept"),
            ({"secrets": {"haSharedSecret": "given"}}, "given"),
            ({"haSharedSecret": "at the top"}, "at the top"),
        ):
            found = data(render(values, kubeconfig=kubeconfig))["haSharedSecret"]
            assert found == expected
    assert len(data(render({}))["haSharedSecret"]) == 32


def test_a_check_before_the_release_waits_for_no_secret_of_it(render: Renderer) -> None:
    """The Secrets of others may come with the release (extraObjects), or a moment later.

    Seen to fail: the preflight's reference to `existingSecret` without `optional`: no pod starts.
    """
    rendered = render(
        {
            "existingSecret": "later",
            "garbageCollect": {"enabled": True},
            "extraEnvVars": [
                {"name": "MINE", "valueFrom": {"secretKeyRef": {"name": "later", "key": "mine"}}}
            ],
        }
    )
    job = of_kind(rendered, "Job")["test-docker-registry-preflight"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    references = [e["valueFrom"]["secretKeyRef"] for e in container["env"] if "valueFrom" in e]
    assert len(references) == 2
    assert all(each["optional"] for each in references)
    assert reference(rendered, "MINE") == ("later", "mine", False)


def test_the_check_knows_where_redis_is(render: Renderer) -> None:
    """It reads a copy of the configuration that may outlive it, so that has no secrets; but without
    the address that configSecret names, it would refuse what is right.

    Seen to fail: the Job's ConfigMap with configData alone; with all of configSecret.
    """
    values: dict[str, Any] = {
        "garbageCollect": {"enabled": True},
        "configData": {"storage": {"cache": {"blobdescriptor": "redis"}}},
        "configSecret": {
            "redis": {"addrs": ["redis:6379"], "password": "hidden-1", "db": 3},
            "notifications": {
                "endpoints": [
                    {"url": "https://u:hidden-2@x/", "headers": {"Authorization": ["hidden-3"]}}
                ]
            },
            "auth": {"htpasswd": {"realm": "hidden-4", "path": "/mine"}},
        },
    }
    rendered = render(values)
    checked = of_kind(rendered, "ConfigMap")["test-docker-registry-preflight"]["data"]["config.yml"]
    assert "hidden" not in checked
    assert yaml.safe_load(checked)["redis"] == {
        "addrs": ["redis:6379"],
        "password": "unused",
        "db": 3,
    }
    assert yaml.safe_load(checked)["notifications"]["endpoints"][0]["url"] == "https://x/"
