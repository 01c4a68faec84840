"""The DaemonSet of nodes that trust: what it may do on a node, where it lives, what it is told."""

from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import (
    Object,
    containers,
    merged,
    restricted_problems,
)
from helm_chart_test.fixtures import Renderer
from registry_gc.addresses import Address
from registry_gc.node_trust import NodeTrustSettings
from support.rendered import environment, one, pod_of, printed

ON: dict[str, Any] = {"endpoint": {"enabled": True}, "nodeTrust": {"enabled": True}}
AWAY = merged(ON, {"nodeTrust": {"namespace": "trusting"}})
CRIO = merged(ON, {"nodeTrust": {"runtime": "crio"}})
K3S = "/var/lib/rancher/k3s/agent/etc/containerd"


def daemon_set(objects: list[Object]) -> Object:
    return one(objects, "DaemonSet")


def pod(objects: list[Object]) -> Object:
    spec: Object = pod_of(daemon_set(objects))["spec"]
    return spec


def container(objects: list[Object]) -> Object:
    (found,) = containers(pod_of(daemon_set(objects))).values()
    return found


@pytest.mark.parametrize(
    "values", [{}, {"nodeTrust": {"enabled": False}}, {"endpoint": {"enabled": True}}]
)
def test_nothing_of_it_is_there_unless_asked_for(render: Renderer, values: dict[str, Any]) -> None:
    """Seen to fail: its account rendered whenever there is a RegistryEndpoint."""
    assert not [t for t in render(values) if t["metadata"]["name"].endswith("-node-trust")]


@pytest.mark.parametrize("values", [ON, AWAY, CRIO], ids=["here", "away", "crio"])
def test_it_has_no_privilege_beyond_one_folder(render: Renderer, values: dict[str, Any]) -> None:
    """Root, because the folder is root's; and no capability of root's.

    Seen to fail: CAP_DAC_OVERRIDE added; the node's network; a second hostPath.
    """
    objects = render(values)
    assert sorted(restricted_problems(pod_of(daemon_set(objects)))) == [
        "container node-trust: runAsNonRoot is not true",
        "container node-trust: runAsUser is 0",
        "volume runtime is a hostPath",
    ]
    context = container(objects)["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert pod(objects)["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("values", "folders"),
    [(ON, {"certs.d"}), (CRIO, {"certs.d", "registries.conf.d"})],
    ids=["containerd", "crio"],
)
def test_it_writes_where_registries_are_told_of_and_nowhere_else(
    render: Renderer, values: dict[str, Any], folders: set[str]
) -> None:
    """It reads the runtime's configuration, whose commands run as root on the node.

    Seen to fail: the whole folder mounted to be written to.
    """
    mounts = [m for m in container(render(values))["volumeMounts"] if m["name"] == "runtime"]
    whole = [mount for mount in mounts if "subPath" not in mount]
    assert whole == [{"name": "runtime", "mountPath": "/host", "readOnly": True}]
    assert {m["subPath"]: m["mountPath"] for m in mounts if "subPath" in m} == {
        folder: f"/host/{folder}" for folder in folders
    }


@pytest.mark.parametrize(
    ("values", "folder"),
    [
        ({}, "/etc/containerd"),
        ({"runtime": "crio"}, "/etc/containers"),
        ({"hostFolder": f"{K3S}/"}, K3S),
    ],
)
def test_the_folder_is_the_runtimes(render: Renderer, values: dict[str, Any], folder: str) -> None:
    """And the script calls it as the node does. Seen to fail: containerd's for CRI-O; a fixed one
    in what the script is told.
    """
    objects = render(merged(ON, {"nodeTrust": values}))
    (volume,) = (each for each in pod(objects)["volumes"] if "hostPath" in each)
    # A folder that is made here would be one that no runtime looks into.
    assert volume["hostPath"] == {"path": folder, "type": "Directory"}
    assert environment(container(objects))["GC_TRUST_HOST_FOLDER"] == folder


def test_it_is_told_whose_files_it_keeps_and_by_what(render: Renderer) -> None:
    """Seen to fail: the DaemonSet's namespace for the RegistryEndpoint's; no owner's namespace."""
    values = merged(AWAY, {"nodeTrust": {"interval": "2s"}})
    given = environment(container(render(values, namespace="home")))
    assert given.pop("GC_NODE_ADDRESS") == {"fieldRef": {"fieldPath": "status.hostIP"}}
    settings = NodeTrustSettings.from_environment(given)
    assert settings.owner == "home/test/docker-registry"
    assert settings.endpoints == ("home/test-docker-registry",)
    assert settings.folder == Path("/host")
    assert settings.interval.total_seconds() == 2


