"""A real `registry serve` on loopback, and something that starts it again as the kubelet would."""

import functools
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from registry_gc.addresses import Address
from registry_gc.health import served_certificate
from support.checkout import clean_environment, tool
from support.client import Client, Refused
from support.run import run
from support.waiting import until


@functools.cache
def registry_binary(version: str = "3.1.1") -> Path:
    """Return the registry's program, which is built on first use.

    REGISTRY_BINARY (or REGISTRY_BINARY_2_8, _3_0) names one that is there already.
    """
    name, variable = {
        "3.1.1": ("registry", "REGISTRY_BINARY"),
        "3.0": ("registry-3.0", "REGISTRY_BINARY_3_0"),
        "2.8": ("registry-2.8", "REGISTRY_BINARY_2_8"),
    }[version]
    if given := os.environ.get(variable):
        return Path(given)
    return tool(name)


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class RegistryProcess:
    """One registry over the store in `folder`; starts when entered and stops when left.

    With `supervised` it is started again on the same port whenever it ends, until `stop`;
    `comes_back` turned off makes it stay away. `starts` counts all starts. With `started` false,
    entering only writes the configuration.
    """

    folder: Path
    cache: Literal["none", "inmemory"] = "none"
    delete_enabled: bool = True
    drain_timeout: str = "5s"
    supervised: bool = False
    started: bool = True
    version: str = "3.1.1"
    environment: Mapping[str, str] = field(default_factory=dict)
    configuration: str = ""  # a whole file instead of the one that the options make
    serves: "RegistryProcess | None" = None  # another one's configuration: its second replica
    shared_store: Path | None = None  # where another pod's registry has its store too
    port: int = field(default_factory=free_port)
    comes_back: bool = True
    tls: bool = False  # whether its environment has it speak TLS; no client of ours does
    starts: int = 0
    _clients: list[Client] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _supervisor: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def root(self) -> Path:
        """Return the root directory, whose store lies below `docker/registry/v2`."""
        if self.shared_store:
            return self.shared_store
        return self.serves.root if self.serves else self.folder / "store"

    @property
    def v2(self) -> Path:
        """Return what all paths of the store are relative to."""
        return self.root / "docker/registry/v2"

    @property
    def config_path(self) -> Path:
        """Return the configuration file that it serves."""
        return self.serves.config_path if self.serves else self.folder / "config.yml"

    @property
    def log_path(self) -> Path:
        """Return the log of all its starts."""
        return self.folder / "registry.log"

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def deletes_tags(self) -> bool:
        """Whether its API deletes a tag without its manifest."""
        return self.version != "2.8"

    @property
    def pid(self) -> int:
        """Return the number of the process that runs now."""
        assert self._process is not None, "the registry was never started"
        return self._process.pid

    def client(self, **settings: object) -> Client:
        """Return a new client, for one thread; it is closed with the registry."""
        client = Client(self.url, **settings)  # type: ignore[arg-type]  # fields of Client
        self._clients.append(client)
        return client

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.serves:
            self.config_path.write_text(self.configuration or self._configuration())
        if self.started:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        for client in self._clients:
            client.close()
        if error is not None:
            error.add_note(f"--- the registry's log ({self.starts} starts)\n{self.log()}")

    def log(self) -> str:
        """Return the end of the log, for people, without the answers "not found"."""
        if not self.log_path.exists():
            return ""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join([line for line in lines if "http.response.status=404" not in line][-40:])

    def start(self) -> None:
        """Start it and wait until it answers. Raises AssertionError if it ends or never does."""
        self._stopping.clear()
        self._spawn()
        if self.supervised:
            self._supervisor = threading.Thread(target=self._supervise, daemon=True)
            self._supervisor.start()
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        """Wait for an answer on `/v2/`, which may be that one must log in."""
        until(self._answers, what=f"{self.config_path} answers")

    def stop(self) -> None:
        """End it and its supervisor, and wait for both."""
        self._stopping.set()
        self._end(signal.SIGTERM)
        if self._supervisor is not None:
            self._supervisor.join(30)
            self._supervisor = None
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does; a supervisor starts it again."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """End this process and wait until another one answers."""
        if not self.supervised:
            self.stop()
            self.start()
            return
        before = self.starts
        self._end(signal.SIGTERM)
        until(lambda: self.starts > before, what="the registry is started again")
        self.wait_until_it_answers()

    def garbage_collect(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """Run the registry's own collection over the same store, beside the running process."""
        return run(
            registry_binary(self.version),
            "garbage-collect",
            *flags,
            self.config_path,
            env=self._environment(),
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        return {"OTEL_TRACES_EXPORTER": "none", **self.environment}

    def _configuration(self) -> str:
        cache = "  cache: {blobdescriptor: inmemory}\n" if self.cache == "inmemory" else ""
        drain = f"  draintimeout: {self.drain_timeout}\n" if self.drain_timeout else ""
        return (
            "version: 0.1\n"
            "log: {level: warn, accesslog: {disabled: true}}\n"
            "storage:\n"
            f"  filesystem: {{rootdirectory: {self.root}}}\n"
            f"  delete: {{enabled: {str(self.delete_enabled).lower()}}}\n"
            # It would begin after a random time of up to an hour, and remove what a test has aged.
            "  maintenance: {uploadpurging: {enabled: false}}\n"
            f"{cache}"
            "http:\n"
            f"  addr: 127.0.0.1:{self.port}\n"
            "  secret: the-same-at-every-start\n"  # else an upload does not outlive a restart
            f"{drain}"
        )

    def _spawn(self) -> None:
        with self._lock, self.log_path.open("ab") as log:
            if self._stopping.is_set():
                return
            self._process = subprocess.Popen(
                [registry_binary(self.version), "serve", self.config_path],
                env={**clean_environment(), **self._environment()},
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
            self.starts += 1

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            assert process is not None
            process.wait()
            # The kubelet does not wait before the first restart, and this one never does.
            if self.comes_back and not self._stopping.is_set():
                self._spawn()
            else:
                self._stopping.wait(0.05)

    def _end(self, number: signal.Signals) -> None:
        with self._lock:
            process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        process = self._process
        if process is not None and process.poll() is not None and not self.supervised:
            raise AssertionError(f"the registry ended with {process.returncode}:\n{self.log()}")
        if self.tls:
            return bool(served_certificate(Address("127.0.0.1", self.port)))
        client = Client(self.url, timeout=5)
        try:
            return client.request("GET", "/v2/").status in (200, 401)
        except Refused:
            return False
        finally:
            client.close()


def copy_store(source: Path, target: Path) -> Path:
    """Copy a root directory with its times, so that two collectors meet the same store."""
    shutil.copytree(source, target, symlinks=True)
    return target
