"""Switches a release's registries to read-only and back, in place: no rollout, no object of Helm's.

Each registry's container has REGISTRY_STORAGE_MAINTENANCE_READONLY from an optional key of a
ConfigMap. Who switches writes the key with an expiry and has the sidecars restart their
registries, one after another; each is then probed. A key whose time is over is taken back by
whoever comes next: the hook, or the script that runs every few minutes. Never while a collection
counts on it.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from registry_gc.errors import (
    CollectorError,
    GuardError,
    LockedError,
    RegistryDownError,
)
from registry_gc.kube_api import Api, Object, path_of
from registry_gc.read_only_settings import NOTHING, ReadOnlySettings
from registry_gc.release_pods import Pod, all_pods
from registry_gc.sidecars import Sidecar, SidecarSilentError

MANAGER = "registry-gc-read-only"
_STILL = (
    "the registry may still be read-only, until the next run or the endpoint's job takes that back"
)

# What the registry reads; only this form works (distribution issue 2974).
_KEY, _VALUE = "readOnly", '{"enabled":true}'
_EXPIRES, _HOLDER = "expires", "holder"
_PAUSE = 1.0  # seconds between two looks
_KUBELET = 2.0  # seconds for the kubelets to hear of the key: a container gets what is known there
_ATTEMPTS = 3  # restarts of one registry, if a kubelet heard of it late
_ANOTHER_LOOK = 15.0  # seconds: who has just let go of the key restarts its registries

Echo = Callable[[str], object]


@dataclass(slots=True)
class Switch:
    """The switch of one release."""

    api: Api
    settings: ReadOnlySettings
    echo: Echo
    sleep: Callable[[float], object] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        """Let errors say what did not happen."""
        self.api = replace(self.api, consequence=NOTHING)

    def on(self) -> None:
        """Make every registry of the release read-only, and see that each is.

        Raises CollectorError; then everything is as it was, or taken back soon.
        """
        self._check_possible()
        self._claim()
        try:
            self.sleep(_KUBELET)
            found = self._found()
            is_ours = _data(found).get(_HOLDER) == self.settings.holder
            if is_ours:
                self._bring(read_only=True)
        except BaseException:
            self._back_again()
            raise
        if not is_ours:
            # Two that wrote it at the same moment; who wrote last holds it, and takes it back.
            raise self._held_by(found)
        self.echo(f"read-only until {self.now() + self.settings.expires:%H:%M:%S} UTC at most")

    def _back_again(self) -> None:
        """Undo what could not be done; a failure of that is said, and is not what matters."""
        try:
            self._off(self._is_ours)
        except CollectorError as error:
            self.echo(f"{error.what} ({error.why})")

    def off(self) -> None:
        """Let people push again, whoever holds it, once no collection counts on it that they
        cannot.

        Raises CollectorError; then the next run, or the script that looks after it, tries again.
        """
        self._off(lambda _found: True)

    def _off(self, may: Callable[[Object | None], bool]) -> bool:
        """Do that if the key, as it is by then, may be taken back; say whether it was."""
        self.api = replace(self.api, consequence=_STILL)  # by every error from here on
        self._wait_for_collections()
        found = self._found()
        if not may(found):
            self.echo(f"read-only is {_data(found).get(_HOLDER, 'somebody else')}'s by now")
            return False
        if found is not None:
            self.api.delete(self._path, found["metadata"]["uid"])
        self.sleep(_KUBELET)
        self._bring(read_only=False)
        self.echo("people can push again")
        self.api = replace(self.api, consequence=NOTHING)
        return True

    def _is_ours(self, found: Object | None) -> bool:
        """Say whether the key is ours to take back, or gone already."""
        return found is None or _data(found).get(_HOLDER) == self.settings.holder

    def settle(self) -> bool:
        """Take back what nobody holds any more; say whether that was needed. Raises CollectorError.

        Also what a dead run left between two steps: no key, and a registry that is read-only still.
        """
        found = self._found()
        if not self._may_settle(found):
            return False
        if found is None:
            if not self._left_behind():
                return False
            # Or somebody is just letting go of it: first the key, then the restarts.
            self.sleep(_ANOTHER_LOOK)
            found = self._found()
            if not self._may_settle(found) or (found is None and not self._left_behind()):
                return False
        who = _data(found).get(_HOLDER, "a dead run")
        self.echo(f"read-only was left by {who}: taking it back")
        return self._off(self._may_settle)

    def _may_settle(self, found: Object | None) -> bool:
        """Say whether nobody holds the key."""
        return found is None or self._is_over(found)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Read-only for as long as this lasts, and not much longer whatever happens to us."""
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(done,), daemon=True)
        # From the start: the first restart may have to wait for a collection that goes on.
        keeper.start()
        try:
            self.on()
            try:
                yield
            finally:
                self._off(self._is_ours)
        finally:
            done.set()
            keeper.join(self.settings.expires.total_seconds() / 4)

    @property
    def _path(self) -> str:
        return path_of("v1", "configmaps", self.settings.owner.namespace, self.settings.mode)

    def _found(self) -> Object | None:
        found = self.api.get(self._path)
        self.settings.owner.check(found, "ConfigMap", "remove it, which lets people push again")
        return found

    def _is_over(self, found: Mapping[str, Any]) -> bool:
        """Say whether a key holds no longer; one without a time that can be read never did."""
        data = _data(found)
        try:
            return not data.get(_KEY) or datetime.fromisoformat(data[_EXPIRES]) <= self.now()
        except (KeyError, ValueError, TypeError):
            return True

    def _claim(self) -> None:
        """Write the key as ours. Raises LockedError if it is somebody else's."""
        found = self._found()
        is_ours = _data(found).get(_HOLDER) == self.settings.holder
        if found is not None and not self._is_over(found) and not is_ours:
            raise self._held_by(found)
        metadata = self.settings.owner.metadata(self.settings.mode, "gc-mode")
        if found is not None:
            metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
        data = {_KEY: _VALUE, _HOLDER: self.settings.holder, _EXPIRES: self._expiry()}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        self.api.apply(self._path, body, MANAGER)

    def _held_by(self, found: Object | None) -> LockedError:
        data = _data(found)
        return LockedError(
            f"{NOTHING}: it is read-only already, by {data.get(_HOLDER, 'somebody else')}",
            why=f"until {data.get(_EXPIRES, 'a moment ago')}, unless that is said again",
            next_step="wait for it, or take it back with `registry-gc read-only off`, in a Job as "
            "the release's notes print it",
        )

    def _expiry(self) -> str:
        return (self.now() + self.settings.expires).isoformat(timespec="seconds")

    def _keep(self, done: threading.Event) -> None:
        """Say every now and then that we are alive; what somebody took back is not said again."""
        while not done.wait(self.settings.expires.total_seconds() / 4):
            with suppress(CollectorError):
                found = self.api.get(self._path)
                if found is None or _data(found).get(_HOLDER) != self.settings.holder:
                    continue
                metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
                # Not applied, which would make it anew if it was removed just now.
                body = {"metadata": metadata, "data": {_EXPIRES: self._expiry()}}
                self.api.merge(self._path, body, MANAGER)

    def _check_possible(self) -> None:
        """Raise GuardError, before anything is changed, if one of the registries cannot switch."""
        pods = self._pods()
        if not pods:
            raise GuardError(
                f"{NOTHING}: no registry runs",
                why=f"no pod in {self.settings.owner.namespace} has the labels "
                f"{self.settings.selector}",
                next_step="scale it up first",
            )
        for pod in pods:
            if not pod.sidecar:
                raise GuardError(
                    f"{NOTHING}: {pod.name} has no collector beside the registry",
                    why="only a collector in the same pod can restart a registry in place",
                    next_step="leave garbageCollect.readOnly: false; a collection is safe without "
                    "it",
                )
            if pod.ready and not pod.ending and self._state(pod).get("pullThrough"):
                raise _pull_through()

    def _bring(self, *, read_only: bool) -> None:
        """Have each registry be one or the other; new pods too, until all are."""
        until = time.monotonic() + self.settings.timeout.total_seconds()
        done: set[str] = set()
        said = ""
        while True:
            pods = self._pods()
            left = [pod for pod in pods if pod.name not in done]
            for pod in left:
                if pod.ready and not pod.ending:
                    self._switch(pod, until, read_only=read_only)
                    done.add(pod.name)
            # One that ends goes on to take pushes from who is connected. One that is only starting
            # resolves the key itself, but has to be seen to have done so.
            waiting = [
                pod for pod in left if pod.name not in done and (read_only or not pod.ending)
            ]
            if not waiting:
                return
            state = ", ".join(f"{pod.name} {_what(pod)}" for pod in waiting)
            if time.monotonic() > until:
                raise _not_back(state, self.settings.timeout)
            if state != said:
                self.echo(f"waiting: {state}")
                said = state
            self.sleep(_PAUSE)

    def _switch(self, pod: Pod, until: float, *, read_only: bool) -> None:
        """Restart one registry until it is as it should be. Raises CollectorError."""
        body = json.dumps({"readOnly": read_only}).encode()
        for _ in range(_ATTEMPTS):
            self._ask(pod, body, until)
            state = self._restarted(pod, until)
            if state["error"]:
                raise _not_back(f"{pod.name}: {state['error']}", self.settings.timeout)
            if state["readOnly"] is read_only or (not read_only and state.get("readOnlyAlways")):
                self.echo(f"{pod.name}: {'read-only' if read_only else 'takes pushes'}")
                return
            self.sleep(_KUBELET)
        raise _not_back(
            f"{pod.name} was started {_ATTEMPTS} times and is not as it should be; its container "
            "must have REGISTRY_STORAGE_MAINTENANCE_READONLY from the ConfigMap "
            f"{self.settings.mode}",
            self.settings.timeout,
        )

    def _ask(self, pod: Pod, body: bytes, until: float) -> None:
        while True:
            code, answer = self._sidecar(pod).patiently("POST", "/restart", body)
            if code in (200, 202):
                return
            if code == 422:
                raise _cannot(pod, str(answer.get("error")))
            if code not in (409, 503) or time.monotonic() > until:
                raise _not_back(f"{pod.name}: {answer.get('error', code)}", self.settings.timeout)
            self.sleep(min(float(answer.get("retryAfter") or _PAUSE), 15.0))

    def _restarted(self, pod: Pod, until: float) -> Mapping[str, Any]:
        """Return what a registry is once it has been restarted and answers."""
        while True:
            state = self._state(pod)
            is_back = not state["restarting"] and (state["answers"] or state["error"])
            if is_back:
                return state
            if time.monotonic() > until:
                raise _not_back(f"{pod.name} does not answer", self.settings.timeout)
            self.sleep(_PAUSE)

    def _wait_for_collections(self) -> None:
        """Wait until no collection goes on that counts on nobody pushing."""
        until = time.monotonic() + self.settings.timeout.total_seconds()
        said = False
        while True:
            # One that ends puts back what its collection took, before it is gone.
            there = [pod for pod in self._pods() if pod.ready and not pod.ending]
            running = [pod for pod in there if self._collects(pod)]
            if not running:
                return
            if time.monotonic() > until:
                raise RegistryDownError(
                    "the registry is still read-only, because a collection counts on that",
                    why=f"the one of {running[0].name} goes on",
                    next_step="nothing: it is taken back once that has ended, by the next run",
                )
            if not said:
                self.echo(f"waiting for the collection of {running[0].name}")
                said = True
            self.sleep(_PAUSE)

    def _collects(self, pod: Pod) -> bool:
        code, status = self._sidecar(pod).patiently("GET", "/status")
        return code == 200 and status.get("state") == "running" and bool(status.get("readOnly"))

    def _left_behind(self) -> bool:
        """Say whether a registry is read-only that should not be; a silent one says nothing."""
        for pod in self._pods():
            if not pod.ready or pod.ending:
                continue
            with suppress(SidecarSilentError):
                _, state = self._sidecar(pod).request("GET", "/registry")
                if state.get("readOnly") and not state.get("readOnlyAlways"):
                    return True
        return False

    def _state(self, pod: Pod) -> Mapping[str, Any]:
        code, state = self._sidecar(pod).patiently("GET", "/registry")
        if code != 200:
            raise _cannot(pod, str(state.get("error", code)))
        return dict(state)

    def _sidecar(self, pod: Pod) -> Sidecar:
        access = replace(self.settings.access, consequence=NOTHING)
        return Sidecar(access, pod, time.monotonic() + self.settings.timeout.total_seconds())

    def _pods(self) -> list[Pod]:
        return all_pods(self.api, self.settings.owner.namespace, self.settings.selector)


def _data(found: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (found or {}).get("data") or {}


def _what(pod: Pod) -> str:
    if pod.ending:
        return "is ending and may still take pushes"
    return f"is {pod.phase} ({pod.waiting})" if pod.waiting else f"is {pod.phase}"


def _pull_through() -> GuardError:
    return GuardError(
        f"{NOTHING}: it is a pull-through cache",
        why="that writes to its store when people pull, read-only or not, so nobody could rely on "
        "it",
        next_step="set garbageCollect.readOnly: false; a collection is safe without it",
    )


def _cannot(pod: Pod, why: str) -> GuardError:
    return GuardError(
        f"{NOTHING}: the registry of {pod.name} cannot be restarted",
        why=why,
        next_step="set garbageCollect.readOnly: false; a collection is safe without it",
    )


def _not_back(why: str, timeout: timedelta) -> RegistryDownError:
    return RegistryDownError(
        f"not every registry was switched within {timeout}",
        why=why,
        next_step="see `kubectl describe pod` and `kubectl logs -c gc`; the next run tries to take "
        "read-only back",
    )
