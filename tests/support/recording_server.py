"""An HTTP server on loopback that notes what it is asked, for clients that only have to begin."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """One request: its path with the query, and its headers by names in small letters."""

    path: str
    headers: dict[str, str]


@dataclass
class Recorder:
    """`answers` are bodies of JSON by the beginning of a path; everything else is not found."""

    port: int
    answers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def recording_server(answers: dict[str, str] | None = None) -> Iterator[Recorder]:
    """Serve until left."""
    recorder = Recorder(0, answers or {})

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            headers = {name.lower(): text for name, text in self.headers.items()}
            recorder.asked.append(Asked(self.path, headers))
            body = next((b for p, b in recorder.answers.items() if self.path.startswith(p)), None)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Length", str(len(body or "")))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write((body or "").encode())

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
