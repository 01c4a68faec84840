"""What others install: the collector's image and the packaged chart, pushed to their registry."""

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import engine
import images
import programs
from shell import ROOT, StepError, run, say
from versions import REGISTRY_IMAGE

_EXAMPLE = "registry.example.com/tools"
# A release that runs keeps its values; a first install takes the chart's own.
_INSTALL = "helm upgrade --install registry"
_VALUES = (
    "--reset-then-reuse-values --set persistence.enabled=true "
    "--set persistence.deleteEnabled=true --set garbageCollect.enabled=true"
)
# host[:port][/path]; a name is what image names allow.
_REGISTRY = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
    r"(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
)
_KINDS = {
    "Added": "added",
    "Changed": "changed",
    "Deprecated": "deprecated",
    "Removed": "removed",
    "Fixed": "fixed",
    "Security": "security",
}


@dataclass(frozen=True)
class Signature:
    """Who signs a package: a key's name in a keyring in GnuPG's old format, which Helm reads.

    `passphrase_file` holds the key's passphrase; `url` is where people find the public key.
    """

    key: str = ""
    keyring: str = ""
    passphrase_file: str = ""
    url: str = ""

    def check(self) -> None:
        """Raise StepError when half of it is missing."""
        if not self.key and (self.keyring or self.passphrase_file or self.url):
            raise StepError("who signs? add KEY='Name of the key' to the keyring")
        if self.key and not Path(self.keyring).is_file():
            raise StepError(
                f"the keyring {self.keyring!r} is no file: gpg --export-secret-keys KEY > "
                "keyring.gpg, then KEYRING=keyring.gpg (Helm cannot read GnuPG's own)"
            )


def push(registry: str) -> None:
    """Push the collector's image and print the line that installs the chart with it."""
    registry = checked(registry, "push")
    engine.ensure()
    _push_image(registry)
    _warn_of_this_machine(registry)
    print(f"{_INSTALL} ./chart {_VALUES} --set garbageCollect.image.registry={registry}")


def package(registry: str, signature: Signature) -> Path:
    """Package the chart with the collector's registry written in; return the package's path.

    Signed and verified where there is a key; the provenance then lies beside it.
    """
    registry = checked(registry, "package")
    signature.check()
    dist = ROOT / "dist"
    made = dist / f"docker-registry-{images.version()}.tgz"
    helm = programs.program("helm")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chart = folder / "docker-registry"
        shutil.copytree(ROOT / "chart", chart)
        for name in ("values.yaml", "defaults.yaml"):
            path = chart / name
            where = ("garbageCollect", "image", "registry")
            path.write_text(with_value(path.read_text(), where, registry))
        described = chart / "Chart.yaml"
        described.write_text(described.read_text() + _annotations(registry, signature))
        run(helm, "package", chart, "--destination", folder, *_signing(signature))
        if signature.key:
            say(run(helm, "verify", folder / made.name, "--keyring", signature.keyring).strip())
        # Only now: what failed leaves no package, and an old signature no trace beside a new one.
        dist.mkdir(exist_ok=True)
        for suffix in ("", ".prov"):
            made.with_name(f"{made.name}{suffix}").unlink(missing_ok=True)
            if (folder / f"{made.name}{suffix}").exists():
                shutil.move(folder / f"{made.name}{suffix}", dist)
    return made


def push_chart(registry: str, signature: Signature, flags: Sequence[str] = ()) -> None:
    """Push the image and the packaged chart; print the line that installs it from there.

    `flags` are for `helm push`, such as --plain-http for a registry without TLS.
    """
    registry = checked(registry, "push-chart")
    signature.check()
    engine.ensure()
    made = package(registry, signature)
    _push_image(registry)
    run(programs.program("helm"), "push", made, f"oci://{registry}", *flags)
    _warn_of_this_machine(registry)
    print(f"{_INSTALL} oci://{registry}/docker-registry --version {images.version()} {_VALUES}")


def checked(registry: str, target: str) -> str:
    """Return where to push to, without a slash at its end. Raises StepError with what to write."""
    if not registry:
        raise StepError(f"where to? make {target} REGISTRY={_EXAMPLE} (no scheme, no tag)")
    if "://" in registry:
        rest = registry.partition("://")[2].rstrip("/")
        raise StepError(
            f"REGISTRY={registry} has a scheme, and image names have none: make {target} "
            f"REGISTRY={rest or _EXAMPLE}"
        )
    found = registry.rstrip("/")
    if not _REGISTRY.fullmatch(found):
        raise StepError(
            f"REGISTRY={registry} is not a registry and a path, in lower case and without a tag: "
            f"make {target} REGISTRY={_EXAMPLE}"
        )
    return found


