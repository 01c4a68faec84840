"""The DaemonSet's script: a node's runtime trusts the registry, and goes on to when things change.

It asks for its RegistryEndpoints every half minute. What is not answered changes nothing: a node
that forgot its registry while the API is away could not pull what it needs. Files stay when the pod
ends; they go when the RegistryEndpoint says `withdrawn`, or by `registry-gc node-trust --remove`.
"""

import random
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

from registry_gc.addresses import Address
from registry_gc.environment import addresses, length, required
from registry_gc.errors import CollectorError, ConfigurationError
from registry_gc.kube_api import Api, path_of
from registry_gc.trust_content import (
    Runtime,
    Trust,
    config_path_problem,
    files_of,
    trusts_of,
)
from registry_gc.trust_files import DetachedError, TrustFiles

NOTHING = "this node's trust was not changed"

_VERSION, _PLURAL = "docker-registry.dev/v1alpha1", "registryendpoints"
_JITTER = 0.2  # of the interval, so that a thousand nodes do not ask at once
_FOLDERS: Mapping[Runtime, str] = {"containerd": "/etc/containerd", "crio": "/etc/containers"}

Echo = Callable[[str], object]


@dataclass(frozen=True)
class NodeTrustSettings:
    """`endpoints` are NAMESPACE/NAME, the first one's host wins; `folder` is where the node's
    `host_folder` is mounted; `hosts` may be pulled from elsewhere than their name says; `ready` is
    a file that is there unless the trust was withdrawn."""

    owner: str
    endpoints: tuple[str, ...]
    folder: Path
    host_folder: str
    runtime: Runtime = "containerd"
    node_address: str = ""
    hosts: tuple[Address, ...] = ()
    interval: timedelta = timedelta(seconds=30)
    ready: Path = Path("/tmp/trusting")  # noqa: S108 - the pod's own emptyDir

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "NodeTrustSettings":
        """Read GC_TRUST_OWNER, GC_TRUST_ENDPOINTS, GC_TRUST_RUNTIME, GC_TRUST_FOLDER,
        GC_TRUST_HOST_FOLDER, GC_NODE_ADDRESS, GC_TRUST_HOSTS, GC_TRUST_INTERVAL and GC_TRUST_READY.

        Raises ConfigurationError, which names the variable.
        """
        runtime = environment.get("GC_TRUST_RUNTIME", "").strip() or "containerd"
        if runtime not in _FOLDERS:
            raise ConfigurationError(
                f"{NOTHING}: GC_TRUST_RUNTIME: {runtime!r} is no container runtime that is known",
                why="each reads other files",
                next_step="write containerd or crio",
            )
        known: Runtime = "crio" if runtime == "crio" else "containerd"
        endpoints = required(
            environment, "GC_TRUST_ENDPOINTS", "which RegistryEndpoints are trusted", NOTHING
        ).split()
        for each in endpoints:
            namespace, _, name = each.partition("/")
            if not namespace or not name:
                raise ConfigurationError(
                    f"{NOTHING}: GC_TRUST_ENDPOINTS: {each!r} names no RegistryEndpoint",
                    why="it takes a namespace and a name",
                    next_step="write it like registry/my-registry",
                )
        host_folder = environment.get("GC_TRUST_HOST_FOLDER", "").strip() or _FOLDERS[known]
        return cls(
            required(environment, "GC_TRUST_OWNER", "whose files these are", NOTHING),
            tuple(endpoints),
            Path(environment.get("GC_TRUST_FOLDER", "").strip() or host_folder),
            host_folder,
            known,
            environment.get("GC_NODE_ADDRESS", "").strip(),
            addresses(environment, "GC_TRUST_HOSTS"),
            length(environment, "GC_TRUST_INTERVAL", cls.interval),
            Path(environment.get("GC_TRUST_READY", "").strip() or cls.ready),
        )


@dataclass(slots=True)
class NodeTrust:
    """Keeps one node's files."""

    settings: NodeTrustSettings
    api: Api
    echo: Echo
    _said: frozenset[str] = frozenset()

    def follow(self, stop: Event) -> None:
        """Keep the files until told to stop. Raises DetachedError: the kubelet then starts anew."""
        seconds = self.settings.interval.total_seconds()
        while not stop.is_set():
            self.look()
            # Not a secret: jitter.
            stop.wait(seconds * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311

    def look(self) -> bool:
        """Bring the files up to date once; False if something is not as it should be.

        Raises DetachedError.
        """
        problems: list[str] = []
        trusts: list[Trust] = []
        undecided: set[str] = set()
        withdrawn = False
        for source in self.settings.endpoints:
            found = self._endpoint(source, problems)
            if found is None:
                undecided.add(source)
                continue
            withdrawn = withdrawn or bool((found.get("spec") or {}).get("withdrawn"))
            trusts += trusts_of(
                found, source, self.settings.node_address, problems, self.settings.hosts
            )
        try:
            problems += self._keep(trusts, undecided)
        except DetachedError:
            raise
        except CollectorError as error:
            problems.append(_in_a_line(error))
        else:
            self._tell_ready(ready=not withdrawn)
        if trusts and self.settings.runtime == "containerd":
            problems += filter(None, [self._config_problem()])
        self._say(problems)
        return not problems

    def _keep(self, trusts: list[Trust], undecided: set[str]) -> list[str]:
        wanted = files_of(trusts, self.settings.owner, self.settings.runtime)
        for path, content in wanted.files.items():
            if path.endswith((".toml", ".conf")):
                tomllib.loads(content)  # a file that cannot be read would stop every pull
        kept = _files(self.settings).keep(wanted.files, undecided)
        for path in kept.written:
            self.echo(f"wrote {self.settings.host_folder}/{path}")
        for path in kept.removed:
            self.echo(f"removed {self.settings.host_folder}/{path}")
        return wanted.problems + kept.problems

    def _endpoint(self, source: str, problems: list[str]) -> Mapping[str, Any] | None:
        """Return a RegistryEndpoint, None while it is not known what it says."""
        namespace, _, name = source.partition("/")
        try:
            found = self.api.get(path_of(_VERSION, _PLURAL, namespace, name))
        except CollectorError as error:
            problems.append(_in_a_line(error))
            return None
        if found is None:
            problems.append(f"the RegistryEndpoint {source} is not there (yet)")
        return found

    def _config_problem(self) -> str:
        """Return why containerd will not read the files, empty if it will."""
        texts = []
        folder = self.settings.folder
        # Others may add to it, in files that the main one imports.
        for path in (folder / "config.toml", *sorted(folder.glob("conf.d/*.toml"))):
            with suppress(OSError, ValueError):
                texts.append(tomllib.loads(path.read_text(encoding="utf-8")))
        return config_path_problem(texts, f"{self.settings.host_folder}/certs.d")

    def _tell_ready(self, *, ready: bool) -> None:
        if ready:
            self.settings.ready.touch()
        else:
            self.settings.ready.unlink(missing_ok=True)

    def _say(self, problems: list[str]) -> None:
        """Say each problem once, until it is gone and comes back."""
        for problem in problems:
            if problem not in self._said:
                self.echo(problem)
        self._said = frozenset(problems)


def remove(settings: NodeTrustSettings, echo: Echo) -> None:
    """Remove all files of this owner's from the node; asks no API. Raises CollectorError."""
    for path in _files(settings).remove().removed:
        echo(f"removed {settings.host_folder}/{path}")


def _files(settings: NodeTrustSettings) -> TrustFiles:
    return TrustFiles(settings.folder, settings.owner)


def _in_a_line(error: CollectorError) -> str:
    return f"{error.what} ({error.why}); {error.next_step}"
