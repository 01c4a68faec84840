"""The known defects of other charts' credentials and upgrades (S1 to S8), each absent here."""

from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import differences, fake_cluster
from helm_chart_test.fixtures import Renderer
from helm_chart_test.reading import documents
from support.chart import problems
from support.rendered import one, registry_container, registry_env, registry_pod, secret_of

OWNER = {"meta.helm.sh/release-name": "test", "meta.helm.sh/release-namespace": "test-ns"}


def test_s1_a_generated_secret_restarts_nothing(render: Renderer) -> None:
    """The pod is the same at each render, though the Secret is not where nothing can be asked."""
    again = Renderer(render.chart, render.helm)
    first, second = render({}), again({})
    assert differences(first, second) == ["Secret/test-docker-registry-secret: data.haSharedSecret"]
    assert registry_pod(first) == registry_pod(second)


def test_s1_a_generated_secret_is_kept(render: Renderer, tmp_path: Path) -> None:
    there = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "test-docker-registry-secret",
            "namespace": "test-ns",
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": OWNER,
        },
        "data": {"haSharedSecret": "a2VwdA=="},
    }
    with fake_cluster([there], tmp_path) as kubeconfig:
        rendered = render({}, upgrade=True, kubeconfig=kubeconfig)
    assert secret_of(one(rendered, "Secret", "-secret"))["haSharedSecret"] == "kept"


STORES: dict[str, dict[str, Any]] = {
    "s3": {"region": "eu-central-1", "bucket": "b"},
    "azure": {
        "accountname": "a",
        "container": "c",
        "credentials": {"type": "default_credentials"},
    },
    "gcs": {"bucket": "b"},
}


@pytest.mark.parametrize("storage", STORES)
@pytest.mark.parametrize("secrets", [{}, None], ids=["no keys", "no section"])
def test_s2_a_store_needs_no_keys(
    render: Renderer, storage: str, secrets: dict[str, Any] | None
) -> None:
    """IRSA, workload identity, an instance's profile: the cloud knows the pod."""
    given = {"secrets": None if secrets is None else {storage: None}}
    names = registry_env(render({"storage": storage, storage: STORES[storage], **given}))
    assert "REGISTRY_HTTP_SECRET" in names
    assert [name for name in names if name.startswith(f"REGISTRY_STORAGE_{storage.upper()}_")]
    keys = ("ACCESSKEY", "SECRETKEY", "ACCOUNTKEY", "KEYFILE", "PASSWORD", "USERNAME")
    assert not [name for name in names if name.endswith(keys)]


@pytest.mark.parametrize("option", ["secure", "encrypt", "forcepathstyle", "skipverify"])
def test_s3_false_is_an_answer(render: Renderer, option: str) -> None:
    """A MinIO without TLS needs `secure: false`."""
    env = registry_env(render({"storage": "s3", "s3": {**STORES["s3"], option: False}}))
    assert env[f"REGISTRY_STORAGE_S3_{option.upper()}"] == "false"


def test_s4_what_looks_like_a_number_stays_a_text(render: Renderer) -> None:
    values: dict[str, Any] = {
        "storage": "s3",
        "s3": {"bucket": 20240101, "region": "1e3", "rootdirectory": "0123", "chunksize": 33554432},
    }
    rendered = render(values)
    env = registry_env(rendered)
    # The registry reads each variable as YAML: "1e3" is a number there without quotes of its own.
    found = {name: env[f"REGISTRY_STORAGE_S3_{name.upper()}"] for name in values["s3"]}
    read: list[Any] = [documents(found[name])[0] for name in ("region", "rootdirectory")]
    assert read == ["1e3", "0123"]
    assert (found["bucket"], found["chunksize"]) == ("20240101", "33554432")
    assert all(isinstance(value, str) for value in found.values())
    assert problems(rendered) == []


