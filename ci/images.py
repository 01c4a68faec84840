"""The images of the chart: the collector's, from scripts/, and the official registry's."""

import functools
import gzip
import hashlib
import re
import shutil
import tempfile
from pathlib import Path

import host
import kind_cluster
import programs
from engine import build_environment
from node_image import has_image
from shell import CACHE, ROOT, StepError, alone, key_of, made, run, say, succeeds
from versions import (
    BASE_PACKAGES,
    DEBIAN,
    PYTHON_IMAGE,
    PYTHON_PACKAGES,
    REGISTRY_IMAGE,
)

REPOSITORY = "registry-gc"
_PULL_TIMEOUT = 1200  # seconds
# Neither needed to run: the asynchronous twin of the client, type stubs, tests.
_UNUSED = ("kubernetes/aio", "kubernetes/e2e_test", "kubernetes/test", "bin")
# Packages that are only unpacked lack the links that base-files makes when it is installed.
_MERGE_USR = 'for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done'
_TRIM = (
    'rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale "$1"/var/lib/apt '
    '"$1"/var/cache'
)


@functools.cache
def pulls_work() -> bool:
    """Say whether images can be pulled, which is found out by trying with a small one."""
    return succeeds("docker", "pull", "-q", REGISTRY_IMAGE, timeout=60)


def can_pull(image: str) -> bool:
    """Say whether an image is here or can be pulled."""
    return has_image(image) or (
        pulls_work() and succeeds("docker", "pull", "-q", image, timeout=_PULL_TIMEOUT)
    )


def version() -> str:
    """Return the chart's version, which is the image's."""
    text = (ROOT / "chart/Chart.yaml").read_text()
    found = re.search(r"^version: *\"?([^\"\s]+)", text, re.MULTILINE)
    if not found:
        raise StepError("chart/Chart.yaml has no version")
    return found[1]


def content_tag() -> str:
    """Return a tag that changes with everything that the collector's image is made of."""
    digest = hashlib.sha256()
    sources = [ROOT / "requirements.txt", ROOT / "pyproject.toml"]
    sources += sorted(path for path in (ROOT / "scripts").rglob("*") if _is_source(path))
    for path in sources:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def make_collector() -> str:
    """Make the collector's image, if its content is new; return its name by content."""
    name = f"{REPOSITORY}:{content_tag()}"
    with alone("image-collector"):
        if not has_image(name):
            base = PYTHON_IMAGE if can_pull(PYTHON_IMAGE) else _debian_python()
            say(f"  building {name} on {base}")
            with tempfile.TemporaryDirectory() as folder:
                context = Path(folder)
                shutil.copytree(_packages(), context / "packages")
                shutil.copytree(
                    ROOT / "scripts/registry_gc", context / "registry_gc",
                    ignore=shutil.ignore_patterns("__pycache__"),
                )  # fmt: skip
                run(
                    "docker", "build", "-q", "--build-arg", f"BASE={base}", "-t", name,
                    "-f", ROOT / "scripts/Dockerfile", context, env=build_environment(),
                )  # fmt: skip
    run("docker", "tag", name, f"{REPOSITORY}:{version()}")
    return name


def make_registry() -> str:
    """Have the official registry's image: pulled, or made from its Go module."""
    with alone("image-registry"):
        if not can_pull(REGISTRY_IMAGE):
            say(f"  {REGISTRY_IMAGE} cannot be pulled: making it from its Go module")
            _make_registry()
    return REGISTRY_IMAGE


def size(image: str) -> tuple[int, int]:
    """Return an image's bytes on disk, and compressed as a registry would hold them."""
    bytes_on_disk = int(run("docker", "image", "inspect", "--format", "{{.Size}}", image))
    with tempfile.TemporaryDirectory() as folder:
        archive, packed = Path(folder) / "image.tar", Path(folder) / "image.tar.gz"
        run("docker", "save", "-o", archive, image)
        with archive.open("rb") as file, gzip.open(packed, "wb", 6) as target:
            shutil.copyfileobj(file, target)
        return bytes_on_disk, packed.stat().st_size


def load_all() -> None:
    """Load the images into the cluster, if it is up."""
    kind_cluster.load(REGISTRY_IMAGE, f"{REPOSITORY}:{content_tag()}", f"{REPOSITORY}:{version()}")


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _packages() -> Path:
    """Return the locked packages for the image's Python, fetched with the host's pip."""
    lock = ROOT / "requirements.txt"
    machine = _machine()
    target = CACHE / "packages" / key_of(lock.read_text(), machine, *_UNUSED)
    if target.exists():
        return target
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    run(
        *programs.pip(), "install", "--quiet", "--require-hashes", "--only-binary", ":all:",
        "--implementation", "cp", "--python-version", "3.13", "--abi", "cp313", "--abi", "abi3",
        "--abi", "none", "--platform", f"manylinux_2_28_{machine}", "--platform",
        f"manylinux2014_{machine}", "--platform", "any", "--no-compile", "--target", unfinished,
        "-r", lock,
    )  # fmt: skip
    for unused in _UNUSED:
        shutil.rmtree(unfinished / unused, ignore_errors=True)
    for stub in unfinished.rglob("*.pyi"):
        stub.unlink()
    unfinished.replace(target)
    return target


def _machine() -> str:
    """Return the engine's machine as wheels name it; it may run elsewhere (Docker Desktop)."""
    told = run("docker", "version", "--format", "{{.Server.Arch}}").strip()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(told, told)


def _debian_python() -> str:
    """Return a base with Python alone, made from Debian's packages."""
    root = root_of("python", PYTHON_PACKAGES)
    base = f"docker-registry-chart/{root.stem}"
    if not has_image(base):
        run("docker", "import", "--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin",
            root, base)  # fmt: skip
    return base


def root_of(name: str, packages: tuple[str, ...]) -> Path:
    """Return a root file system with nothing but these packages and what they need."""
    key = key_of(DEBIAN, *packages, _MERGE_USR, _TRIM)
    target = CACHE / f"{name}-{DEBIAN}-{key}.tar"
    if not target.exists():
        host.need("mmdebstrap")
        with made(target) as unfinished:
            run(
                "mmdebstrap", "--variant=extract", "--format=tar",
                f"--include={','.join(packages)}",
                f"--setup-hook={_MERGE_USR}", f"--customize-hook={_TRIM}", DEBIAN, unfinished,
            )  # fmt: skip
    return target


def _make_registry() -> None:
    base = root_of("busybox", BASE_PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        shutil.copy(base, context / "base.tar")
        shutil.copy(programs.program("registry"), context / "registry")
        shutil.copyfile(Path(__file__).parent / "registry/Dockerfile", context / "Dockerfile")
        source = programs.module_folder(
            "github.com/distribution/distribution/v3", f"v{REGISTRY_IMAGE.partition(':')[2]}"
        )
        shutil.copyfile(source / "cmd/registry/config-dev.yml", context / "config.yml")
        run("docker", "build", "-q", "-t", REGISTRY_IMAGE, context, env=build_environment())