def test_it_is_told_which_name_leads_elsewhere(render: Renderer) -> None:
    """The RegistryEndpoint says it too, but more people may write that.

    Seen to fail: nothing, and every entry of another host is left out.
    """
    on_nodes = merged(ON, {"service": {"type": "NodePort"}})
    hosts = []
    for values in ({}, {"nodeTrust": {"host": "{{ .Release.Name }}.lan:5000"}}):
        given = environment(container(render(merged(on_nodes, values))))
        hosts.append(NodeTrustSettings.from_environment({**given, "GC_NODE_ADDRESS": ""}).hosts)
    assert hosts == [(), (Address("test.lan", 5000),)]


def test_two_registries_of_one_release_keep_files_of_their_own(render: Renderer) -> None:
    """In a parent chart, by an alias, which is the chart's name there. Each removes what is its own
    and not wanted.

    Seen to fail: the release alone as the owner.
    """
    owners = {
        environment(container(render(merged(ON, {"nameOverride": alias}))))["GC_TRUST_OWNER"]
        for alias in ("inner", "outer")
    }
    assert len(owners) == 2


def test_in_another_namespace_it_still_reads_where_the_release_is(render: Renderer) -> None:
    """Seen to fail: the Role beside the DaemonSet; a subject in the Role's namespace."""
    objects = [t for t in render(AWAY) if t["metadata"]["name"].endswith("-node-trust")]
    where = {thing["kind"]: thing["metadata"]["namespace"] for thing in objects}
    assert where == {
        "ServiceAccount": "trusting",
        "DaemonSet": "trusting",
        "Role": "test-ns",
        "RoleBinding": "test-ns",
    }
    names = {thing["metadata"]["name"] for thing in objects}
    assert names == {"test-ns-test-docker-registry-node-trust"}
    (subject,) = one(objects, "RoleBinding")["subjects"]
    assert subject["namespace"] == "trusting"
    assert pod(objects)["serviceAccountName"] == subject["name"]


def test_releases_of_one_name_share_a_namespace(render: Renderer) -> None:
    """Their selectors too: two DaemonSets that select each other's pods fight over them.

    Seen to fail: the name without the release's namespace; the selector without it.
    """
    found = [daemon_set(render(AWAY, namespace=home)) for home in ("first", "second")]
    names = {each["metadata"]["name"] for each in found}
    selectors = [each["spec"]["selector"]["matchLabels"] for each in found]
    assert len(names) == 2
    assert selectors[0] != selectors[1]


def test_long_names_that_are_cut_stay_apart(render: Renderer) -> None:
    """Seen to fail: `trunc` without a hash."""
    names = {
        daemon_set(render(AWAY, namespace="n" * 60, release=f"{'r' * 52}{last}"))["metadata"][
            "name"
        ]
        for last in "ab"
    }
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


