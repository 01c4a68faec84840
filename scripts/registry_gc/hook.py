"""The script of the CronJob: asks the release's sidecar to collect, waits, prints its report."""

import json
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import urllib3

from registry_gc import report
from registry_gc.environment import length, port
from registry_gc.errors import CollectorError, ConfigurationError, GuardError, StorageError
from registry_gc.release_pods import Pod, client, own_namespace, pods

_PAUSE = 1.0  # seconds between two looks at a run that goes on
_BUSY = 5.0  # seconds until a sidecar is asked again that collects with other options
_LONGEST_PAUSE = 15.0  # seconds
_PATIENCE = 120.0  # seconds without an answer from a sidecar that had answered

Echo = Callable[[str], object]
ListPods = Callable[[], list[Pod]]


class SidecarSilentError(StorageError):
    """The sidecar cannot be reached, or no longer."""


@dataclass(frozen=True)
class HookSettings:
    """Whom to ask and for how long to wait; `port` is the sidecars'."""

    namespace: str
    selector: str
    token_file: Path
    port: int = 5002
    timeout: timedelta = timedelta(hours=6)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "HookSettings":
        """Read GC_NAMESPACE, GC_SELECTOR, GC_TOKEN_FILE, GC_PORT and GC_TIMEOUT.

        Raises ConfigurationError, which names the variable.
        """
        selector = environment.get("GC_SELECTOR", "")
        if not selector:
            raise ConfigurationError(
                "nothing was collected: the registry's pods are not named",
                why="GC_SELECTOR is not set",
                next_step="set it to their labels, such as app=docker-registry,release=NAME",
            )
        token = environment.get("GC_TOKEN_FILE", "/var/run/secrets/docker-registry-gc/token")
        return cls(
            environment.get("GC_NAMESPACE") or own_namespace(),
            selector,
            Path(token),
            port(environment, "GC_PORT", cls.port),
            length(environment, "GC_TIMEOUT", cls.timeout),
        )


def run(settings: HookSettings, echo: Echo) -> int:
    """Have every store of the release collected once; return the worst exit code.

    Raises CollectorError when no collection could be begun or followed to its end.
    """
    api = client()

    def list_pods() -> list[Pod]:
        return pods(api, settings.namespace, settings.selector)

    return follow(settings, list_pods, echo)


def follow(settings: HookSettings, list_pods: ListPods, echo: Echo) -> int:
    """Ask each pod that has a sidecar; replicas of one store join the same run."""
    deadline = time.monotonic() + settings.timeout.total_seconds()
    worst = 0
    stores: set[str] = set()
    for pod in _with_a_sidecar(settings, list_pods, deadline, echo):
        sidecar = _Sidecar(settings, pod, deadline)
        try:
            status = _collected_once(sidecar, stores, echo)
        except SidecarSilentError as error:
            replacement = [each for each in list_pods() if each.ready and each.name != pod.name]
            if not replacement:
                raise
            echo(f"{error.what}; the pod was replaced, asking {replacement[0].name}")
            status = _collected_once(_Sidecar(settings, replacement[0], deadline), stores, echo)
        if status is None:
            continue
        stores.add(str(status.get("store") or pod.name))
        echo(report.text(status["report"]))
        worst = max(worst, int(status["exitCode"]))
    return worst


def _with_a_sidecar(
    settings: HookSettings, list_pods: ListPods, deadline: float, echo: Echo
) -> list[Pod]:
    """Return the pods to ask, waiting for those that are only just starting."""
    said = ""
    patience = min(deadline, time.monotonic() + _PATIENCE)
    while True:
        found = list_pods()
        if not found:
            raise GuardError(
                f"nothing was collected: no pod in {settings.namespace} has the labels "
                f"{settings.selector}",
                why="the registry is scaled to zero, or its pods are not there yet",
                next_step="scale it up; or collect with `registry-gc collect --offline` in a pod "
                "with its volume",
            )
        if not any(pod.sidecar for pod in found):
            raise GuardError(
                f"nothing was collected: {found[0].name} has no collector beside the registry",
                why="the release was installed with garbageCollect.mode other than sidecar, or "
                "its pods are older than that",
                next_step="helm upgrade with garbageCollect.enabled=true, and wait for the rollout",
            )
        if ready := [pod for pod in found if pod.sidecar and pod.ready]:
            return ready
        state = "; ".join(f"{pod.name} is {pod.phase} ({pod.waiting})" for pod in found)
        if time.monotonic() > patience:
            raise _not_ready(state)
        if state != said:
            echo(f"waiting for the registry's pod: {state}")
            said = state
        time.sleep(_PAUSE)


def _not_ready(state: str) -> GuardError:
    return GuardError(
        "nothing was collected: the registry's pod does not run",
        why=state,
        next_step="`kubectl describe pod` says what it waits for; the next run tries again",
    )