REFERENCES: dict[str, tuple[dict[str, Any], str]] = {
    "haSharedSecret": ({"secrets": {"haSharedSecretRef": {"name": "mine", "key": "k"}}}, "k"),
    "htpasswd": ({"secrets": {"htpasswdRef": {"name": "mine", "key": "k"}}}, "k"),
    "s3": (
        {
            "storage": "s3",
            "s3": {"region": "eu", "bucket": "b"},
            "secrets": {"s3": {"secretRef": "mine", "secretKeys": {"accessKey": "k"}}},
        },
        "k",
    ),
    "azure": (
        {
            "storage": "azure",
            "secrets": {"azure": {"secretRef": "mine", "secretKeys": {"accountKey": "k"}}},
        },
        "k",
    ),
    "gcs": (
        {
            "storage": "gcs",
            "gcs": {"bucket": "b"},
            "secrets": {"gcs": {"secretRef": "mine", "secretKeys": {"keyfile": "k"}}},
        },
        "k",
    ),
    "swift": (
        {
            "storage": "swift",
            "image": {"tag": "2.8.3"},
            "secrets": {"swift": {"secretRef": "mine", "secretKeys": {"password": "k"}}},
        },
        "k",
    ),
    "proxy": (
        {"proxy": {"enabled": True, "secretRef": "mine", "secretKeys": {"password": "k"}}},
        "k",
    ),
    "redis": (
        {"redis": {"addrs": ["r:6379"], "secretRef": "mine", "secretKeys": {"password": "k"}}},
        "k",
    ),
    "everything": (
        {"existingSecret": "mine", "storage": "s3", "s3": {"region": "eu", "bucket": "b"}},
        "s3AccessKey",
    ),
}


@pytest.mark.parametrize("credential", REFERENCES)
def test_s5_every_credential_may_be_in_a_secret_that_exists(
    render: Renderer, credential: str
) -> None:
    """With the key that it has there."""
    values, key = REFERENCES[credential]
    pod = registry_pod(render(values))
    used = [
        (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
        for entry in registry_container(render(values))["env"]
        if "secretKeyRef" in entry.get("valueFrom", {})
    ] + [
        (volume["secret"]["secretName"], item["key"])
        for volume in pod["spec"]["volumes"]
        if "secret" in volume
        for item in volume["secret"].get("items", [])
    ]
    assert ("mine", key) in used, used


def test_s6_no_user_is_said_where_there_is_none(render: Renderer) -> None:
    """The keys stay in the Secret, empty, for pods of before; the registry is not told of them."""
    env = registry_env(render({"proxy": {"enabled": True}}))
    assert "REGISTRY_PROXY_REMOTEURL" in env
    assert not {"REGISTRY_PROXY_USERNAME", "REGISTRY_PROXY_PASSWORD"} & env.keys()
    one_of_two = registry_env(render({"proxy": {"enabled": True, "username": "u"}}))
    assert "REGISTRY_PROXY_USERNAME" not in one_of_two


def test_s7_a_variable_of_the_user_replaces_the_charts(render: Renderer) -> None:
    extra = [{"name": "REGISTRY_HTTP_SECRET", "value": "mine"}]
    names = [entry["name"] for entry in registry_container(render({"extraEnvVars": extra}))["env"]]
    assert names.count("REGISTRY_HTTP_SECRET") == 1
    assert registry_env(render({"extraEnvVars": extra}))["REGISTRY_HTTP_SECRET"] == "mine"


def test_s8_what_is_secret_in_the_configuration_is_in_no_config_map(render: Renderer) -> None:
    """`configSecret` is merged over configData, in a Secret, and that is what is mounted."""
    rendered = render({"configSecret": {"notifications": {"endpoints": [{"name": "hidden-word"}]}}})
    (secret,) = (
        thing
        for thing in rendered
        if thing["kind"] == "Secret" and thing["metadata"]["name"].endswith("-config-secret")
    )
    whole = secret_of(secret)["config.yml"]
    assert "hidden-word" in whole
    assert "version: 0.1" in whole
    assert "hidden-word" not in str([t for t in rendered if t["kind"] != "Secret"])
    volumes = registry_pod(rendered)["spec"]["volumes"]
    assert secret["metadata"]["name"] in {v.get("secret", {}).get("secretName") for v in volumes}
