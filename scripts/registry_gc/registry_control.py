"""The registry of this pod, started anew when asked: to be read-only, or with another certificate.

A sidecar alone can do that in place: the kubelet starts what ended, and resolves the container's
variables and files anew. One request at a time, and none while a collection counts on the process.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from registry_gc.descriptor_cache import Memory
from registry_gc.errors import CollectorError
from registry_gc.health import first_fingerprint, served_certificate
from registry_gc.registry_config import RegistryConfig, load
from registry_gc.registry_http import answers, local_address, takes_pushes
from registry_gc.restart import find_registries, find_registry, restart
from registry_gc.sidecar_runs import Answer, Runs

log = logging.getLogger("registry_gc.sidecar")

_LOOK = 1.0  # seconds between two looks for a quiet moment
_PATIENCE = 600.0  # seconds for one: a busy registry must get its certificate too
_SAID = 15.0  # seconds for this replica's registration to say what has changed
_FRUITLESS = 3  # restarts, as many as a switch tries
_SOON = 5  # seconds after which to ask again


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be true after the restart; with neither it is just a restart.

    `certificate` is the SHA-256 of what is to be served.
    """

    read_only: bool | None = None
    certificate: str = ""

    @classmethod
    def of_json(cls, content: bytes) -> "Asked":
        """Read a request's body. Raises ValueError."""
        said = json.loads(content or b"{}")
        if not isinstance(said, dict) or set(said) - {"readOnly", "certificate"}:
            raise ValueError("only readOnly and certificate are known")
        read_only, certificate = said.get("readOnly"), said.get("certificate", "")
        if not isinstance(read_only, bool | None) or not isinstance(certificate, str):
            raise TypeError("readOnly is true or false, certificate a text")
        return cls(read_only, certificate)


