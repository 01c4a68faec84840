"""A process that looks like a registry from outside: its arguments, its environment, its answer.

Python runs a file called `serve` with the configuration as its argument, so the process's
arguments are `<program> serve <configuration>`, as the registry's are.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from support.registry_process import free_port
from support.waiting import until

_PROGRAM = """
import http.server, os, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(os.environ.get("STATUS", "200")))
        self.end_headers()
    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        variable = os.environ.get("REGISTRY_STORAGE_MAINTENANCE_READONLY", "")
        refuses = 405 if "true" in variable else 400
        self.send_response(int(os.environ.get("PUT_STATUS", refuses)))
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.handle_error = lambda *_: None
if os.environ.get("CERTIFICATE"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["CERTIFICATE"])
    # The handshake in the connection's own thread: one that says nothing must not keep the others.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
server.serve_forever()
"""


@dataclass
class FakeRegistry:
    """One such process below `folder`, started again when it ends if `supervised`.

    `arguments` replaces what follows `serve`; `environment` is that of the next start. With a
    `certificate` (a file with its key) it speaks TLS; `more` is added to the configuration.
    """

    folder: Path
    supervised: bool = False
    arguments: list[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    cache: str = "inmemory"
    certificate: Path | None = None
    more: str = ""
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _ending: threading.Event = field(default_factory=threading.Event)
    _supervisor: threading.Thread | None = None

    @property
    def config_path(self) -> Path:
        return self.folder / "config.yml"

    @property
    def root(self) -> Path:
        return self.folder / "store"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def write_config(self) -> None:
        cache = f"  cache: {{blobdescriptor: {self.cache}}}\n" if self.cache else ""
        self.config_path.write_text(
            f"version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {self.root}}}\n{cache}"
            f"http: {{addr: '127.0.0.1:{self.port}', draintimeout: 1s{self._tls}}}\n{self.more}"
        )

    @property
    def _tls(self) -> str:
        at = self.certificate
        return f", tls: {{certificate: {at}, key: {at}}}" if at else ""

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_config()
        os.utime(self.config_path, (1, 1))  # long before any process's start
        (self.folder / "serve").write_text(_PROGRAM)
        self.start()
        if self.supervised:
            self._supervisor = threading.Thread(target=self._supervise)
            self._supervisor.start()
        return self

    def start(self) -> None:
        named = [str(self.config_path)] if self.arguments is None else self.arguments
        self.starts += 1
        self._process = subprocess.Popen(
            [sys.executable, "serve", *named],
            cwd=self.folder,
            env={
                **os.environ,
                "PORT": str(self.port),
                "CERTIFICATE": str(self.certificate or ""),
                **self.environment,
            },
        )
        until(self._is_there, what="the process has its arguments")

    def _is_there(self) -> bool:
        if self._process and self._process.poll() is not None:
            return True  # and has been ended already
        try:
            return b"serve" in Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except ProcessLookupError:
            return True  # just now

    def _supervise(self) -> None:
        while not self._ending.is_set():
            assert self._process
            self._process.wait()
            if not self._ending.is_set():
                self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        if self._process:
            self._process.kill()
            self._process.wait()
        if self._supervisor:
            self._supervisor.join()
