"""The sidecar's HTTP on a real server, over a collector that does what the test tells it."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_gc import records
from registry_gc.sidecar_http import LARGEST_BODY
from registry_gc.storage import FileStore
from support.sidecar_process import TOKEN, SidecarProcess, sidecar_process
from support.store import StoreBuilder, write_configuration
from support.waiting import until


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_configuration(tmp_path / "config.yml", tmp_path / "store")


@pytest.fixture
def sidecar(config: Path, tmp_path: Path) -> Iterator[SidecarProcess]:
    with sidecar_process(config, tmp_path / "sidecar") as running:
        yield running


class TestOneRunAtATime:
    def test_the_same_request_joins_and_another_is_refused(self, sidecar: SidecarProcess) -> None:
        """Seen to fail: forget `dry_run` in the comparison of `Runs.request`."""
        sidecar.tell("hold")
        begun, first = sidecar.collect(b"{}")
        joined, second = sidecar.collect()
        refused, third = sidecar.collect(b'{"dryRun": true}')

        assert (begun, joined, refused) == (202, 200, 409)
        assert first["run"] == second["run"] == third["run"]
        assert "other options" in third["error"]

    def test_many_requests_at_once_start_one_run(self, sidecar: SidecarProcess) -> None:
        """Seen to fail: do without the lock in `Runs.request`."""
        sidecar.tell("hold")
        answers: list[int] = []
        askers = [
            threading.Thread(target=lambda: answers.append(sidecar.collect()[0])) for _ in range(12)
        ]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()

        until(lambda: sidecar.calls("collect"), what="the collector was called")
        assert sorted(answers) == [200] * 11 + [202]
        assert len(sidecar.calls("collect")) == 1

    def test_a_dry_run_plans(self, sidecar: SidecarProcess) -> None:
        _, answer = sidecar.collect(b'{"dryRun": true}')
        sidecar.ended(answer["run"])

        assert [call["verb"] for call in sidecar.calls()] == ["recover", "plan"]


class TestReadOnly:
    def test_such_a_run_is_one_with_other_options(self, sidecar: SidecarProcess) -> None:
        """It waits for nobody, so nobody else's run may be joined. Seen to fail: compare dryRun."""
        sidecar.tell("hold")
        _, first = sidecar.collect()
        refused, second = sidecar.collect(b'{"readOnly": true}')

        assert (refused, second["run"]) == (409, first["run"])

    def test_its_collector_is_told(self, sidecar: SidecarProcess) -> None:
        """Seen to fail: forget the variable; hand it to every run after it."""
        sidecar.tell("hold")
        _, first = sidecar.collect(b'{"readOnly": true}')
        joined, _ = sidecar.collect(b'{"readOnly": true}')
        running = sidecar.status()[1]["readOnly"]
        (sidecar.folder / "hold").unlink()
        sidecar.ended(first["run"])
        sidecar.ended(sidecar.collect()[1]["run"])

        assert (joined, running) == (200, True)
        assert [call["readOnly"] for call in sidecar.calls("collect")] == ["true", ""]

    @pytest.mark.parametrize("body", [b'{"readOnly": 1}', b'{"readonly": true}'])
    def test_nonsense_begins_nothing(self, sidecar: SidecarProcess, body: bytes) -> None:
        assert sidecar.collect(body)[0] == 400


class TestRegistry:
    def test_without_one_it_asks_for_patience(self, sidecar: SidecarProcess) -> None:
        code, answer = sidecar.ask("POST", "/restart", b'{"readOnly": true}')

        assert (code, answer["retryAfter"]) == (503, 5)
        assert sidecar.ask("GET", "/registry")[1]["readOnly"] is None

    @pytest.mark.parametrize(("method", "path"), [("POST", "/restart"), ("GET", "/registry")])
    def test_the_token_is_needed(self, sidecar: SidecarProcess, method: str, path: str) -> None:
        """Anybody in the cluster could end the registry. Seen to fail: do without it."""
        assert sidecar.ask(method, path, b"{}", token="another")[0] == 401

    def test_nonsense(self, sidecar: SidecarProcess) -> None:
        assert sidecar.ask("POST", "/restart", b'{"force": true}')[0] == 400


