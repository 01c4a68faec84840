"""The sidecar's HTTP: POST /collect, GET /status; POST /restart, GET /registry; GET /healthz.

Everything but /healthz needs the bearer token, a file that is read at each request.
"""

import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from registry_gc.sidecar_runs import Answer, Run, Runs

LARGEST_BODY = 64 * 1024  # bytes

_REQUESTS = "POST /collect, GET /status, POST /restart, GET /registry, GET /healthz"

_StartResponse = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True, slots=True)
class Application:
    """A WSGI application. `stored` returns the report that lies in the store, None if none does;
    `store_id` the store's name. `restart` takes a body, `registry` says what the registry is."""

    runs: Runs
    token_file: Path
    stored: Callable[[], Mapping[str, Any] | None]
    store_id: Callable[[], str]
    restart: Callable[[bytes], Answer]
    registry: Callable[[], Mapping[str, object]]

    def __call__(
        self, environ: Mapping[str, Any], start_response: _StartResponse
    ) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        answer = self._answer(environ)
        body = json.dumps(answer.body).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [body]

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        match environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""):
            case "GET", "/healthz":
                return Answer(200, {"ok": True})
            case "POST", "/collect":
                return self._refusal(environ) or self._collect(environ)
            case "GET", "/status":
                return self._refusal(environ) or self._status(environ)
            case "POST", "/restart":
                return self._refusal(environ) or self.restart(_body(environ))
            case "GET", "/registry":
                return self._refusal(environ) or Answer(200, self.registry())
            case _:
                return Answer(404, {"error": f"there are {_REQUESTS}"})

    def _refusal(self, environ: Mapping[str, Any]) -> Answer | None:
        try:
            token = self.token_file.read_bytes().strip()
        except OSError as error:
            return Answer(503, {"error": f"the token cannot be read: {error.strerror}"})
        if not token:
            return Answer(503, {"error": "the token's file is empty, so nobody is let in"})
        scheme, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        same = hmac.compare_digest(given.strip().encode("latin-1", errors="replace"), token)
        if scheme.lower() != "bearer" or not same:
            return Answer(401, {"error": "the token is missing or is not this release's"})
        return None

    def _collect(self, environ: Mapping[str, Any]) -> Answer:
        try:
            content = _body(environ)
            asked = json.loads(content) if content else {}
            dry_run, read_only = asked.get("dryRun", False), asked.get("readOnly", False)
        except (ValueError, AttributeError, RecursionError):
            return Answer(400, {"error": 'the body is not a JSON object such as {"dryRun": true}'})
        options = {"dryRun", "readOnly"}
        if not isinstance(dry_run, bool) or not isinstance(read_only, bool) or set(asked) - options:
            return Answer(400, {"error": "the options are dryRun and readOnly, true or false"})
        return self.runs.request(dry_run=dry_run, read_only=read_only)

    def _status(self, environ: Mapping[str, Any]) -> Answer:
        wanted = parse_qs(environ.get("QUERY_STRING", "")).get("run", [""])[0]
        for run in (self.runs.current, self.runs.last):
            if run is not None and wanted in ("", run.name):
                return Answer(200, self._told(run))
        if wanted and wanted == self.runs.elsewhere():
            return Answer(200, self._told(Run(wanted, dry_run=False)))
        report = self.stored()
        if report is not None and (name := report.get("run")) and wanted in ("", name):
            done = Run(str(name), dry_run=False)
            done.exit_code, done.report = int(report.get("exitCode", 0)), report
            return Answer(200, self._told(done))
        return Answer(404, {"error": f"no run {wanted}" if wanted else "nothing was collected yet"})

    def _told(self, run: Run) -> Mapping[str, object]:
        phase = self.runs.phase() if run is self.runs.current else "runs in another replica"
        code = run.exit_code  # once, because the run may end while this is written
        return {
            "run": run.name,
            "state": "running" if code is None else "done",
            "phase": phase if code is None else "done",
            "exitCode": code,
            "readOnly": run.read_only,
            "report": run.report,
            "store": self.store_id(),
        }


def _body(environ: Mapping[str, Any]) -> bytes:
    content: bytes = environ["wsgi.input"].read(LARGEST_BODY)
    return content
