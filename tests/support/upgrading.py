"""What happens to a release, and to its clients, while a peer's chart becomes ours and back."""

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from helm_chart_test.reading import documents
from support.chart import Helm
from support.client import Manifest, digest_of
from support.cluster import QUICK, Release
from support.host_clients import HostClients
from support.oci_layout import contents, valid_image
from support.peers import STABLE, Peer
from support.services import service_image
from support.waiting import until

USER, PASSWORD = "pusher", "correct horse"
# `htpasswd -Bbn -C 4 pusher "correct horse"`
HTPASSWD = f"{USER}:$2b$04$63uk7kVkOr9.hqwPUcTmeeUzG57A9/tP6tOsuPVVtkpN54vh3vXFS"


@dataclass(frozen=True)
class Way:
    """Which Helm had installed the release, which one moves it over, and how it is told to."""

    installed_with: Helm
    moved_with: Helm
    options: tuple[str, ...] = ()


WAYS = {
    "3-to-3": Way("helm3", "helm3"),
    "3-to-4": Way("helm3", "helm"),
    "3-to-4-server-side": Way("helm3", "helm", ("--server-side=true",)),
    "4-to-4": Way("helm", "helm"),
}

# What a person adds when moving over: a collection, in a cluster where our image has a test's tag.
COLLECTED = {**QUICK, "image.tag": "3.1.1"}


REUSED = "--reset-then-reuse-values"
"""The option of the documented command."""


@dataclass(frozen=True)
class Standing:
    """What must not change while a release moves: who knows it, and where its images are."""

    service: str
    service_uid: str
    cluster_ip: str
    node_port: int
    claim_uid: str
    volume: str
    deployment_uid: str
    selector: dict[str, str]
    service_selector: dict[str, str]


@dataclass
class Moving:
    """A release that was installed with a peer's chart, and moves over to ours and back."""

    release: Release
    peer: Peer
    way: Way
    reachable: bool = True
    """Whether its NodePort is one of those that reach this machine."""

    @cached_property
    def clients(self) -> HostClients:
        return HostClients(self.release.scratch, self.release.address, USER, PASSWORD)

    @property
    def service(self) -> str:
        """Return the name of the Service that the peer's chart makes."""
        return "registry" if self.peer.name == "risadams" else self.release.fullname

    def install(self, values: Mapping[str, str]) -> None:
        """Install the peer's chart: a claim, a password, a NodePort; its own cache, in memory.

        With the collection that it has, which stable has not.
        """
        if self.peer.registry:
            service_image(self.peer.registry)
        given = {
            "image.tag": self.peer.tag,
            "persistence.enabled": "true",
            "persistence.size": "1Gi",
            "persistence.deleteEnabled": "true",
            "secrets.htpasswd": HTPASSWD,
            "service.type": "NodePort",
            "service.nodePort": str(self.release.port),
            **({} if self.peer is STABLE else {"garbageCollect.enabled": "true"}),
            **values,
        }
        self._helm(
            self.way.installed_with, "install", self.release.name, str(self.peer.chart),
            "--wait", "--timeout", "3m", *_set(given),
        )  # fmt: skip
        self.wait_until_it_answers()

    def upgrade(
        self, values: Mapping[str, str] | None = None, *options: str, reuse: str = REUSED
    ) -> None:
        """Do what the documentation says: our chart, their values, and a collection."""
        said = self.try_upgrade(values, *options, reuse=reuse)
        assert not said, said
        self.wait_until_it_answers()

    def try_upgrade(
        self, values: Mapping[str, str] | None = None, *options: str, reuse: str = REUSED
    ) -> str:
        """Do the same; return what Helm said if it failed, else nothing."""
        tag = {"garbageCollect.image.tag": self.release.cluster.image_tag}
        done = self._run_helm(
            self.way.moved_with, "upgrade", self.release.name, str(self.release.chart), reuse,
            *options, *self.way.options, "--wait", "--timeout", "4m",
            *_set({**COLLECTED, **tag, **(values or {})}),
            check=False,
        )  # fmt: skip
        return str(done.stderr) if done.returncode else ""

    def rollback(self, revision: int = 1) -> None:
        self._helm(
            self.way.moved_with, "rollback", self.release.name, str(revision),
            "--wait", "--timeout", "3m",
        )  # fmt: skip
        self.wait_until_it_answers()

    def _helm(self, version: Helm, *args: str) -> str:
        printed: str = self._run_helm(version, *args).stdout
        return printed

    def _run_helm(self, version: Helm, *args: str, check: bool = True) -> Any:
        return self.release.cluster.helm(
            *args, "--namespace", self.release.namespace, version=version, timeout=360, check=check
        )

    def standing(self) -> Standing:
        """Return what clients and the volume depend on, as the cluster has it now."""
        get, n = self.release.cluster.get, ("-n", self.release.namespace)
        service = get("service", self.service, *n)
        claim = get("pvc", self.release.fullname, *n)
        deployment = get("deployment", self.release.fullname, *n)
        return Standing(
            service=service["metadata"]["name"],
            service_uid=service["metadata"]["uid"],
            cluster_ip=service["spec"]["clusterIP"],
            node_port=service["spec"]["ports"][0]["nodePort"],
            claim_uid=claim["metadata"]["uid"],
            volume=claim["spec"]["volumeName"],
            deployment_uid=deployment["metadata"]["uid"],
            selector=deployment["spec"]["selector"]["matchLabels"],
            service_selector=service["spec"]["selector"],
        )

    def left_over(self) -> list[str]:
        """Return what the cluster has in our objects that we did not render.

        Such as a container, a variable or a label of the peer's: Helm takes away what it gave, and
        with server-side apply only if it knows that it gave it.
        """
        release = self.release
        manifest = self._helm(self.way.moved_with, "get", "manifest", release.name)
        found: list[str] = []
        for thing in documents(manifest):
            kind, name = thing["kind"], thing["metadata"]["name"]
            live = release.cluster.get(kind, name, "-n", release.namespace)
            found += [f"{kind}/{name}{path}" for path in _more(thing, live)]
            # All three peers wait so long before a pod counts.
            if live.get("spec", {}).get("minReadySeconds"):
                found.append(f"{kind}/{name}.spec.minReadySeconds")
        return found

    def push(self, name: str) -> Manifest:
        """Push an image with a real client to `app:<name>`."""
        manifest = valid_image(f"{self.release.namespace}/{name}", layers=3)
        self.clients.push(manifest, f"app:{name}")
        return manifest

    def assert_pulls(self, *images: Manifest) -> None:
        """Pull by digest with a real client; every byte is what was pushed."""
        assert images
        for manifest in images:
            folder = Path(self.release.scratch) / f"pulled-{time.monotonic_ns()}"
            name = f"{self.release.address}/app@{manifest.digest}"
            self.clients.crane("pull", "--format=oci", name, folder)
            for content in contents(manifest):
                file = folder / "blobs" / digest_of(content).replace(":", "/")
                assert file.read_bytes() == content, f"{name}: {file.name} has other bytes"

    def wait_until_it_answers(self) -> None:
        if not self.reachable:
            return
        until(
            lambda: answers(self.release.port), what=f"an answer at {self.release.address}",
            timeout=60, pause=0.1,
        )  # fmt: skip


