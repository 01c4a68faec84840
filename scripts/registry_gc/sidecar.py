"""The collector in the registry's pod: collects on a period, and when asked over HTTP."""

import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import waitress
from waitress.server import BaseWSGIServer

from registry_gc import lock, records
from registry_gc.environment import length, port
from registry_gc.errors import CollectorError, ConfigurationError
from registry_gc.registration import Registration
from registry_gc.registry_config import RegistryConfig
from registry_gc.registry_control import RegistryControl
from registry_gc.restart import configuration_in_use
from registry_gc.sidecar_http import LARGEST_BODY, Application
from registry_gc.sidecar_runs import Runs, own_command
from registry_gc.storage import FileStore

log = logging.getLogger("registry_gc.sidecar")

_JITTER = 0.1  # of the start delay, so that many releases do not start together
_TICK = 1.0  # seconds
_LOOK = 60.0  # seconds between two looks at the store: another replica may have collected it


@dataclass(frozen=True)
class SidecarSettings:
    """How the sidecar runs; the collection's own options pass through `environment`."""

    config: Path
    environment: Mapping[str, str]
    period: timedelta = timedelta()
    start_delay: timedelta = timedelta(seconds=60)
    memory_start_delay: timedelta = timedelta(minutes=10)
    stop_timeout: timedelta = timedelta(seconds=90)
    port: int = 5002
    token_file: Path = Path("/var/run/secrets/docker-registry-gc/token")
    command: tuple[str, ...] = field(default_factory=lambda: tuple(own_command()))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], config: Path) -> "SidecarSettings":
        """Read GC_PERIOD, GC_START_DELAY, GC_MEMORY_START_DELAY, GC_STOP_TIMEOUT, GC_PORT and
        GC_TOKEN_FILE. Raises ConfigurationError, which names the variable."""
        return cls(
            config,
            environment,
            period=length(environment, "GC_PERIOD", cls.period, bare_seconds=True),
            start_delay=length(environment, "GC_START_DELAY", cls.start_delay),
            memory_start_delay=length(environment, "GC_MEMORY_START_DELAY", cls.memory_start_delay),
            stop_timeout=length(environment, "GC_STOP_TIMEOUT", cls.stop_timeout),
            port=port(environment, "GC_PORT", cls.port),
            token_file=Path(environment.get("GC_TOKEN_FILE") or cls.token_file),
        )


