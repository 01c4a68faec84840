"""What happened, as Events of the objects that people look at: `kubectl describe`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from registry_gc.errors import CollectorError, ConfigurationError
from registry_gc.kube_api import Api, ApiUnavailableError, path_of

_KINDS: Mapping[str, tuple[str, str]] = {
    "Deployment": ("apps/v1", "deployments"),
    "StatefulSet": ("apps/v1", "statefulsets"),
    "RegistryEndpoint": ("docker-registry.dev/v1alpha1", "registryendpoints"),
}
_LONGEST_MESSAGE = 1024  # characters: the limit of events.k8s.io, which shows the same objects
_PATIENCE = 10.0  # seconds: an Event is not worth more of a run's time
_COMPONENT = "registry-gc"


@dataclass(frozen=True, slots=True)
class Subject:
    """An object of the release's namespace that Events are about."""

    kind: str
    name: str

    @classmethod
    def all_of(cls, text: str) -> "tuple[Subject, ...]":
        """Read `Deployment/NAME RegistryEndpoint/NAME`. Raises ConfigurationError."""
        found = []
        for word in text.split():
            kind, _, name = word.partition("/")
            if kind not in _KINDS or not name:
                raise ConfigurationError(
                    f"GC_EVENTS_ABOUT: {word!r} is no object that Events can be about",
                    why=f"it takes {', '.join(_KINDS)}",
                    next_step="write it like Deployment/NAME",
                )
            found.append(cls(kind, name))
        return tuple(found)


@dataclass(slots=True)
class Events:
    """Writes Events. None of them is worth a run: what cannot be written is said once a subject.

    What an API that was away has missed is kept for `flush`, at the end of the run.
    """

    api: Api
    namespace: str
    about: Sequence[Subject]
    echo: Callable[[str], object]
    _failed: set[Subject] = field(default_factory=set, init=False)
    _kept: list[tuple[Subject, str, str, str]] = field(default_factory=list, init=False)

    def normal(self, reason: str, message: str) -> None:
        """Say what went as it should."""
        self._write("Normal", reason, message)

    def warning(self, reason: str, message: str) -> None:
        """Say what somebody should look at."""
        self._write("Warning", reason, message)

    def failure(self, reason: str, error: CollectorError) -> None:
        """Say what failed, why, and what to do."""
        self.warning(reason, f"{error.what} ({error.why}). {error.next_step}")

    def flush(self) -> None:
        """Write what was kept, if the API is back."""
        kept, self._kept = self._kept, []
        for subject, kind, reason, message in kept:
            if not self._kept:  # once, if it is away still
                self._try(subject, kind, reason, message)

    def _write(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        for subject in self.about:
            if subject not in self._failed:
                self._try(subject, kind, reason, message)

    def _try(self, subject: Subject, kind: str, reason: str, message: str) -> None:
        api = replace(self.api, patience=_PATIENCE, consequence="no Event was written")
        try:
            self._write_about(api, subject, kind, reason, message)
        except ApiUnavailableError as error:
            self._kept.append((subject, kind, reason, message))
            self.echo(f"{error.what} ({error.why})")
        except CollectorError as error:
            # Once: what is denied now is denied for the next Event too.
            self._failed.add(subject)
            self.echo(f"{error.what} ({error.why})")

    def _write_about(
        self, api: Api, subject: Subject, kind: str, reason: str, message: str
    ) -> None:
        version, plural = _KINDS[subject.kind]
        found = api.get(path_of(version, plural, self.namespace, subject.name))
        if found is None:
            return  # scaled away, or not made yet
        event = _event(self.namespace, subject, version, found["metadata"]["uid"])
        event |= {"type": kind, "reason": reason, "message": _cut(message)}
        api.create(path_of("v1", "events", self.namespace), event)


def _event(namespace: str, subject: Subject, version: str, uid: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        # Named by us, so that a second attempt after a lost answer does not make a second one.
        "metadata": {"name": f"{subject.name[:200]}.{uuid4().hex[:16]}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": version,
            "kind": subject.kind,
            "namespace": namespace,
            "name": subject.name,
            "uid": uid,  # `kubectl describe` asks by it
        },
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def _cut(message: str) -> str:
    whole = " ".join(message.split())
    return whole if len(whole) <= _LONGEST_MESSAGE else f"{whole[: _LONGEST_MESSAGE - 1]}…"
