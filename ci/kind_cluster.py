"""The kind cluster of the tests: two nodes, NodePorts on 127.0.0.1, a default storage class."""

import json
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import engine
import node_image
import programs
from shell import CACHE, StepError, alone, run, say
from versions import STOCK_NODE_IMAGE

NAME = os.environ.get("CLUSTER") or "registry-gc"
FIRST_PORT, LAST_PORT = 30500, 30509
_SERVICES = "10.96.0.0/16"


def folder() -> Path:
    """Return where what belongs to this cluster is kept."""
    return CACHE / "clusters" / NAME


def kubeconfig() -> Path:
    """Return the path of the cluster's kubeconfig."""
    return folder() / "kubeconfig"


def kubectl(*arguments: str) -> str:
    """Run kubectl against the cluster."""
    # Discovery is remembered by address, and another cluster may have had this one's.
    environment = {"KUBECONFIG": str(kubeconfig()), "KUBECACHEDIR": str(folder() / "discovery")}
    return run(programs.program("kubectl"), *arguments, env=environment, timeout=300)


def is_up() -> bool:
    """Say whether the cluster is there and its nodes are ready, whoever made it."""
    if not nodes():
        return False
    if kubeconfig().exists() and _all_ready():
        return True
    # Another checkout may have made it, or made it anew since we last wrote our own.
    try:
        _write_kubeconfig()
    except StepError:
        return False
    return _all_ready()


def is_ours() -> bool:
    """Say whether this cluster was made from this cache, or in an engine that was started here."""
    made_here = _mark().exists() and _mark().read_text() == _engine()
    return made_here or engine.is_ours()


def _mark() -> Path:
    return folder() / "made-in-engine"


def _engine() -> str:
    return run("docker", "info", "--format", "{{.ID}}").strip()


def _all_ready() -> bool:
    try:
        ready = kubectl(
            "get", "nodes", "-o",
            "jsonpath={range .items[*]}{.status.conditions[?(@.type=='Ready')].status} {end}",
        ).split()  # fmt: skip
    except StepError:
        return False
    return len(ready) == len(nodes()) and set(ready) == {"True"} and _never_stopped()


def _becomes_ready() -> bool:
    """Wait for nodes that run but are not ready: on a busy machine one may be late to say so.

    Somebody may be working on this cluster, so it is not made anew for that alone.
    """
    if not nodes() or not kubeconfig().exists() or not _never_stopped():
        return False
    say("  waiting for its nodes to be ready")
    try:
        _wait_for_nodes()
    except StepError:
        return False
    return _all_ready()


def _wait_for_nodes() -> None:
    kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=240s")


def _never_stopped() -> bool:
    """Say whether the nodes run since they were made: a start of the engine loses their routes."""
    told = run("docker", "inspect", "--format", "{{.Created}} {{.State.StartedAt}}", *nodes())
    for line in told.splitlines():
        made, started = (datetime.fromisoformat(each[:19]) for each in line.split())
        if started - made > timedelta(seconds=15):
            return False
    return True


def nodes(*, stopped: bool = False) -> list[str]:
    """Return the names of the nodes' containers that run, or with `stopped` of all."""
    return run(
        "docker", "ps", *(["--all"] if stopped else []),
        "--filter", f"label=io.x-k8s.kind.cluster={NAME}", "--format", "{{.Names}}",
    ).split()  # fmt: skip


def up(*, stock: bool) -> None:
    """Create the cluster; with `stock`, from the image that kind pulls. Raises StepError."""
    with alone(f"cluster-{NAME}"):
        if is_up() or _becomes_ready():
            return
        if nodes(stopped=True):
            if not is_ours():
                raise StepError(
                    f"there is a cluster {NAME} whose nodes are not ready, and it was not made "
                    f"from this cache ({CACHE}): wait or mend it, or remove it with `kind delete "
                    f"cluster --name {NAME}`, or choose another name with CLUSTER="
                )
            say("the cluster is there, but its nodes are not ready: making it anew")
            delete()
        folder().mkdir(parents=True, exist_ok=True)
        _mark().write_text(_engine())  # before it is there, so that half of one is ours too
        image = ["--image", STOCK_NODE_IMAGE] if stock else ["--image", node_image.image_name()]
        run(
            programs.program("kind"), "create", "cluster", "--name", NAME, "--config", "-",
            "--kubeconfig", kubeconfig(), *image, input=_configuration(stock=stock).encode(),
            timeout=600,
        )  # fmt: skip
        if not stock:
            _connect_nodes()
        _wait_for_nodes()
        _wait_for_service_account()