@dataclass(slots=True)
class _Sidecar:
    """The sidecar of one pod."""

    settings: HookSettings
    pod: Pod
    deadline: float

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Return status and JSON of one answer. Raises SidecarSilentError."""
        host = f"[{self.pod.address}]" if ":" in self.pod.address else self.pod.address
        try:
            answer = urllib3.request(
                method,
                f"http://{host}:{self.settings.port}{path}",
                body=body,
                headers={"Authorization": f"Bearer {self._token()}"},
                timeout=10,
                retries=False,
            )
            return answer.status, _object(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise SidecarSilentError(
                f"the sidecar of {self.pod.name} does not answer at {host}:{self.settings.port}",
                why=str(error),
                next_step="see `kubectl logs -c gc`; a NetworkPolicy must let this job reach that "
                "port",
            ) from error

    def patiently(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Ask until there is an answer, for as long as `_PATIENCE`."""
        until = time.monotonic() + _PATIENCE
        pause = _PAUSE
        while True:
            try:
                return self.request(method, path, body)
            except SidecarSilentError:
                if time.monotonic() > min(until, self.deadline):
                    raise
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _token(self) -> str:
        path = self.settings.token_file
        try:
            token = path.read_bytes().strip()
        except OSError as error:
            raise _no_token("cannot be read", f"{path}: {error.strerror}") from error
        # Here, because the error of the HTTP library quotes the header that it cannot send.
        if not token or not all(32 <= byte < 127 for byte in token):
            raise _no_token("is none", f"{path} is not one line of ASCII")
        return token.decode("ascii")


def _collected_once(sidecar: _Sidecar, stores: Set[str], echo: Echo) -> Mapping[str, Any] | None:
    """Have a sidecar's store collected; None if it is one of those that were already."""
    if stores:
        # Any replica knows its store's name: the first collection of the store gave it one.
        _, status = sidecar.patiently("GET", "/status")
        if status.get("store") in stores:
            return None
    return _collected(sidecar, echo)


def _object(content: bytes) -> dict[str, Any]:
    """Return a JSON object, empty for no content. Raises ValueError for everything else."""
    said = json.loads(content or b"{}")
    if not isinstance(said, dict):
        raise ValueError("what answers there is no sidecar")  # noqa: TRY004 - as json's own
    return said


def _no_token(what: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"nothing was collected: the token for the sidecar {what}",
        why=why,
        next_step="mount the release's Secret that ends in -gc there, as the chart does",
    )


def _collected(sidecar: _Sidecar, echo: Echo) -> Mapping[str, Any]:
    """Begin or join a collection; return its last status."""
    name = _begun(sidecar, echo)
    phase = ""
    while True:
        code, status = sidecar.patiently("GET", f"/status?run={name}")
        if code != 200:
            raise SidecarSilentError(
                f"the collection {name} is no longer known to {sidecar.pod.name}",
                why=str(status.get("error", code)),
                next_step="its container was started anew, which undoes a run; collect again",
            )
        if status["state"] == "done":
            return dict(status)
        if status["phase"] != phase:
            phase = status["phase"]
            echo(f"{sidecar.pod.name}: {phase}")
        if time.monotonic() > sidecar.deadline:
            raise StorageError(
                f"the collection {name} goes on, but was not waited for any longer",
                why=f"it has taken more than {sidecar.settings.timeout}",
                next_step="raise garbageCollect.hook.timeout; `registry-gc report` in the gc "
                "container shows how it ended",
            )
        time.sleep(_PAUSE)


def _begun(sidecar: _Sidecar, echo: Echo) -> str:
    """Return the name of the run that was begun or joined, waiting while none may begin."""
    said = False
    while True:
        code, answer = sidecar.patiently("POST", "/collect", b"{}")
        if code in (200, 202):
            echo(f"{sidecar.pod.name}: run {answer['run']}" + (" (joined)" if code == 200 else ""))
            return str(answer["run"])
        wait = answer.get("retryAfter")
        if code not in (409, 503) or time.monotonic() > sidecar.deadline:
            raise _refused(sidecar, code, answer)
        if code == 503 and wait is None:
            raise _refused(sidecar, code, answer)
        if not said:
            echo(f"{sidecar.pod.name}: {answer['error']}; waiting")
            said = True
        left = max(0.0, sidecar.deadline - time.monotonic())
        time.sleep(min(float(wait or _BUSY), _LONGEST_PAUSE, left))


def _refused(sidecar: _Sidecar, code: int, answer: Mapping[str, Any]) -> CollectorError:
    sentence = str(answer.get("error", code))
    if code == 401:
        return ConfigurationError(
            f"nothing was collected: the sidecar of {sidecar.pod.name} refused the token",
            why=sentence,
            next_step="the Secret that ends in -gc was changed; restart the registry's pods once",
        )
    return StorageError(
        f"nothing was collected: the sidecar of {sidecar.pod.name} answered {code}",
        why=sentence,
        next_step="see `kubectl logs -c gc`",
    )
