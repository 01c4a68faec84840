"""The image of a kind node where none can be pulled, made from Debian and Go modules."""

import hashlib
import io
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

import host
import programs
from engine import HELPER, build_environment
from shell import CACHE, StepError, key_of, made, run, succeeds
from steps import Step
from versions import (
    DEBIAN,
    ETCD,
    KUBERNETES,
    NODE_PACKAGES,
    PAUSE,
    PROGRAMS,
    GoProgram,
)

_ROOTFS_KEY = key_of(DEBIAN, *NODE_PACKAGES)
_ROOTFS_IMAGE = f"docker-registry-chart/rootfs:{_ROOTFS_KEY}"
_BASE_IMAGE = "docker-registry-chart/node-base:latest"
_STORAGE_CONSTANTS = "pkg/build/nodeimage/const_storage.go"


def steps() -> list[Step]:
    """Return the steps that end with the node image in the engine."""
    return [
        Step("programs of Kubernetes", programs.build_kubernetes, is_done=_has_kubernetes),
        Step("root file system", make_rootfs, is_done=rootfs_path().exists),
        Step("etcd", programs.build_etcd, is_done=programs.etcd_path().exists),
        Step(
            "pause",
            programs.build_pause,
            ("programs of Kubernetes",),
            programs.pause_path().exists,
        ),
        *(_program(name) for name in ("kind", "kubectl", "coredns", "local-path-provisioner")),
        Step(
            "node image",
            _make_node_image,
            (
                "programs of Kubernetes", "etcd", "pause", "kind", "coredns",
                "local-path-provisioner", "root file system",
            ),
            lambda: has_image(image_name()),
        ),
    ]  # fmt: skip