def delete() -> None:
    """Delete the cluster and all that is kept of it."""
    run(programs.program("kind"), "delete", "cluster", "--name", NAME)
    for path in sorted(folder().rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if folder().exists():
        folder().rmdir()


def load(*images: str) -> None:
    """Load images of the engine's into every node, unless they are there already."""
    cluster = run("docker", "inspect", "--format", "{{.Id}}", nodes()[0]).strip()
    wanted = {
        image: [cluster, run("docker", "image", "inspect", "--format", "{{.Id}}", image).strip()]
        for image in images
    }
    record = folder() / "loaded.json"
    loaded = json.loads(record.read_text()) if record.exists() else {}
    missing = [image for image, identity in wanted.items() if loaded.get(image) != identity]
    if not missing:
        return
    # All in one archive, in which what they share is there once.
    run(programs.program("kind"), "load", "docker-image", *missing, "--name", NAME, timeout=600)
    record.write_text(json.dumps({**loaded, **wanted}))


def _write_kubeconfig() -> None:
    folder().mkdir(parents=True, exist_ok=True)
    run(
        programs.program("kind"), "export", "kubeconfig", "--name", NAME, "--kubeconfig",
        kubeconfig(),
    )  # fmt: skip


def _configuration(*, stock: bool) -> str:
    ports = [
        {"containerPort": port, "hostPort": port, "listenAddress": "127.0.0.1"}
        for port in range(FIRST_PORT, LAST_PORT + 1)
    ]
    return json.dumps(
        {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "networking": {"disableDefaultCNI": not stock},
            "nodes": [{"role": "control-plane", "extraPortMappings": ports}, {"role": "worker"}],
            "containerdConfigPatches": [
                '[plugins."io.containerd.grpc.v1.cri".registry]\n'
                '  config_path = "/etc/containerd/certs.d"\n'
            ],
        }
    )


def _connect_nodes() -> None:
    """Do what kindnetd, which cannot be had, does: a bridge on each node, routes between them."""
    found = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    subnets, addresses = {}, {}
    for node in found:
        name = node["metadata"]["name"]
        subnets[name] = node["spec"]["podCIDR"]
        addresses[name] = next(
            each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"
        )
    for name, subnet in subnets.items():
        routes = [
            f"ip route replace {subnets[other]} via {addresses[other]}"
            for other in subnets
            if other != name
        ]
        # Until kube-proxy knows a Service, its address would leave the node and hang.
        rejects = [
            f"iptables -I {chain} -d {_SERVICES} -p tcp -j REJECT --reject-with tcp-reset"
            for chain in ("OUTPUT", "FORWARD")
        ]
        script = "\n".join(
            [
                "set -e",
                "mkdir -p /etc/cni/net.d /etc/containerd/certs.d",
                f"cat > /etc/cni/net.d/10-bridge.conflist <<'END'\n{_network(subnet)}\nEND",
                *routes,
                *rejects,
            ]
        )
        run("docker", "exec", "-i", name, "bash", input=script.encode())


def _network(subnet: str) -> str:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": subnet}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, portmap]})


def _wait_for_service_account() -> None:
    """Wait for what every pod needs and `kind create` does not wait for."""
    deadline = time.monotonic() + 60
    while not _has_service_account():
        if time.monotonic() > deadline:
            raise StepError("the cluster made no service account within 60 s; make down, try again")
        time.sleep(0.5)
    kubectl(
        "wait", "-n", "kube-system", "--for=condition=Available", "deployment/coredns",
        "--timeout=120s",
    )  # fmt: skip


def _has_service_account() -> bool:
    try:
        kubectl("get", "serviceaccount", "default", "-n", "default")
    except StepError:
        return False
    return True
