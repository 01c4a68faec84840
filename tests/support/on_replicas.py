"""What each replica of a release says by itself, and what clients notice all the time."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from support.client import OCI_MANIFEST, Client
from support.cluster import Release
from support.pushers import Pushes, pushing

_BETWEEN = 0.3  # seconds from one push to the next
_NOTED = 0.5  # seconds without an answer
READ_ONLY, WRITABLE = 405, 400
"""What a push gets that is none: it writes nothing either way."""

_ASK_REGISTRY = """
import http.client, json, sys
said = []
for method, body in (("PUT", b"{}"), ("GET", None)):
    connection = http.client.HTTPConnection("127.0.0.1", 5000, timeout=10)
    try:
        connection.request(method, sys.argv[1], body, {"Accept": sys.argv[2]})
        said.append(connection.getresponse().status)
    except OSError:
        said.append(0)
print(json.dumps(said))
"""

_ASK_SIDECAR = """
import pathlib, urllib.request
token = pathlib.Path("/var/run/secrets/docker-registry-gc/token").read_text().strip()
request = urllib.request.Request("http://127.0.0.1:5002/registry")
request.add_header("Authorization", f"Bearer {token}")
print(urllib.request.urlopen(request).read().decode())
"""


@dataclass(frozen=True)
class Replica:
    """One pod of a release, asked in its own network: without the Service."""

    release: Release
    name: str

    @staticmethod
    def all_of(release: Release) -> "list[Replica]":
        return [Replica(release, pod["metadata"]["name"]) for pod in release.pods()]

    def _python(self, code: str, *args: str) -> Any:
        printed = self.release.cluster.kubectl(
            "exec", "-n", self.release.namespace, self.name, "-c", "gc", "--",
            "python3", "-c", code, *args,
        )  # fmt: skip
        return json.loads(printed)

    def answers(self, repository: str, tag: str) -> tuple[int, int]:
        """Return what a push that is none gets, and what a pull gets."""
        push, pull = self._python(_ASK_REGISTRY, f"/v2/{repository}/manifests/{tag}", OCI_MANIFEST)
        return push, pull

    @property
    def registry(self) -> dict[str, Any]:
        """Return what the sidecar says of its registry."""
        found: dict[str, Any] = self._python(_ASK_SIDECAR)
        return found

    @property
    def restarts(self) -> int:
        """Return how often the kubelet has started the registry again in this pod."""
        pod = self.release.cluster.get("pod", self.name, "-n", self.release.namespace)
        statuses = pod["status"]["containerStatuses"]
        return int(next(s["restartCount"] for s in statuses if s["name"] == "docker-registry"))


@dataclass
class SwitchWatch:
    """Asks through the NodePort, each time on a new connection: may I push, may I pull `tag`?"""

    release: Release
    repository: str
    tag: str
    pushes: list[tuple[float, int]] = field(default_factory=list)
    pulls: list[tuple[float, int]] = field(default_factory=list)
    """When, and which status; 0 is no answer."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "SwitchWatch":
        for method, seen in (("PUT", self.pushes), ("GET", self.pulls)):
            thread = threading.Thread(target=self._look, args=(method, seen))
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _look(self, method: str, seen: list[tuple[float, int]]) -> None:
        while not self._ended.is_set():
            seen.append((time.monotonic(), self._status(method)))
            self._ended.wait(0.05)

    def _status(self, method: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.release.port, timeout=2)
        try:
            body = b"{}" if method == "PUT" else None
            path = f"/v2/{self.repository}/manifests/{self.tag}"
            connection.request(method, path, body, {"Accept": OCI_MANIFEST})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    @property
    def now(self) -> int:
        """Return the last answer to a push."""
        return self.pushes[-1][1] if self.pushes else 0

    @property
    def read_only(self) -> float:
        """Return the seconds from the first refused push to the last one."""
        refused = [at for at, status in self.pushes if status == READ_ONLY]
        return refused[-1] - refused[0] if refused else 0.0

    @property
    def silences(self) -> list[float]:
        """Return for how long pulls got no answer, each time from the last before to the next."""
        found, last, silent = [], 0.0, False
        for at, status in self.pulls:
            if status == 0:
                silent = True
                continue
            if silent and last:
                found.append(at - last)
            last, silent = at, False
        return found

    def __str__(self) -> str:
        """Return the figures of a switch."""
        pieces = " + ".join(f"{gap:.1f}" for gap in self.silences if gap >= _NOTED) or "0"
        return f"read-only for {self.read_only:.1f} s, pulls unanswered for {pieces} s"


@contextmanager
def calmly_pushing(release: Release, name: str = "pushed") -> Iterator[Pushes]:
    """Push from two clients, a fast and a slow one, which leave the machine to others too."""

    def client() -> Client:
        threading.Event().wait(_BETWEEN)
        return Client(f"http://{release.address}")

    with pushing(client, fast=1, slow=1, name=name) as pushes:
        yield pushes


def assert_all_pull(release: Release, pushes: Pushes, repository: str = "pushed") -> None:
    """Pull every image whose push was acknowledged, byte for byte."""
    client = release.client()
    assert pushes.acknowledged, "nothing was pushed: this shows nothing"
    for tag, manifest in pushes.acknowledged.items():
        pulled = client.pull(repository, tag)
        assert (pulled.digest, pulled.missing) == (manifest.digest, ()), tag
