"""Ours and a real registry agree about a configuration, found out by what the process does.

Which root directory: whose repositories its catalog lists, else where it begins an upload. Cached
in memory: a blob that was removed behind its back still answers. Read-only: an upload answers 405.
Driver: where it writes, or what it says before it ends. CONFIG_SEED moves all cases.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_gc.errors import ConfigurationError
from registry_gc.registry_config import effective
from support.client import Client, Refused, digest_of
from support.config_grammar import NAMES, Case, draw
from support.registry_process import free_port, registry_binary
from support.waiting import until

GATE, FULL = range(60), range(60, 400)
BASE = int(os.environ.get("CONFIG_SEED", "0"))
# What one version does not start with while the other one does, in the words of its log.
STOPS_ALONE = {
    "3.1.1": r"maxtags limit|invalid blobdescriptorsize|undefined index|index out of range",
    "2.8": r"storage type\. Provided: \[.*\btag\b|multiple storage drivers .*\btag\b",
}
DEFAULT = "/var/lib/registry"
# Directories that the grammar names, and what the odd values of its root directories come to.
PLACES = (*NAMES, "default", "<nil>", "83", "1000", "true", "n", "1:30")
BLOB = b"a blob that a probe finds"


@dataclass(frozen=True)
class Behaviour:
    """What a registry does; the empty driver is one that does not start."""

    driver: str
    root: str = ""
    cached: bool = False
    read_only: bool = False


@pytest.fixture(scope="module")
def may_mount() -> bool:
    """Whether the default root directory can be another one for our child alone."""
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return done.returncode == 0


def in_our_opinion(case: Case, folder: Path) -> Behaviour:
    try:
        found = effective(case.text, case.environment)
    except ConfigurationError:
        return Behaviour("")
    if found.driver == "filesystem":
        root = folder / "default" if found.root == DEFAULT else folder / found.root
        return Behaviour(
            "filesystem", str(root), cached=found.cache == "inmemory", read_only=found.read_only
        )
    if found.driver == "inmemory":
        return Behaviour("inmemory", read_only=found.read_only)
    return Behaviour(found.driver)


def prepare(folder: Path) -> None:
    """Make stores that can be told apart, each with a repository, a layer link and its blob."""
    encoded = digest_of(BLOB).partition(":")[2]
    for number, name in enumerate(PLACES):
        v2 = folder / name / "docker/registry/v2"
        (v2 / f"repositories/probe-{number}/_manifests/revisions").mkdir(parents=True)
        link = v2 / f"repositories/probe-{number}/_layers/sha256/{encoded}/link"
        link.parent.mkdir(parents=True)
        link.write_text(f"sha256:{encoded}")
        blob = v2 / f"blobs/sha256/{encoded[:2]}/{encoded}/data"
        blob.parent.mkdir(parents=True)
        blob.write_bytes(BLOB)


class Subject:
    """The registry that is asked."""

    def __init__(self, case: Case, folder: Path, version: str, *, mount: bool) -> None:
        self.folder = folder
        port = free_port()
        config = folder / "config.yml"
        config.write_text(case.text)
        command = [str(registry_binary(version)), "serve", str(config)]
        if mount:
            script = f'mkdir -p {DEFAULT} && mount --bind "$0" {DEFAULT} && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", script, str(folder / "default"), *command]
        self.log = folder / "registry.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={
                    "PATH": os.environ["PATH"],
                    "OTEL_TRACES_EXPORTER": "none",
                    "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
                    **case.environment,
                },
                stdout=log,
                stderr=log,
            )
        self.client = Client(f"http://127.0.0.1:{port}", timeout=20)

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait()

    def behaviour(self) -> Behaviour:
        if until(self._settled, what=f"{self.folder} starts or ends") != "answers":
            return Behaviour(self._driver_that_failed())
        catalog = self.client.repositories()
        if catalog:
            (name,) = catalog
            root = self.folder / PLACES[int(name.removeprefix("probe-"))]
            read_only = self._upload_status(name) == 405
            return Behaviour("filesystem", str(root), self._caches(name, root), read_only)
        status = self._upload_status("new")
        found = list(self.folder.rglob("repositories/new"))
        if not found:
            return Behaviour("inmemory", read_only=status == 405)
        root = found[0].parents[4]
        self.client.upload("new", BLOB)
        return Behaviour("filesystem", str(root), self._caches("new", root))

    def _settled(self) -> str:
        if self.process.poll() is not None:
            return "ended"
        try:
            return "answers" if self.client.request("GET", "/v2/").status == 200 else ""
        except Refused:
            return ""

    def _driver_that_failed(self) -> str:
        """Return the driver that it could not make, empty if it did not get so far."""
        log = self.log.read_text(errors="replace")
        if match := re.search(r"StorageDriver not registered: (\S+)", log):
            return match[1]
        return "s3" if "no region parameter provided" in log else ""

    def _upload_status(self, repository: str) -> int:
        return self.client.request("POST", f"/v2/{repository}/blobs/uploads/").status

    def _caches(self, repository: str, root: Path) -> bool:
        """Remove a blob that it has just seen, and ask again."""
        assert self.client.has_blob(repository, digest_of(BLOB))
        shutil.rmtree(root / "docker/registry/v2/blobs")
        return self.client.has_blob(repository, digest_of(BLOB))


@pytest.mark.parametrize("version", ["3.1.1", "2.8"])
@pytest.mark.parametrize(
    "seed", [*GATE, *(pytest.param(seed, marks=pytest.mark.full) for seed in FULL)]
)
def test_ours_and_the_registry_agree(
    tmp_path: Path, seed: int, version: str, may_mount: bool
) -> None:
    """Rule 10, and the root of all others. Seen to fail: read scalars as PyYAML does."""
    agree(draw(BASE + seed, tmp_path), tmp_path, mount=may_mount, version=version)


def agree(case: Case, folder: Path, *, mount: bool, version: str) -> Behaviour:
    """Check one case and return what the registry does."""
    expected = in_our_opinion(case, folder)
    if expected.root == str(folder / "default") and not mount:
        pytest.skip("it would write to the machine's own /var/lib/registry")
    prepare(folder)
    subject = Subject(case, folder, version, mount=mount)
    try:
        found = subject.behaviour()
    finally:
        subject.close()
    log = subject.log.read_text(errors="replace")[-3000:]
    if found.driver not in ("", "filesystem", "inmemory") and not expected.driver:
        # Ours refuses something that this registry would only have come to after its driver.
        return found
    if not found.driver and expected.driver and re.search(STOPS_ALONE[version], log):
        return found
    assert found == expected, f"{case.text}\n{dict(case.environment)}\n--- log\n{log}"
    return found


def test_the_cases_of_the_gate_are_not_all_alike(tmp_path: Path) -> None:
    """Without this, a grammar that draws nothing but refusals would prove nothing."""
    found = [in_our_opinion(draw(seed, tmp_path), tmp_path) for seed in GATE]

    assert 10 <= sum(not each.driver for each in found) <= len(found) // 2
    assert sum(each.cached for each in found) >= 5
    assert sum(each.read_only for each in found) >= 3
    assert len({each.root for each in found}) >= 6
    assert len({each.driver for each in found}) >= 4
