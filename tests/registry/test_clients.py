"""Real clients find everything that they pushed after a collection: crane, regctl and skopeo.

Each pushes images and an index, promotes one to another repository (a mount), attaches what it can
attach, deletes, and after a collection reads all of it to the last byte; then it pushes again what
was deleted.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from registry.conftest import StartRegistry
from support.checkout import tool
from support.client import Manifest, fallback_tag, index
from support.collector import collect_well, left_behind
from support.oci_layout import valid_image, write_layout
from support.run import run


class RealClient(Protocol):
    """What a person does with a registry; references are `host:port/repository:tag`."""

    def push(self, manifest: Manifest, reference: str) -> None: ...
    def promote(self, source: str, target: str) -> None: ...
    def attach(self, subject: str, digest: str) -> list[str]: ...
    def delete(self, reference: str, digest: str) -> None: ...
    def read(self, reference: str) -> None: ...


@dataclass(frozen=True)
class Workplace:
    """A folder with the client's home, and a way to run it there."""

    folder: Path

    def run(self, *command: str | Path) -> str:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        environment = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
        return run(*command, env=environment, cwd=self.folder, timeout=120).stdout

    def layout(self, manifest: Manifest) -> Path:
        return write_layout(self.folder / manifest.digest[7:19], manifest, "it")

    def file(self, content: str) -> Path:
        path = self.folder / "file.txt"
        path.write_text(content)
        return path

    def new_folder(self) -> Path:
        path = self.folder / "read"
        shutil.rmtree(path, ignore_errors=True)
        return path


@dataclass(frozen=True)
class Crane:
    """Attaches as cosign does: a tag that is made of the subject's digest."""

    place: Workplace

    def _crane(self, *arguments: str | Path) -> str:
        return self.place.run(tool("crane"), *arguments)

    def push(self, manifest: Manifest, reference: str) -> None:
        self._crane("push", self.place.layout(manifest), reference)

    def promote(self, source: str, target: str) -> None:
        self._crane("copy", source, target)

    def attach(self, subject: str, digest: str) -> list[str]:
        signature = f"{subject.rpartition(':')[0]}:{fallback_tag(digest)}.sig"
        self.push(valid_image("signature", layers=1), signature)
        return [signature]

    def delete(self, reference: str, digest: str) -> None:
        self._crane("delete", f"{reference.rpartition(':')[0]}@{digest}")

    def read(self, reference: str) -> None:
        self._crane("validate", "--remote", reference)


@dataclass(frozen=True)
class Regctl:
    """Attaches with `subject`, and with the fallback tag of a registry without a referrers API."""

    place: Workplace

    def _regctl(self, reference: str, *arguments: str | Path) -> str:
        host = f"reg={reference.partition('/')[0]},tls=disabled"
        return self.place.run(tool("regctl"), *arguments, "--host", host)

    def push(self, manifest: Manifest, reference: str) -> None:
        self._regctl(
            reference, "image", "copy", f"ocidir://{self.place.layout(manifest)}:it", reference
        )

    def promote(self, source: str, target: str) -> None:
        self._regctl(target, "image", "copy", source, target)

    def attach(self, subject: str, digest: str) -> list[str]:
        file, kind = self.place.file(f"an SBOM of {digest}"), "application/vnd.example.sbom"
        told = ("--artifact-type", kind, "--file", file, "--file-media-type", kind)
        self._regctl(subject, "artifact", "put", "--subject", subject, *told)
        repository = subject.rpartition(":")[0]
        listed = self._regctl(subject, "artifact", "list", subject, "--format", "{{json .}}")
        assert kind in listed
        found = self._regctl(subject, "artifact", "get", "--subject", subject)
        assert digest in found
        return [f"{repository}:{fallback_tag(digest)}"]

    def delete(self, reference: str, digest: str) -> None:
        self._regctl(reference, "manifest", "delete", f"{reference.rpartition(':')[0]}@{digest}")

    def read(self, reference: str) -> None:
        target = f"ocidir://{self.place.new_folder()}:it"
        self._regctl(reference, "image", "copy", "--referrers", "--digest-tags", reference, target)


@dataclass(frozen=True)
class Skopeo:
    """Of Debian; it attaches nothing but what a tag names."""

    place: Workplace

    def _skopeo(self, *arguments: str | Path) -> str:
        program = shutil.which("skopeo")
        assert program, "skopeo is missing: install Debian's package skopeo, as `make test` does"
        return self.place.run(program, "--insecure-policy", *arguments)

    def _copy(self, source: str, target: str, *more: str) -> None:
        self._skopeo("copy", "--all", "--preserve-digests", *more, source, target)

    def push(self, manifest: Manifest, reference: str) -> None:
        layout = self.place.layout(manifest)
        self._copy(f"oci:{layout}:it", f"docker://{reference}", "--dest-tls-verify=false")

    def promote(self, source: str, target: str) -> None:
        both = ("--src-tls-verify=false", "--dest-tls-verify=false")
        self._copy(f"docker://{source}", f"docker://{target}", *both)

    def attach(self, subject: str, digest: str) -> list[str]:
        signature = f"{subject.rpartition(':')[0]}:{fallback_tag(digest)}.att"
        self.push(valid_image("attestation", layers=1), signature)
        return [signature]

    def delete(self, reference: str, digest: str) -> None:
        self._skopeo("delete", "--tls-verify=false", f"docker://{reference}")

    def read(self, reference: str) -> None:
        folder = self.place.new_folder()
        self._copy(f"docker://{reference}", f"dir:{folder}", "--src-tls-verify=false")


@pytest.mark.parametrize("kind", [Crane, Regctl, Skopeo])
def test_rule_1_a_real_client_reads_back_all_that_it_pushed(
    start_registry: StartRegistry, tmp_path: Path, kind: Callable[[Workplace], RealClient]
) -> None:
    """Beside a cache in memory. Seen to fail: bury what only an index names."""
    registry = start_registry(cache="inmemory", supervised=True)
    place = Workplace(tmp_path / "client")
    place.folder.mkdir()
    client = kind(place)
    at = registry.url.removeprefix("http://")
    app, gone = valid_image("app"), valid_image("gone")
    # As `index` calls their platforms, which crane compares.
    multi = index([valid_image(n, architecture=f"cpu{n}") for n in range(2)])
    client.push(app, f"{at}/app:v1")
    client.push(multi, f"{at}/app:multi")
    client.push(gone, f"{at}/app:gone")
    client.promote(f"{at}/app:v1", f"{at}/team/app:v1")
    client.promote(f"{at}/app:multi", f"{at}/team/app:multi")
    attached = client.attach(f"{at}/app:v1", app.digest)
    client.delete(f"{at}/app:gone", gone.digest)

    done = collect_well(registry)

    # What is about `gone` alone: manifest, config, and the layer that no other image has.
    assert done.deleted("blobs") == 3
    assert left_behind(registry.v2, gone.digest) == []
    kept = [f"{at}/{name}:{tag}" for name in ("app", "team/app") for tag in ("v1", "multi")]
    for reference in (*kept, *attached):
        client.read(reference)
    client.push(gone, f"{at}/app:gone")
    client.read(f"{at}/app:gone")
    registry.restart()
    for reference in (*kept, *attached, f"{at}/app:gone"):
        client.read(reference)
