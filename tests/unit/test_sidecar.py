"""The sidecar: who may ask it, when it may begin, and that one failure is not its last run."""

import io
import json
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from registry_gc.options import CollectOptions, duration
from registry_gc.run import Run
from registry_gc.sidecar import Sidecar, SidecarSettings
from support.store import StoreBuilder
from support.waiting import until

TOKEN = "a-token"
_COLLECTOR = """
import json, sys
print(json.dumps({"run": "r", "arguments": sys.argv[1:]}) if sys.argv[1] != "recover" else "")
"""


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path / "store")


@pytest.fixture
def settings(store: StoreBuilder, tmp_path: Path) -> SidecarSettings:
    config = tmp_path / "config.yml"
    config.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {store.root}}}}}\n")
    collector = tmp_path / "collector.py"
    collector.write_text(_COLLECTOR)
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    return SidecarSettings(
        config,
        {},
        memory_start_delay=timedelta(hours=1),
        token_file=token,
        command=(sys.executable, str(collector)),
    )


def ask(
    sidecar: Sidecar, method: str, path: str, body: bytes = b"", authorization: str = ""
) -> tuple[int, Any]:
    status: list[str] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "HTTP_AUTHORIZATION": authorization,
        "wsgi.input": io.BytesIO(body),
    }
    answer = sidecar.application(environ, lambda line, _headers: status.append(line))
    return int(status[0].split()[0]), json.loads(b"".join(answer))


class TestWhoMayAsk:
    @pytest.mark.parametrize(
        "given",
        ["", "Bearer", "Bearer ", "Bearer a-toke", "Bearer a-token2", "Bearer \xff", "Basic x", "a-token"],
    )
    @pytest.mark.parametrize(("method", "path"), [("POST", "/collect"), ("GET", "/status")])
    def test_nobody_without_the_token(
        self, settings: SidecarSettings, method: str, path: str, given: str
    ) -> None:
        status, answer = ask(Sidecar(settings), method, path, authorization=given)

        assert status == 401
        assert TOKEN not in json.dumps(answer)

    @pytest.mark.parametrize("content", [b"", b" \n"])
    def test_an_empty_token_lets_nobody_in(self, settings: SidecarSettings, content: bytes) -> None:
        """Seen to fail: compare with the empty token."""
        settings.token_file.write_bytes(content)

        assert ask(Sidecar(settings), "GET", "/status", authorization="Bearer ")[0] == 503

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/"), ("GET", "/collect"), ("PUT", "/healthz")]
    )
    def test_there_is_nothing_else(self, settings: SidecarSettings, method: str, path: str) -> None:
        assert ask(Sidecar(settings), method, path)[0] == 404

    @pytest.mark.parametrize(
        "body", [b"[]", b"{", b'{"dryRun": 1}', b'{"other": true}', b"\xff", b"[" * 60_000]
    )
    def test_what_is_no_request_is_refused(self, settings: SidecarSettings, body: bytes) -> None:
        """Seen to fail: let the RecursionError out."""
        sidecar = Sidecar(settings)

        assert ask(sidecar, "POST", "/collect", body, f"Bearer {TOKEN}")[0] == 400
        assert sidecar.runs.current is None


class TestWhenItMayBegin:
    def test_at_once_on_a_new_store(self, settings: SidecarSettings) -> None:
        assert Sidecar(settings).seconds_to_wait() == 0

    def test_attack_3_later_where_another_registry_may_still_serve(
        self, settings: SidecarSettings, store: StoreBuilder
    ) -> None:
        """The new configuration has no cache; what the old pod has in memory is not known.

        Seen to fail: ask for the new configuration alone.
        """
        store.image("app", "v1")

        status, answer = ask(Sidecar(settings), "POST", "/collect", authorization=f"Bearer {TOKEN}")

        assert status == 503
        assert 3500 < answer["retryAfter"] <= 3600

    def test_at_once_after_a_collection_that_found_no_cache(
        self, settings: SidecarSettings, store: StoreBuilder
    ) -> None:
        store.image("app", "v1")
        Run(settings.config, CollectOptions(settle_period=duration("0")), {}).collect()

        assert Sidecar(settings).seconds_to_wait() == 0

    def test_later_where_the_registry_caches_in_memory(self, settings: SidecarSettings) -> None:
        text = settings.config.read_text()
        settings.config.write_text(
            text.replace("storage: {", "storage: {cache: {blobdescriptor: inmemory}, ")
        )

        assert Sidecar(settings).seconds_to_wait() > 3500


class TestOneFailureIsNotTheLastRun:
    def collect(self, sidecar: Sidecar) -> Any:
        status, _ = ask(sidecar, "POST", "/collect", authorization=f"Bearer {TOKEN}")
        assert status == 202
        until(lambda: sidecar.runs.current is None, what="the run has ended")
        return ask(sidecar, "GET", "/status", authorization=f"Bearer {TOKEN}")[1]

    def test_whatever_goes_wrong(
        self, settings: SidecarSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Seen to fail: catch the OSError alone; then every later request joins a dead run."""
        sidecar = Sidecar(settings)

        def broken(_run: object) -> Any:
            raise MemoryError("no memory")

        with monkeypatch.context() as patch:
            patch.setattr(type(sidecar.runs), "_run_child", lambda _self, run: broken(run))
            failed = self.collect(sidecar)
        assert (failed["state"], failed["exitCode"]) == ("done", 5)
        assert failed["report"]["error"] == "no memory"

        assert self.collect(sidecar)["exitCode"] == 0

    def test_no_thread_to_be_had(
        self, settings: SidecarSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Seen to fail: set `current` before the thread runs."""
        sidecar = Sidecar(settings)

        def full(_self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", full)
            status, answer = ask(sidecar, "POST", "/collect", authorization=f"Bearer {TOKEN}")
        assert (status, answer["retryAfter"]) == (503, 15)

        assert self.collect(sidecar)["exitCode"] == 0