def _set(values: Mapping[str, str]) -> list[str]:
    # In --set a comma separates values, and a backslash keeps it from doing so.
    return [
        part
        for key, value in values.items()
        for part in ("--set", f"{key}={value.replace(',', chr(92) + ',')}")
    ]


def answers(port: int, timeout: float = 1) -> bool:
    """Say whether a registry serves there; that it asks for a password is an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in (200, 401)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class Watch:
    """Asks a registry every 50 ms, each time on a new connection, and notes when it was silent."""

    port: int
    gaps: list[float] = field(default_factory=list)
    """Seconds from the last answer before a silence to the first one after it."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Watch":
        assert answers(self.port), "it does not answer when the watch begins"
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join(timeout=30)

    def _look(self) -> None:
        last, silent = time.monotonic(), False
        while not self._ended.is_set():
            began = time.monotonic()
            answered, now = answers(self.port), time.monotonic()
            if answered and silent:
                self.gaps.append(now - last)
            if answered:
                last = now
            silent = not answered
            self._ended.wait(max(0.0, began + 0.05 - now))
        if silent:
            self.gaps.append(time.monotonic() - last)

    @property
    def downtime(self) -> float:
        return sum(self.gaps)

    def __str__(self) -> str:
        pieces = " + ".join(f"{gap:.2f}" for gap in self.gaps)
        return f"{self.downtime:.2f} s silent" + (f" ({pieces})" if len(self.gaps) > 1 else "")


# Where the cluster adds nothing by itself.
_MAPS = (".labels", ".data", ".matchLabels", "spec.selector", ".template.metadata.annotations")


def _more(rendered: Any, live: Any, path: str = "") -> Iterator[str]:
    """Yield each entry of a list, of labels or of data that is live and was not rendered."""
    if isinstance(rendered, dict) and isinstance(live, dict):
        if path.endswith(_MAPS):
            yield from (f"{path}.{key}" for key in sorted(live.keys() - rendered.keys()))
        for key in sorted(rendered.keys() & live.keys()):
            yield from _more(rendered[key], live[key], f"{path}.{key}")
    elif isinstance(rendered, list) and isinstance(live, list):
        if len(live) > len(rendered):
            yield f"{path}: {len(live)} entries, rendered {len(rendered)}: {live}"
        for number, (ours, theirs) in enumerate(zip(rendered, live, strict=False)):
            yield from _more(ours, theirs, f"{path}[{number}]")