@dataclass(slots=True)
class RegistryControl:
    """`say_anew` is called after a restart with the seconds that it may take. `environment` is this
    container's, which has the variables that people give the registry and no key of a switch."""

    config_path: Path
    environment: Mapping[str, str]
    runs: Runs
    say_anew: Callable[[float], object]
    look: float = _LOOK
    patience: float = _PATIENCE
    _current: Asked | None = None
    _error: str = ""
    _unreadable: str = ""
    _fruitless: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, content: bytes) -> Answer:
        """Begin a restart, or say why there is none; the same request joins one that goes on."""
        try:
            asked = Asked.of_json(content)
        except (ValueError, TypeError, RecursionError) as error:
            return Answer(400, {"error": f'write {{"readOnly": true}}, say: {error}'})
        with self._lock:
            if self._current is not None:
                if self._current == asked:
                    return Answer(202, {"restarting": True})
                return _later(409, "another restart goes on")
            self._error = ""  # that of another request says nothing of this one
            refusal = self._refusal(asked)
            if refusal is not None:
                return refusal
            if run := self.runs.hold():
                return _later(409, f"the collection {run} goes on and may need this very process")
            thread = threading.Thread(
                target=self._restart, args=(asked,), name="restart", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                self.runs.release()
                return _later(503, f"no restart can be begun: {error}")
            self._current = asked
        return Answer(202, {"restarting": True})

    def state(self) -> Mapping[str, object]:
        """Return what the registry is just now; None for what is not known."""
        found = self._found()
        said: dict[str, object] = {
            "restarting": self._current is not None,
            "error": self._error or self._unreadable,
            "identity": "",
            "answers": False,
            "readOnly": None,
        }
        if found is None:
            return said
        identity, config, always = found
        is_there = answers(config)
        # One that hangs is asked once: who waits for this answer does so for ten seconds.
        said |= {
            "identity": identity,
            "answers": is_there,
            "readOnly": _is_read_only(config) if is_there else config.read_only,
            "readOnlyAlways": always,
            "pullThrough": config.proxy,
            "certificate": _served(config) if is_there else "",
        }
        return said

    def _found(self) -> tuple[str, RegistryConfig, bool] | None:
        """Return the process, what it runs with, and whether people want it read-only."""
        registry = find_registry(self.config_path)
        if registry is None:
            return None
        try:
            config = load(self.config_path, registry.environment)
            # What people have configured stays so whoever switches: to restart it is no use.
            always = config.read_only and (
                load(self.config_path, self.environment).read_only or self._fruitless >= _FRUITLESS
            )
        except CollectorError as error:
            self._unreadable = error.what
            return None
        self._unreadable = ""
        return registry.identity, config, always

    def _refusal(self, asked: Asked) -> Answer | None:
        """Return why there is no restart, or that none is needed; None if there is to be one."""
        found = self._found()
        if found is None:
            return _later(503, "the registry's process is not there (yet)")
        _, config, always = found
        if asked.read_only is not None:
            if config.proxy:
                return Answer(
                    422,
                    {
                        "error": "this is a pull-through cache: it writes when people pull, "
                        "read-only or not"
                    },
                )
            if _is_read_only(config) == asked.read_only or (always and not asked.read_only):
                return Answer(200, {"restarting": False})
        if asked.certificate:
            if _in_file(config) != asked.certificate:
                return _later(503, "this certificate has not come to the pod's volume yet")
            served = _served(config)
            if served == asked.certificate:
                return Answer(200, {"restarting": False})
            if not served:
                # Or each look would end with a restart.
                return _later(503, "what the registry serves cannot be seen")
        try:
            Memory.of(config, self.config_path).check_restart()
        except CollectorError as error:
            return Answer(422, {"error": f"{error.why}; {error.next_step}"})
        return None

    def _restart(self, asked: Asked) -> None:
        try:
            if asked.certificate:
                self._wait_for_quiet()
            log.info("starting the registry anew: %s", asked)
            for registry in find_registries(self.config_path):
                config = load(self.config_path, registry.environment)
                restart(registry, config, self.config_path, meanwhile=time.sleep)
            self.say_anew(_SAID)
            self._count(asked)
        except CollectorError as error:
            log.warning("the restart failed: %s", error.why)
            self._error = f"{error.what}: {error.why}"
        except Exception as error:
            # Whatever it is: a restart that never ends would be the last one of this sidecar.
            log.exception("the restart cannot be followed")
            self._error = str(error)
        finally:
            with self._lock:  # not before the request that began it is through
                self._current = None
            self.runs.release()

    def _count(self, asked: Asked) -> None:
        """Notice a registry that stays read-only whatever is done: whose variable is none of ours.

        Or the script that runs every few minutes would restart it for ever.
        """
        found = self._found()
        if asked.read_only is None or found is None:
            return
        stays = not asked.read_only and _is_read_only(found[1])
        self._fruitless = self._fruitless + 1 if stays else 0

    def _wait_for_quiet(self) -> None:
        """Wait until nobody is connected, but not for ever: the drain lets requests end anyway."""
        until = time.monotonic() + self.patience
        while time.monotonic() < until:
            found = self._found()
            if found is None or not is_busy(found[1]):
                return
            time.sleep(self.look)


def is_busy(config: RegistryConfig) -> bool:
    """Say whether anybody is connected to the registry's port."""
    if config.net == "unix":
        return False  # whoever is there came through a proxy in the same pod
    port = local_address(config).port
    return any(
        each.status == psutil.CONN_ESTABLISHED and each.laddr and each.laddr.port == port
        for each in psutil.net_connections(kind="tcp")
    )


def _is_read_only(config: RegistryConfig) -> bool:
    """Say whether pushes are refused: by a probe, or where that needs a login by its variables."""
    takes = takes_pushes(config)
    return config.read_only if takes is None else not takes


def _served(config: RegistryConfig) -> str:
    return served_certificate(local_address(config)) if config.tls and config.net != "unix" else ""


def _in_file(config: RegistryConfig) -> str:
    if not config.certificate:
        return ""
    try:
        return first_fingerprint(Path(config.certificate).read_bytes())
    except OSError:
        return ""


def _later(status: int, why: str) -> Answer:
    return Answer(status, {"error": why, "retryAfter": _SOON})