def image_name() -> str:
    """Return the node image's name, which changes with what it is made of."""
    folder = Path(__file__).parent
    sources = [folder / each for each in ("node_image.py", "node/Dockerfile", "versions.py")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return f"docker-registry-chart/node:{KUBERNETES}-{digest[:8]}"


def has_image(name: str) -> bool:
    """Say whether the engine has an image."""
    return succeeds("docker", "image", "inspect", name)


def import_image(name: str, files: dict[str, Path], *changes: str) -> None:
    """Make an image of these files alone, by their paths in it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, source in files.items():
            tar.add(source, path, filter=_owned_by_root)
    options = [part for change in changes for part in ("--change", change)]
    run("docker", "import", *options, "-", name, input=archive.getvalue())


def rootfs_path() -> Path:
    """Return where the node's root file system is kept."""
    return CACHE / f"rootfs-{DEBIAN}-{_ROOTFS_KEY}.tar"


def make_rootfs() -> None:
    """Make the root file system of a node from Debian's packages."""
    host.need("mmdebstrap")
    with made(rootfs_path()) as unfinished:
        run(
            "mmdebstrap", "--variant=minbase", "--format=tar",
            f"--include={','.join(NODE_PACKAGES)}", DEBIAN, unfinished,
        )  # fmt: skip


def _program(name: str) -> Step:
    return Step(name, lambda: programs.program(name), is_done=programs.path_of(name).exists)


def _has_kubernetes() -> bool:
    return (programs.kubernetes_folder() / ".complete").exists()


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755
    return entry


def _make_node_image() -> None:
    if not has_image(_ROOTFS_IMAGE):
        run("docker", "import", rootfs_path(), _ROOTFS_IMAGE)
    kind = PROGRAMS["kind"]
    if not isinstance(kind, GoProgram):
        raise TypeError("kind comes from its Go module")
    source = programs.module_folder(kind.module, kind.version)
    _make_base(source)
    images = _component_images(source)
    _commit(images, _storage_manifest(source))


def _make_base(kind: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        context = Path(name)
        files = kind / "images/base/files"
        for folder in ("etc", "kind", "usr"):
            shutil.copytree(files / folder, context / "files" / folder, copy_function=_copy)
        shutil.copyfile(Path(__file__).parent / "node/Dockerfile", context / "Dockerfile")
        run(
            "docker", "build", "-q", "--build-arg", f"ROOTFS={_ROOTFS_IMAGE}", "-t", _BASE_IMAGE,
            context, env=build_environment(),
        )  # fmt: skip


def _copy(source: str, target: str) -> None:
    shutil.copyfile(source, target)  # without the mode: a module's files are read-only


def _component_images(kind: Path) -> list[str]:
    """Make the images that kubeadm and kind's storage want, one program each."""
    made_images = []
    built = programs.kubernetes_folder()
    in_path = "ENV PATH=/usr/local/bin"
    for component in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        name = f"registry.k8s.io/{component}:{KUBERNETES}"
        import_image(name, {f"usr/local/bin/{component}": built / component}, in_path)
        made_images.append(name)
    etcd = f"registry.k8s.io/etcd:{ETCD.removeprefix('v')}-0"
    import_image(etcd, {"usr/local/bin/etcd": programs.etcd_path()}, in_path)
    coredns = f"registry.k8s.io/coredns/coredns:{PROGRAMS['coredns'].key}"
    # As root: without a capability in its file only root may use port 53.
    import_image(coredns, {"coredns": programs.path_of("coredns")}, 'ENTRYPOINT ["/coredns"]')
    for version in PAUSE:
        pause = f"registry.k8s.io/pause:{version}"
        import_image(pause, {"pause": programs.pause_path()}, 'ENTRYPOINT ["/pause"]')
        made_images.append(pause)
    provisioner, helper = _storage_images(kind)
    import_image(
        provisioner,
        {"usr/local/bin/local-path-provisioner": programs.path_of("local-path-provisioner")},
        in_path,
    )
    run("docker", "tag", _ROOTFS_IMAGE, helper)
    return [*made_images, etcd, coredns, _kube_proxy(built), provisioner, helper]


def _kube_proxy(built: Path) -> str:
    """Make kube-proxy's image on the root file system, because it needs iptables."""
    name = f"registry.k8s.io/kube-proxy:{KUBERNETES}"
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        shutil.copy(built / "kube-proxy", context / "kube-proxy")
        (context / "Dockerfile").write_text(
            f"FROM {_ROOTFS_IMAGE}\nCOPY kube-proxy /usr/local/bin/kube-proxy\n"
        )
        run("docker", "build", "-q", "-t", name, context, env=build_environment())
    return name


def _constants(kind: Path) -> tuple[str, dict[str, str]]:
    text = (kind / _STORAGE_CONSTANTS).read_text()
    found = dict(re.findall(r'^const (storage\w+Image) = "([^"]+)"', text, re.MULTILINE))
    if len(found) != 2:
        raise StepError(f"{_STORAGE_CONSTANTS} of kind no longer names two images")
    return text, found


def _storage_images(kind: Path) -> tuple[str, str]:
    _, names = _constants(kind)
    return names["storageProvisionerImage"], names["storageHelperImage"]


def _storage_manifest(kind: Path) -> str:
    """Return kind's manifest of the default storage class, with its images filled in."""
    text, names = _constants(kind)
    manifest = text.partition("const defaultStorageManifest = `")[2].rpartition("`")[0]
    for name, image in names.items():
        manifest = manifest.replace(f"` + {name} + `", image)
    return manifest


def _commit(images: list[str], storage: str) -> None:
    """Put Kubernetes and its images into a container of the base, and keep that as the image."""
    container = run(
        "docker", "run", "--detach", "--label", HELPER, "--entrypoint", "sleep",
        "--security-opt", "seccomp=unconfined", _BASE_IMAGE, "infinity",
    ).strip()  # fmt: skip
    try:
        for name in ("kubelet", "kubeadm", "kubectl"):
            run("docker", "cp", programs.kubernetes_folder() / name, f"{container}:/usr/bin/{name}")
        for path, content in {
            "kind/version": KUBERNETES,
            "kind/manifests/default-storage.yaml": storage,
        }.items():
            _write(container, path, content)
        with tempfile.NamedTemporaryFile(suffix=".tar") as saved:
            run("docker", "save", "-o", saved.name, *images)
            run("docker", "cp", saved.name, f"{container}:/images.tar")
        run(
            "docker", "exec", container, "bash", "-ec",
            "containerd >/dev/null 2>&1 & pid=$!; "
            "until ctr version >/dev/null 2>&1; do sleep 0.1; done; "
            "ctr -n k8s.io images import --all-platforms --no-unpack --digests /images.tar; "
            "kill $pid; wait $pid || true; rm /images.tar",
        )  # fmt: skip
        run(
            "docker", "commit", "--change",
            'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]', container, image_name(),
        )  # fmt: skip
    finally:
        run("docker", "rm", "--force", container)


def _write(container: str, path: str, content: str) -> None:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(content)
        file.flush()
        Path(file.name).chmod(0o644)
        run("docker", "cp", file.name, f"{container}:/{path}")
