"""The script of the CronJob: asks the release's sidecar to collect, waits, prints its report."""

import json
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from registry_gc import kube_client, report
from registry_gc.environment import length, port, required, switch
from registry_gc.errors import CollectorError, ConfigurationError, GuardError, StorageError
from registry_gc.events import Events, Subject
from registry_gc.ownership import Owner
from registry_gc.read_only import Switch
from registry_gc.read_only_settings import ReadOnlySettings
from registry_gc.release_pods import Pod, pods
from registry_gc.sidecars import Access, Sidecar, SidecarSilentError

_PAUSE = 1.0  # seconds between two looks at a run that goes on
_BUSY = 5.0  # seconds until a sidecar is asked again that collects with other options
_LONGEST_PAUSE = 15.0  # seconds
_PATIENCE = 120.0  # seconds for a pod's collector to start
_NOTHING = "nothing was collected"

Echo = Callable[[str], object]
ListPods = Callable[[], list[Pod]]


@dataclass(frozen=True)
class HookSettings:
    """Whom to ask and for how long to wait; `port` is the sidecars'.

    `about` are the objects whose Events tell how it ended. With `switch` what a dead run left
    read-only is taken back first; with `read_only` the collection is held while nobody can push.
    """

    namespace: str
    selector: str
    token_file: Path
    port: int = 5002
    timeout: timedelta = timedelta(hours=6)
    about: tuple[Subject, ...] = ()
    switch: ReadOnlySettings | None = None
    read_only: bool = False

    @property
    def access(self) -> Access:
        """How the sidecars are reached."""
        return Access(self.token_file, self.port)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "HookSettings":
        """Read GC_NAMESPACE, GC_SELECTOR, GC_TOKEN_FILE, GC_PORT, GC_TIMEOUT, GC_EVENTS_ABOUT,
        GC_READ_ONLY, and with GC_MODE also GC_RELEASE and GC_READ_ONLY_*.

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
        namespace = environment.get("GC_NAMESPACE") or kube_client.own_namespace(_NOTHING)
        access = Access(Path(token), port(environment, "GC_PORT", cls.port))
        read_only = switch(environment, "GC_READ_ONLY")
        mode = None
        if read_only or environment.get("GC_MODE", "").strip():
            release = required(environment, "GC_RELEASE", "the release's name", _NOTHING)
            mode = ReadOnlySettings.from_environment(
                environment, Owner(namespace, release), selector, access
            )
        return cls(
            namespace,
            selector,
            access.token_file,
            access.port,
            length(environment, "GC_TIMEOUT", cls.timeout),
            Subject.all_of(environment.get("GC_EVENTS_ABOUT", "")),
            mode,
            read_only,
        )


def run(settings: HookSettings, echo: Echo) -> int:
    """Have every store of the release collected once; return the worst exit code.

    Raises CollectorError when no collection could be begun or followed to its end.
    """
    api = kube_client.api(_NOTHING)
    events = Events(api, settings.namespace, settings.about, echo)

    def list_pods() -> list[Pod]:
        return pods(api, settings.namespace, settings.selector)

    mode = Switch(api, settings.switch, echo) if settings.switch else None
    left = _taken_back(mode, events, echo) if mode else 0
    try:
        if mode is None or not settings.read_only:
            return max(left, follow(settings, list_pods, echo, events))
        with mode.held():
            events.normal("ReadOnly", "nobody can push until the collection has ended")
            return follow(settings, list_pods, echo, events)
    except CollectorError as error:
        events.failure("CollectionNotDone", error)
        raise
    finally:
        events.flush()


def _taken_back(mode: Switch, events: Events, echo: Echo) -> int:
    """Take back what a dead run left read-only; return an exit code, because it is no reason not to
    collect that this failed: a collection is safe either way.
    """
    try:
        if mode.settle():
            events.warning("ReadOnlyTakenBack", "a dead run had left the registry read-only")
    except CollectorError as error:
        echo(str(error))
        events.failure("ReadOnlyNotTakenBack", error)
        return error.exit_code
    return 0


def follow(settings: HookSettings, list_pods: ListPods, echo: Echo, events: Events) -> int:
    """Ask each pod that has a sidecar; replicas of one store join the same run."""
    deadline = time.monotonic() + settings.timeout.total_seconds()
    worst = 0
    stores: set[str] = set()
    for pod in _with_a_sidecar(settings, list_pods, deadline, echo):
        sidecar = Sidecar(settings.access, pod, deadline)
        try:
            status = _collected_once(settings, sidecar, stores, echo)
        except SidecarSilentError as error:
            replacement = [each for each in list_pods() if each.ready and each.name != pod.name]
            if not replacement:
                raise
            echo(f"{error.what}; the pod was replaced, asking {replacement[0].name}")
            sidecar = Sidecar(settings.access, replacement[0], deadline)
            status = _collected_once(settings, sidecar, stores, echo)
        if status is None:
            continue
        stores.add(str(status.get("store") or pod.name))
        echo(report.text(status["report"]))
        _tell(events, sidecar.pod, status)
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


def _collected_once(
    settings: HookSettings, sidecar: Sidecar, stores: Set[str], echo: Echo
) -> Mapping[str, Any] | None:
    """Have a sidecar's store collected; None if it is one of those that were already."""
    if stores:
        # Any replica knows its store's name: the first collection of the store gave it one.
        _, status = sidecar.patiently("GET", "/status")
        if status.get("store") in stores:
            return None
    return _collected(settings, sidecar, echo)


def _collected(settings: HookSettings, sidecar: Sidecar, echo: Echo) -> Mapping[str, Any]:
    """Begin or join a collection; return its last status."""
    name = _begun(settings, sidecar, echo)
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
                why=f"it has taken more than {settings.timeout}",
                next_step="raise garbageCollect.hook.timeout; `registry-gc report` in the gc "
                "container shows how it ended",
            )
        time.sleep(_PAUSE)


def _begun(settings: HookSettings, sidecar: Sidecar, echo: Echo) -> str:
    """Return the name of the run that was begun or joined, waiting while none may begin."""
    said = False
    options = {"readOnly": True} if settings.read_only else {}
    while True:
        code, answer = sidecar.patiently("POST", "/collect", json.dumps(options).encode())
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


def _refused(sidecar: Sidecar, code: int, answer: Mapping[str, Any]) -> CollectorError:
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


def _tell(events: Events, pod: Pod, status: Mapping[str, Any]) -> None:
    """Let the objects of the release say how a run ended, whoever began it."""
    code, told = int(status["exitCode"]), status["report"]
    if code == 0:
        events.normal("Collected", f"{pod.name}: {_first_line(told)}")
    elif code == 1 and not told.get("error"):
        problems = len(told.get("problems") or ())
        events.warning(
            "CollectedWithProblems",
            f"{pod.name}: {_first_line(told)}; {problems} problems, named in the Job's log",
        )
    else:
        events.warning("CollectionNotDone", f"{pod.name}: {told.get('error') or f'exit {code}'}")


def _first_line(told: Mapping[str, Any]) -> str:
    return report.text(told).partition("\n")[0]
