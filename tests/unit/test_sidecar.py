"""The sidecar: who may ask it, when it may begin, and that one failure is not its last run."""

import io
import json
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry_gc import records
from registry_gc.errors import ConfigurationError
from registry_gc.options import CollectOptions, duration
from registry_gc.run import Run
from registry_gc.sidecar import Sidecar, SidecarSettings
from registry_gc.storage import FileStore
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
        [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a-toke",
            "Bearer a-token2",
            "Bearer \xff",
            "Basic x",
            "a-token",
        ],
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


class TestThePeriod:
    @pytest.fixture
    def sidecar(self, settings: SidecarSettings) -> Sidecar:
        return Sidecar(replace(settings, period=timedelta(hours=1)))

    def ended(self, store: StoreBuilder, minutes_ago: int) -> None:
        finished = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        records.write_last_report(
            FileStore(str(store.root)), {"run": "r", "finished": finished.isoformat()}
        )

    def test_the_first_is_due_at_once(self, sidecar: Sidecar) -> None:
        assert sidecar.seconds_to_due() == 0

    def test_it_counts_from_the_last_end_however_often_the_sidecar_starts(
        self, sidecar: Sidecar, store: StoreBuilder
    ) -> None:
        """Seen to fail: count from the runs of this process alone."""
        self.ended(store, minutes_ago=50)
        assert 590 < sidecar.seconds_to_due() <= 600

        self.ended(store, minutes_ago=60)
        assert sidecar.seconds_to_due() == 0

    def test_a_run_without_a_report_counts_too(self, sidecar: Sidecar) -> None:
        """A run that failed leaves none in the store. Seen to fail: read the store's alone."""
        sidecar.runs.collected = datetime.now(UTC)

        assert sidecar.seconds_to_due() > 3590

    def test_a_dry_run_puts_nothing_off(self, settings: SidecarSettings) -> None:
        """Seen to fail: take the end of any run."""
        sidecar = Sidecar(replace(settings, period=timedelta(hours=1)))
        status, _ = ask(sidecar, "POST", "/collect", b'{"dryRun": true}', f"Bearer {TOKEN}")
        until(lambda: sidecar.runs.last, what="the dry run has ended")

        assert status == 202
        assert sidecar.seconds_to_due() == 0

    def test_a_clock_that_was_ahead_puts_nothing_off(
        self, sidecar: Sidecar, store: StoreBuilder
    ) -> None:
        """Seen to fail: take the latest end, be it tomorrow's."""
        self.ended(store, minutes_ago=-24 * 60)

        assert sidecar.seconds_to_due() == 0

    @pytest.mark.parametrize("content", [b"[]", b'{"finished": 1}', b'{"finished": "x"}', b"{}"])
    def test_a_strange_report_puts_nothing_off(
        self, sidecar: Sidecar, store: StoreBuilder, content: bytes
    ) -> None:
        FileStore(str(store.root)).write("docker/registry-gc/reports/last.json", content)

        assert sidecar.seconds_to_due() == 0

    def test_the_first_one_waits_for_the_start_delay_and_at_most_a_tenth_more(
        self, settings: SidecarSettings
    ) -> None:
        """Seen to fail: a jitter of 0, and one of 0.2."""
        before = time.monotonic()
        sidecar = Sidecar(replace(settings, start_delay=timedelta(seconds=1000)))
        after = time.monotonic()
        times = [sidecar.first_period() for _ in range(1000)]

        assert before + 1000 <= min(times) < after + 1010
        assert before + 1090 < max(times) <= after + 1100


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "period"),
        [("", 0), ("0", 0), ("90", 90), ("90s", 90), ("24h", 86400)],
    )
    def test_a_period_may_be_bare_seconds(self, text: str, period: int) -> None:
        settings = SidecarSettings.from_environment({"GC_PERIOD": text}, Path("config.yml"))

        assert settings.period == timedelta(seconds=period)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("GC_PERIOD", "daily"),
            ("GC_PERIOD", "-1"),
            ("GC_START_DELAY", "60"),
            ("GC_PORT", "0"),
            ("GC_PORT", "65536"),
            ("GC_PORT", "²"),
        ],
    )
    def test_a_wrong_value_is_named(self, name: str, value: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            SidecarSettings.from_environment({name: value}, Path("config.yml"))

        assert raised.value.what.startswith(f"{name}: ")
        assert repr(value) in raised.value.what
