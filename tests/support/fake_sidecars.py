"""The sidecar's own HTTP at several loopback addresses, over a collector that obeys a test."""

import io
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from registry_gc.sidecar_http import Application
from registry_gc.sidecar_runs import Answer, Runs

TOKEN = "the-token-of-this-test"

# Acts as `collect CONFIG --output json`; while the file HOLD is there it goes on.
_COLLECTOR = """
import json, os, sys, time
while os.path.exists(os.environ["HOLD"]):
    time.sleep(0.01)
code = int(os.environ["CODE"])
print(json.dumps({"run": os.environ["GC_RUN_ID"], "outcome": "done",
                  "problems": ["a problem on purpose"] if code == 1 else []}))
sys.exit(code)
"""


class _Server(ThreadingMixIn, WSGIServer):
    """As the real one it answers several at once: a client that was ended may hold a connection."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any, **__: Any) -> None:
        """Say nothing: the base class writes each request to standard error."""


@dataclass
class Volume:
    """A store that replicas share; `begun` has the pod's address of each collection of it."""

    name: str = "a-store"
    begun: list[str] = field(default_factory=list)
    report: Mapping[str, Any] | None = None


# What a sidecar says of a registry that runs and takes pushes.
REGISTRY: Mapping[str, Any] = {
    "restarting": False,
    "error": "",
    "identity": "boot/1/1",
    "answers": True,
    "readOnly": False,
    "readOnlyAlways": False,
    "pullThrough": False,
    "certificate": "",
}


@dataclass
class FakeSidecar:
    """A pod's sidecar on a volume; `waits` are the seconds that it refuses to begin for, in turn.

    `code` is its collector's exit code; while `hold` exists the collector goes on. `restarts` has
    what each restart of its registry was asked for, after which its `state` has what is `resolved`
    then; `refusals` come first.
    """

    folder: Path
    port: int
    address: str = "127.0.0.1"
    volume: Volume = field(default_factory=Volume)
    code: int = 0
    waits: list[float] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=lambda: dict(REGISTRY))
    refusals: list[Answer] = field(default_factory=list)
    restarts: list[Any] = field(default_factory=list)
    resolved: Callable[[], Mapping[str, Any]] = dict
    _server: WSGIServer | None = None
    _thread: Thread | None = None

    def __post_init__(self) -> None:
        collector = self.folder / "collector.py"
        collector.write_text(_COLLECTOR)
        self.token_file.write_text(f"{TOKEN}\n")
        self.runs = Runs(
            (sys.executable, str(collector)),
            self.folder / "config.yml",
            {"HOLD": str(self.hold), "CODE": str(self.code)},
            delay=lambda: self.waits.pop(0) if self.waits else 0.0,
        )
        self.application = Application(
            self.runs,
            self.token_file,
            stored=self._stored,
            store_id=self._store_id,
            restart=self._restart,
            registry=self._registry,
        )

    @property
    def hold(self) -> Path:
        return self.folder / f"hold-{self.address}"

    @property
    def token_file(self) -> Path:
        return self.folder / f"token-{self.address}"

    def listen(self) -> None:
        """Accept connections; a second time it is at the same address."""
        self._server = make_server(
            self.address, self.port, self._answer, server_class=_Server, handler_class=_Quiet
        )
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def vanish(self) -> None:
        """Refuse every connection from now on; what it collects goes on."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # Waitress gives an application the body and no more; this server gives it the connection.
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        before = self.runs.current, self.runs.last
        answer = self.application(environ, start_response)
        if environ["REQUEST_METHOD"] == "POST" and (self.runs.current, self.runs.last) != before:
            self.volume.begun.append(self.address)
        return answer

    def _restart(self, content: bytes) -> Answer:
        if self.refusals:
            return self.refusals.pop(0)
        asked = json.loads(content)
        if asked.items() <= self.state.items():
            return Answer(200, {"restarting": False})
        self.restarts.append(asked)
        self.state |= {"identity": f"boot/{len(self.restarts) + 1}/1", **self.resolved()}
        return Answer(202, {"restarting": True})

    def _registry(self) -> Mapping[str, Any]:
        return self.state

    def _stored(self) -> Mapping[str, Any] | None:
        return self.volume.report

    def _store_id(self) -> str:
        """Name the store as the collector does: from its first collection on."""
        if self.runs.last is not None:
            self.volume.report = self.runs.last.report
        return self.volume.name if self.volume.report else ""