def only_this_machine(registry: str) -> bool:
    """Return whether its address means another machine on each machine."""
    return bool(re.match(r"(?:localhost|127\.[0-9.]+|\[::1\])(?=[:/]|$)", registry.lower()))


def with_value(text: str, path: Sequence[str], value: str) -> str:
    """Return YAML with the scalar at a path of keys replaced, and every other line as it was.

    For block style, where each key has a line. Raises StepError unless it is there, once.
    """
    at: list[tuple[int, str]] = []  # indentation and key of each level above
    lines = text.splitlines(keepends=True)
    found = []
    for number, line in enumerate(lines):
        if not (key := re.match(r"( *)([A-Za-z][\w.-]*):(?=\s)", line)):
            continue
        while at and at[-1][0] >= len(key[1]):
            at.pop()
        at.append((len(key[1]), key[2]))
        if [name for _, name in at] == list(path):
            found.append(number)
            lines[number] = f"{key[0]} {json.dumps(value)}\n"
    if len(found) != 1:
        raise StepError(f"{'.'.join(path)} is there {len(found)} times, not once")
    return "".join(lines)


def changes(changelog: str, version: str) -> list[dict[str, str]]:
    """Return what a version's section of CHANGELOG.md says, as Artifact Hub wants it."""
    section = re.search(
        rf"^## \[{re.escape(version)}\].*?$(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if not section:
        raise StepError(f"CHANGELOG.md has no section for {version}")
    found = []
    for part in re.split(r"^### ", section[1], flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        for entry in re.findall(r"^- (.*?)(?=^- |\Z)", body, re.MULTILINE | re.DOTALL):
            text = " ".join(entry.split())
            found.append({"kind": _KINDS[heading.strip()], "description": text})
    return found


def _annotations(registry: str, signature: Signature) -> str:
    """Return the annotations that are known only now, for the end of Chart.yaml."""
    collector = f"{registry}/{images.REPOSITORY}:{images.version()}"
    told: dict[str, object] = {
        "artifacthub.io/changes": changes((ROOT / "CHANGELOG.md").read_text(), images.version()),
        "artifacthub.io/images": [
            {"name": "registry", "image": REGISTRY_IMAGE},
            {"name": images.REPOSITORY, "image": collector},
        ],
        "artifacthub.io/prerelease": str("-" in images.version()).lower(),
    }
    if signature.key:
        fingerprint = _fingerprint(signature)
        if signature.url:
            told["artifacthub.io/signKey"] = {"fingerprint": fingerprint, "url": signature.url}
    # Artifact Hub reads YAML in a text, and JSON is YAML.
    lines = (
        f"  {name}: {json.dumps(value if isinstance(value, str) else json.dumps(value))}\n"
        for name, value in told.items()
    )
    return "".join(lines)


def _fingerprint(signature: Signature) -> str:
    with tempfile.TemporaryDirectory() as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--with-colons"]
        listed = run(*gpg, "--import-options", "show-only", "--import", signature.keyring)
    key = ""
    for line in listed.splitlines():
        match line.split(":"):
            case ["fpr", *rest]:
                key = rest[8]
            case ["uid", *rest] if signature.key in rest[8]:
                return key
    raise StepError(f"the keyring {signature.keyring} has no key of {signature.key!r}")


def _signing(signature: Signature) -> list[str]:
    if not signature.key:
        return []
    flags = ["--sign", "--key", signature.key, "--keyring", signature.keyring]
    if signature.passphrase_file:
        flags += ["--passphrase-file", signature.passphrase_file]
    return flags


def _warn_of_this_machine(registry: str) -> None:
    if only_this_machine(registry):
        say(
            f"{registry} is this machine: a node looks for it on itself. Unless each node has the "
            "registry at that address, push to a name that nodes reach"
        )


def _push_image(registry: str) -> None:
    images.make_collector()
    target = f"{registry}/{images.REPOSITORY}:{images.version()}"
    run("docker", "tag", f"{images.REPOSITORY}:{images.version()}", target)
    run("docker", "push", target)