class TestStatus:
    def test_a_run_has_its_phase_and_then_its_report(self, sidecar: SidecarProcess) -> None:
        """Seen to fail: do not read the progress; give no report."""
        sidecar.tell("hold")
        sidecar.tell("ending", "4")
        _, answer = sidecar.collect()
        name = answer["run"]
        until(lambda: sidecar.status(name)[1]["phase"] == "settle", what="the phase is known")
        code, running = sidecar.status()
        (sidecar.folder / "hold").unlink()
        done = sidecar.ended(name)

        assert (code, running["run"], running["state"]) == (200, name, "running")
        assert (running["exitCode"], running["report"]) == (None, None)
        assert (done["phase"], done["exitCode"]) == ("done", 4)
        assert done["report"]["run"] == name

    def test_an_unknown_run_is_not_found(self, sidecar: SidecarProcess) -> None:
        nothing, none = sidecar.status()
        unknown, other = sidecar.status("another")

        assert (nothing, none["error"]) == (404, "nothing was collected yet")
        assert (unknown, other["error"]) == (404, "no run another")

    def test_the_last_report_outlives_the_sidecar_that_ran_it(
        self, sidecar: SidecarProcess, tmp_path: Path
    ) -> None:
        """Seen to fail: answer from this process's runs alone; give exit code 0."""
        store = FileStore(str(tmp_path / "store"))
        records.write_last_report(store, {"run": "of-before", "exitCode": 1, "error": None})
        records.name_store(store)

        code, last = sidecar.status()

        assert sidecar.status("of-before") == (code, last)
        assert (code, last["run"], last["state"], last["exitCode"]) == (200, "of-before", "done", 1)
        assert last["store"] == records.store_id(store) != ""

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"exitCode": 0}'])
    def test_a_damaged_report_is_no_report(
        self, sidecar: SidecarProcess, tmp_path: Path, content: bytes
    ) -> None:
        """Seen to fail: take `report["run"]`, which is a traceback and a 500."""
        FileStore(str(tmp_path / "store")).write("docker/registry-gc/reports/last.json", content)

        assert sidecar.status()[0] == 404


class TestTheServer:
    def test_the_token_is_read_at_each_request(self, sidecar: SidecarProcess) -> None:
        """Seen to fail: read the file once, at the start."""
        assert sidecar.status()[0] == 404
        sidecar.tell("token", "another")
        assert sidecar.status()[0] == 401
        assert sidecar.ask("GET", "/status", token="another")[0] == 404
        (sidecar.folder / "token").unlink()
        code, answer = sidecar.status()

        assert (code, answer["error"]) == (
            503,
            "the token cannot be read: No such file or directory",
        )

    def test_a_body_has_a_limit(self, sidecar: SidecarProcess) -> None:
        """Seen to fail: leave waitress its 1 GiB."""
        connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=20)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        connection.request("POST", "/collect", b" " * (LARGEST_BODY + 1), headers)

        assert connection.getresponse().status == 413
        assert sidecar.calls("collect") == []

    def test_it_waits_while_another_registry_may_serve(self, config: Path, tmp_path: Path) -> None:
        StoreBuilder(tmp_path / "store").image("app", "v1")
        with sidecar_process(
            config, tmp_path / "sidecar", {"GC_MEMORY_START_DELAY": "10m"}
        ) as sidecar:
            code, answer = sidecar.collect()

            assert code == 503
            assert 500 < answer["retryAfter"] <= 600
            assert sidecar.calls("collect") == []

    def test_the_token_is_never_logged(self, sidecar: SidecarProcess) -> None:
        """Seen to fail: log the request's headers."""
        sidecar.ended(sidecar.collect()[1]["run"])
        sidecar.ask("GET", "/nothing", token=f"{TOKEN}-and-more")
        sidecar.collect(b"{")
        sidecar.terminate()

        assert "exit code 0" in sidecar.log()
        assert TOKEN not in sidecar.log()
