"""Values as people have them at the peers (ci/values/peers), installed where what they need exists.

Each is the file as it stands, but for what belongs to a place: names of hosts and nodes, storage
classes, sizes, and the port by which a test reaches it.
"""

import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from helm_chart_test import merged
from helm_chart_test.reading import mapping
from support.certificates import self_signed
from support.checkout import ROOT
from support.client import image
from support.cluster import Release
from support.host_clients import HostClients
from support.oci_layout import valid_image
from support.on_cluster import install_values
from support.services import start_service
from support.upgrading import HTPASSWD, PASSWORD, USER
from support.waiting import until

Values = Mapping[str, Any]

pytestmark = pytest.mark.full
_SMALL = {"enabled": True, "size": "1Gi", "storageClass": ""}


def install(release: Release, name: str, *changed: Values) -> dict[str, Any]:
    """Install a file of ci/values/peers with what is different here; return its values."""
    here = {"service": {"type": "NodePort", "nodePort": release.port}}
    values = merged(mapping(ROOT / "ci" / "values" / "peers" / f"{name}.yaml"), here, *changed)
    install_values(release, values)
    return values


def works(release: Release, user: str = "", password: str = "") -> HostClients:
    """Push and pull an image with a real client."""
    clients = HostClients(release.scratch, release.address, user, password)
    manifest = valid_image(release.namespace, layers=3)
    until(
        lambda: clients.push(manifest, "app:works", check=False).returncode == 0,
        what="a push", timeout=60, pause=1,
    )  # fmt: skip
    assert clients.pull_digest("app:works") == manifest.digest
    return clients


@pytest.mark.parametrize("peer", ["stable", "twuni"])
def test_htpasswd_behind_an_ingress(release: Release, peer: str) -> None:
    values = install(
        release,
        f"{peer}/htpasswd-and-ingress",
        {"secrets": {"htpasswd": HTPASSWD}, "persistence": _SMALL},
    )

    works(release, USER, PASSWORD)
    nobody = HostClients(release.scratch, release.address)
    assert "401 Unauthorized" in nobody.push(valid_image("no"), "app:no", check=False).stderr
    ingress = release.cluster.get("ingress", release.fullname, "-n", release.namespace)["spec"]
    assert [rule["host"] for rule in ingress["rules"]] == values["ingress"]["hosts"]
    (path,) = ingress["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": release.fullname, "port": {"number": 5000}}


@pytest.mark.parametrize(
    "name", ["stable/existing-claim-with-deletes", "twuni/existing-claim-with-collection"]
)
def test_a_claim_that_somebody_made_and_deletes(release: Release, name: str) -> None:
    release.make_claim("registry-data")
    install(
        release,
        name,
        # So that a collection has something to do at once.
        {
            "garbageCollect": {
                "image": {"tag": release.cluster.image_tag},
                "gracePeriod": "0s",
                "settlePeriod": "1s",
                "maxDeleteRatio": 1,
            }
        },
    )

    clients = works(release)
    clients.crane("delete", f"{release.address}/app@{clients.pull_digest('app:works')}")
    assert clients.crane("digest", f"{release.address}/app:works", check=False).returncode != 0
    if "collection" in name:
        assert "Deleted" in release.collect()
    release.uninstall()
    claims = release.cluster.get("pvc", "-n", release.namespace)["items"]
    assert [claim["metadata"]["name"] for claim in claims] == ["registry-data"]


class TestOnAFolder:
    """A hostPath volume is refused in any namespace but a privileged one."""

    @pytest.fixture
    def enforce(self) -> str:
        return "privileged"

    def test_a_folder_of_the_node_on_a_node_port(self, release: Release) -> None:
        nodes = release.cluster.get("nodes")["items"]
        folder = f"/var/local/{release.namespace}"
        install(
            release,
            "twuni/folder-of-the-node-on-nodeport",
            {
                "nodeSelector": {"kubernetes.io/hostname": nodes[-1]["metadata"]["name"]},
                "extraVolumes": [
                    {"name": "images", "hostPath": {"path": folder, "type": "DirectoryOrCreate"}}
                ],
            },
        )

        works(release)
        release.restart_registry()
        clients = HostClients(release.scratch, release.address)
        assert clients.pull_digest("app:works") == valid_image(release.namespace, layers=3).digest


@pytest.fixture
def upstream(release: Release) -> Iterator[Callable[..., Release]]:
    """Install a second registry in the same namespace, which another one is a cache of."""
    started: list[Release] = []

    def installed(**values: Any) -> Release:
        other = Release(release.cluster, release.namespace, release.port, name="upstream")
        node_port = {"service": {"type": "NodePort", "nodePort": other.port}}
        install_values(other, {**node_port, **values})
        started.append(other)
        return other

    yield installed
    for other in started:
        other.close()
        release.cluster.helm("uninstall", other.name, "-n", other.namespace, "--wait", check=False)