class Sidecar:
    """One sidecar. `serve` blocks until SIGTERM."""

    def __init__(self, settings: SidecarSettings) -> None:
        self._settings = settings
        self._began = time.monotonic()
        # Not an Event: a signal's handler that runs while `wait` holds the Event's lock would wait
        # for itself for ever. A SimpleQueue may be put to from there.
        self._stop: SimpleQueue[int] = SimpleQueue()
        self._follows_another = self._may_follow_another()
        self.runs = Runs(
            settings.command,
            settings.config,
            settings.environment,
            delay=self.seconds_to_wait,
            elsewhere=self.run_elsewhere,
        )
        self.registration = Registration(settings.config, settings.environment)
        self.control = RegistryControl(
            settings.config, settings.environment, self.runs, self.registration.say_anew
        )
        self.application = Application(
            self.runs,
            settings.token_file,
            stored=self.stored_report,
            store_id=self.store_id,
            restart=self.control.request,
            registry=self.control.state,
        )

    def serve(self) -> int:
        """Register, recover, listen, collect on the period; return the exit code after SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: self._stop.put(number))
        self.registration.begin()
        self.runs.recover()
        server = self._listening()
        threading.Thread(target=server.run, name="http", daemon=True).start()
        log.info(
            "listening on port %d; %s",
            self._settings.port,
            f"collecting every {self._settings.period}"
            if self._settings.period
            else "collecting when asked",
        )
        self._collect_on_the_period()
        self._end(server)
        return 0

    def seconds_to_wait(self) -> float:
        """Return for how long no run may begin: a registry without a sidecar may still serve.

        Only one that keeps descriptors in memory could do harm; that the new configuration has no
        such cache says nothing of the old one, which serves until this pod is ready.
        """
        since = time.monotonic() - self._began
        left = self._settings.memory_start_delay.total_seconds() - since
        if left <= 0:
            return 0.0
        return left if self._follows_another or self._caches_in_memory() else 0.0

    def _may_follow_another(self) -> bool:
        """Say whether a registry of before, which caches in memory, may have served this store."""
        with suppress(CollectorError):
            store = self._store()
            return store is not None and records.may_follow_another(store)
        return True

    def stored_report(self) -> Mapping[str, Any] | None:
        """Return the report of this store's last collection, whichever replica ran it."""
        with suppress(CollectorError):
            if store := self._store():
                return records.read_last_report(store)
        return None

    def run_elsewhere(self) -> str:
        """Return the run that holds the store, empty if none does."""
        with suppress(CollectorError):
            if store := self._store():
                return lock.run_that_holds(store)
        return ""

    def store_id(self) -> str:
        """Return the store's name, empty until its first collection."""
        with suppress(CollectorError):
            if store := self._store():
                return records.store_id(store)
        return ""

    def _listening(self) -> BaseWSGIServer:
        try:
            return waitress.create_server(
                self.application,
                host="*",
                port=self._settings.port,
                threads=2,
                max_request_body_size=LARGEST_BODY,
                connection_limit=50,
                # Anybody in the cluster can open connections, and the kubelet's needs one of them.
                channel_timeout=15,
                cleanup_interval=5,
                ident="registry-gc",
            )
        except OSError as error:
            raise ConfigurationError(
                f"the sidecar cannot listen on port {self._settings.port}",
                why=error.strerror or str(error),
                next_step="let nothing else in the pod listen there, or set GC_PORT to another",
            ) from error

    def _collect_on_the_period(self) -> None:
        not_before = self.first_period()
        while not self._is_told_to_stop():
            if not self._settings.period or time.monotonic() < not_before:
                continue
            if self.runs.current is not None:
                continue
            if left := max(self.seconds_to_due(), self.seconds_to_wait()):
                # The report may be large, so it is not read at each tick.
                not_before = time.monotonic() + min(left, _LOOK)
            elif self.runs.request(dry_run=False).status != 202:
                not_before = time.monotonic() + _LOOK  # another replica collects it now

    def first_period(self) -> float:
        """Return when the first collection of the period may begin, on the monotonic clock."""
        delay = self._settings.start_delay.total_seconds()
        # Not a secret: jitter.
        return self._began + delay * (1 + random.uniform(0, _JITTER))  # noqa: S311

    def _is_told_to_stop(self) -> bool:
        try:
            self._stop.get(timeout=_TICK)
        except Empty:
            return False
        return True

    def seconds_to_due(self) -> float:
        """Return what is left of the period since the last run's end, whoever ran it.

        A dry run is none: asked for often enough, it would put the collection off for ever. Neither
        is one that ended in the future: the clock was wrong then.
        """
        now = datetime.now(UTC)
        ends = [self.runs.collected] if self.runs.collected else []
        if report := self.stored_report():
            with suppress(KeyError, ValueError, TypeError):
                ends.append(datetime.fromisoformat(report["finished"]).astimezone(UTC))
        since = min((now - end for end in ends if end <= now), default=None)
        if since is None:
            return 0.0
        return max(0.0, (self._settings.period - since).total_seconds())

    def _end(self, server: BaseWSGIServer) -> None:
        log.info("stopping")
        self.runs.stop(self._settings.stop_timeout.total_seconds())
        self.registration.withdraw()
        server.close()

    def _caches_in_memory(self) -> bool:
        with suppress(CollectorError):
            return self._registry_config().cache == "inmemory"
        return True  # not known, so it may

    def _registry_config(self) -> RegistryConfig:
        return configuration_in_use(self._settings.config, self._settings.environment)

    def _store(self) -> FileStore | None:
        config = self._registry_config()
        return FileStore(config.root) if config.driver == "filesystem" else None


def serve(settings: SidecarSettings) -> int:
    """Run the sidecar until SIGTERM; return its exit code."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    return Sidecar(settings).serve()