def test_the_user_says_where_and_how_it_runs(render: Renderer) -> None:
    """Seen to fail: each of them left out of the template."""
    own: dict[str, Any] = {
        "nodeSelector": {"pulls": "yes"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "system-node-critical",
        "podAnnotations": {"team": "platform"},
        "podLabels": {"app": "mine", "cost-centre": "7"},
        "resources": {"limits": {"memory": "64Mi"}},
        "updateStrategy": {"type": "OnDelete"},
    }
    objects = render(merged(ON, {"nodeTrust": own, "imagePullSecrets": ["pull"]}))
    spec = pod(objects)
    for field in ("tolerations", "affinity", "priorityClassName"):
        assert spec[field] == own[field]
    # A DaemonSet that tolerates everything also comes to nodes of Windows.
    assert spec["nodeSelector"] == {"pulls": "yes", "kubernetes.io/os": "linux"}
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    metadata = daemon_set(objects)["spec"]["template"]["metadata"]
    assert metadata["annotations"] == own["podAnnotations"]
    assert metadata["labels"]["cost-centre"] == "7"
    assert "app" not in metadata["labels"]  # or the Service would send it the registry's traffic
    assert container(objects)["resources"]["limits"] == {"memory": "64Mi"}
    # The API server refuses our own `rollingUpdate` beside it.
    assert daemon_set(objects)["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_it_is_ready_while_its_node_trusts(render: Renderer) -> None:
    """An uninstall waits until no pod is ready. The image has neither `test` nor a shell.

    Seen to fail: the probe of another file than the one that the script is told.
    """
    found = container(render(ON))
    settings = NodeTrustSettings.from_environment(
        {**environment(found), "GC_NODE_ADDRESS": "10.0.0.1"}
    )
    probe = found["readinessProbe"]
    assert probe["exec"]["command"][0] == "python3"
    assert repr(str(settings.ready)) in probe["exec"]["command"][-1]
    assert probe["failureThreshold"] == 1
    # An uninstall takes a count of ten seconds ago for the truth (withdrawal.py).
    assert probe["periodSeconds"] <= 5


REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no RegistryEndpoint": (
        {"endpoint": {"enabled": False}},
        ("nodeTrust.enabled is true, but endpoint.enabled is false", "endpoint.enabled: true"),
    ),
    "no port on the node": (
        {"nodeTrust": {"host": "registry.lan:5000"}},
        ("(nodeTrust.via: Loopback), but service.type is ClusterIP", "service.type: NodePort"),
    ),
    "no port on the node by its address": (
        {"nodeTrust": {"host": "registry.lan:5000", "via": "NodeAddress"}},
        ("(nodeTrust.via: NodeAddress)", "nodeTrust.via: Clients"),
    ),
    "a host with a scheme": (
        {"nodeTrust": {"host": "https://registry.lan:5000", "via": "Clients"}},
        ("nodeTrust.host is", "neither a scheme nor a path", "Write registry.lan:5000."),
    ),
    "a host that needs no trust": (
        {"nodeTrust": {"host": "127.0.0.1:5000", "via": "Clients"}},
        ("nodeTrust.host is 127.0.0.1:5000", "trust as it is"),
    ),
    "a host that needs no trust by its name": (
        {"nodeTrust": {"host": "localhost:5000", "via": "Clients"}},
        ("nodeTrust.host is localhost:5000",),
    ),
    "the folder below": (
        {"nodeTrust": {"hostFolder": "/etc/containerd/certs.d"}},
        ("certs.d/certs.d", "Write /etc/containerd."),
    ),
    "a folder that is none": (
        {"nodeTrust": {"hostFolder": "etc/containerd"}},
        ('nodeTrust.hostFolder: "etc/containerd" is not the folder',),
    ),
    "a folder that leads elsewhere": (
        {"nodeTrust": {"hostFolder": "/etc/containerd/../cron.d"}},
        ("is not the folder of a container runtime",),
    ),
    "the whole node": ({"nodeTrust": {"hostFolder": "/etc"}}, ("is not the folder",)),
    "no pause": (
        {"nodeTrust": {"interval": "0s"}},
        ("nodeTrust.interval is 0s", "without a pause"),
    ),
    "a bare number": (
        {"nodeTrust": {"interval": 30}},
        ('nodeTrust.interval: "30" is not a duration',),
    ),
    "no time to answer": (
        {"nodeTrust": {"removeTimeout": "0s"}},
        ("nodeTrust.removeTimeout is 0s", "Set 2m"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_node_could_not_trust_is_refused(render: Renderer, case: str) -> None:
    """Seen to fail: each condition turned off; looked at while nothing is turned on."""
    values, parts = REFUSED[case]
    told = render.error(merged(ON, values))
    for part in parts:
        assert part in told
    assert render(merged(values, {"endpoint": {"enabled": False}, "nodeTrust": {"enabled": False}}))


@pytest.mark.parametrize(
    "values",
    [
        {"nodeTrust": {"host": "registry.lan:5000"}, "service": {"type": "NodePort"}},
        {"nodeTrust": {"host": "registry.lan:5000"}, "service": {"create": False}},
        {"nodeTrust": {"host": "registry.lan", "via": "Clients"}},
        {"nodeTrust": {"host": "{{ .Release.Name }}.lan:5000", "via": "Clients"}},
        {"nodeTrust": {"hostFolder": K3S}},
    ],
)
def test_what_works_is_not_refused(render: Renderer, values: dict[str, Any]) -> None:
    """The control. Seen to fail: a Service that others make taken for one without ports."""
    assert daemon_set(render(merged(ON, values)))


NOTES = printed("address", "risks", "withoutEffect")
ON_NODES = merged(AWAY, {"service": {"type": "NodePort"}, "extraObjects": [NOTES]})


def test_what_nodes_say_is_found_by_the_printed_command(render: Renderer) -> None:
    """Seen to fail: the release's namespace; a label that the pods do not have."""
    objects = render(merged(ON_NODES, {"nodeTrust": {"host": "registry.lan:5000"}}))
    said = one(objects, "ConfigMap", "notes")["data"]["address"]
    (line,) = [each for each in said.splitlines() if "kubectl logs" in each]
    assert "registry.lan:5000/NAME" in said
    assert "-n trusting " in line
    given = dict(each.split("=") for each in line.split(" -l ")[1].split(","))
    assert given == daemon_set(objects)["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "kubectl label namespace trusting pod-security.kubernetes.io/enforce=privileged"),
        ({"host": "registry.lan:5000"}, "kube-proxy in its iptables mode"),
        ({"via": "NodeAddress"}, "nodeTrust.via: it is the way to nodeTrust.host, which is empty."),
    ],
)
def test_what_may_be_in_the_way_is_said(
    render: Renderer, values: dict[str, Any], sentence: str
) -> None:
    """Seen to fail: each line left out; said of a release whose nodes do not trust."""
    trusting = merged(ON_NODES, {"nodeTrust": values})
    assert sentence in str(one(render(trusting), "ConfigMap", "notes")["data"])
    off = merged(trusting, {"nodeTrust": {"enabled": False}})
    assert sentence not in str(one(render(off), "ConfigMap", "notes")["data"])