def hide(other: Release) -> None:
    """Take its NodePort away, so that the registry under test can have it."""
    other.cluster.kubectl(
        "patch", "service", other.fullname, "-n", other.namespace, "--type=merge",
        "-p", '{"spec": {"type": "ClusterIP"}}',
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["twuni/proxy-with-secret", "risadams/proxy-with-secret", "stable/mirror-by-configuration"],
)
def test_a_cache_of_another_registry(
    release: Release, upstream: Callable[..., Release], name: str
) -> None:
    """The first two log in with a Secret that somebody made."""
    asks = "secret" in name
    source = upstream(**({"secrets": {"htpasswd": HTPASSWD}} if asks else {}))
    clients = works(source, *((USER, PASSWORD) if asks else ()))
    hide(source)
    secret = {"twuni/proxy-with-secret": "dockerhub", "risadams/proxy-with-secret": "ghcr"}
    if name in secret:
        release.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": secret[name]},
                "stringData": {"proxyUsername": USER, "proxyPassword": PASSWORD},
            }
        )
    remote = {"remoteurl": f"http://{source.fullname}:5000"}
    section = {"proxy": remote} if asks else {"configData": {"proxy": remote}}
    install(release, name, section, {"persistence": {**_SMALL, "volumeName": ""}})

    reader = HostClients(release.scratch, release.address)
    expected = valid_image(release.namespace, layers=3).digest
    until(
        lambda: reader.crane("validate", "--remote", f"{release.address}/app:works", check=False)
        .returncode == 0,
        what="a pull through the cache", timeout=60, pause=1,
    )  # fmt: skip
    assert reader.pull_digest("app:works") == expected
    assert clients.address == reader.address
    # From the cache alone.
    release.cluster.kubectl("scale", f"deployment/{source.fullname}", "--replicas=0", "-n",
                            source.namespace)  # fmt: skip
    assert reader.crane("validate", "--remote", f"{release.address}/app@{expected}").returncode == 0


def test_a_certificate_in_the_values(release: Release) -> None:
    made = self_signed(release.scratch, "IP:127.0.0.1")
    given = {"crt": made.crt.read_text(), "key": made.key.read_text()}

    install(release, "risadams/tls-inline", {"tls": given, "persistence": _SMALL})

    context = ssl.create_default_context(cafile=str(made.crt))

    def answered() -> bool:
        connection = http.client.HTTPSConnection("127.0.0.1", release.port, context=context)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    until(answered, what="an answer over TLS", timeout=60, pause=0.2)


def test_a_stateful_set_with_a_second_container(release: Release) -> None:
    extra = mapping(ROOT / "ci/values/peers/risadams/stateful-set.yaml")["extraContainers"]
    extra[0]["image"] = "registry:3.1.1"
    install(release, "risadams/stateful-set", {"persistence": _SMALL, "extraContainers": extra})

    works(release)
    (pod,) = release.pods()
    assert [each["name"] for each in pod["spec"]["containers"]] == ["docker-registry", "exporter"]


def test_two_replicas_on_an_object_store_with_redis(release: Release) -> None:
    start_service(release, "redis", 6379, "redis-server", "--save", "", "--bind", "0.0.0.0",
                  "--protected-mode", "no", "--dir", "/data")  # fmt: skip
    keys = mapping(ROOT / "ci/values/peers/stable/replicas-with-redis.yaml")["secrets"]["s3"]
    start_service(
        release, "seaweedfs", 8333, "weed", "mini", "-dir=/data", "-bucket=images",
        "-admin.ui=false",
        env={
            "AWS_ACCESS_KEY_ID": keys["accessKey"],
            "AWS_SECRET_ACCESS_KEY": keys["secretKey"],
        },
    )  # fmt: skip
    install(
        release,
        "stable/replicas-with-redis",
        {
            "s3": {
                "region": "us-east-1",
                "regionEndpoint": "http://seaweedfs:8333",
                "forcepathstyle": True,
                "secure": False,
            },
            "configData": {
                "redis": {"addr": "redis:6379"},
                # This machine knows the store by no name, so the registry passes the bytes on.
                "storage": {"redirect": {"disable": True}},
            },
        },
    )

    works(release)
    assert len(release.pods()) == 2
    client = release.client()
    client.push("app", image("again"), "again")
    for _ in range(8):
        assert release.client().pull("app", "again").missing == ()
    release.restart_registry()
    assert release.client().pull("app", "again").missing == ()
