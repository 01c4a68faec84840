"""A sidecar that starts its registry anew when asked: over processes that look like registries."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry_gc import registry_control
from registry_gc.certificates import Held, Terms, renewed
from registry_gc.health import first_fingerprint
from registry_gc.registry_config import load
from registry_gc.registry_control import RegistryControl, is_busy
from registry_gc.registry_http import answers
from registry_gc.sidecar_runs import Run, Runs
from support.fake_registry import FakeRegistry
from support.waiting import until

READ_ONLY = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled":true}'}
ON, OFF = b'{"readOnly": true}', b'{"readOnly": false}'


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[tuple[FakeRegistry, RegistryControl]]:
    """A registry that answers and is started again when it ends, and its control."""
    with FakeRegistry(folder, supervised=True, **settings) as registry:
        runs = Runs(["collector"], registry.config_path, {})
        control = RegistryControl(registry.config_path, {}, runs, lambda _seconds: None, look=0.02)
        until(lambda: answers(load(registry.config_path, {})), what="it answers")
        yield registry, control
        until(lambda: not control.state()["restarting"], what="no restart goes on")


def ended(control: RegistryControl) -> dict[str, Any]:
    """Return the state once the restart is over."""
    until(lambda: not control.state()["restarting"], what="the restart is over")
    return dict(control.state())


class TestReadOnly:
    def test_on_and_off(self, tmp_path: Path) -> None:
        """What it is after a restart is what its variables are then, and that is probed.

        Seen to fail: answer what was asked for.
        """
        with running(tmp_path) as (registry, control):
            before = control.state()
            registry.environment = READ_ONLY
            asked = control.request(ON)
            on = ended(control)
            registry.environment = {}
            control.request(OFF)
            off = ended(control)

            assert (asked.status, registry.starts) == (202, 3)
        assert [each["readOnly"] for each in (before, on, off)] == [False, True, False]
        assert len({each["identity"] for each in (before, on, off)}) == 3
        assert on["answers"]

    def test_what_is_so_already_is_not_restarted(self, tmp_path: Path) -> None:
        """A second restart costs ten seconds. Seen to fail: restart whenever asked."""
        with running(tmp_path, environment=READ_ONLY) as (registry, control):
            assert control.request(ON).status == 200
            assert registry.starts == 1

    def test_a_restart_that_came_too_early_is_seen(self, tmp_path: Path) -> None:
        """The kubelet had not heard of the key. Seen to fail: believe the restart."""
        with running(tmp_path) as (_, control):
            control.request(ON)

            assert ended(control)["readOnly"] is False

    def test_with_a_login_its_variables_say_it(self, tmp_path: Path) -> None:
        """A probe answers 401. Seen to fail: take 401 for one that takes pushes."""
        login = {"PUT_STATUS": "401"}
        with running(tmp_path / "a", environment={**login, **READ_ONLY}) as (_, control):
            assert control.state()["readOnly"] is True
        with running(tmp_path / "b", environment=login) as (_, control):
            assert control.state()["readOnly"] is False

    def test_a_probe_counts_more_than_variables(self, tmp_path: Path) -> None:
        """Of another form, say, which the registry does not understand."""
        wrong = {**READ_ONLY, "PUT_STATUS": "400"}
        with running(tmp_path, environment=wrong) as (_, control):
            assert control.state()["readOnly"] is False

    def test_one_that_hangs_is_asked_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or who asks gives up first, and asks again. Seen to fail: probe it three times."""
        path = tmp_path / "config.yml"
        with FakeRegistry(tmp_path, environment=READ_ONLY) as registry:
            control = RegistryControl(path, {}, Runs(["c"], path, {}), lambda _: None)
            monkeypatch.setattr(registry_control, "answers", lambda _: False)
            for name in ("takes_pushes", "served_certificate"):
                monkeypatch.setattr(registry_control, name, lambda _: pytest.fail("asked again"))
            state = control.state()

            assert registry.starts == 1
        assert (state["answers"], state["readOnly"], state["certificate"]) == (False, True, "")

    def test_what_the_file_says_stays(self, tmp_path: Path) -> None:
        """Nobody's key; `off` would restart it for ever. Seen to fail: only look at the sum."""
        with running(tmp_path, environment={"PUT_STATUS": "405"}) as (registry, control):
            text = registry.config_path.read_text().replace(
                "storage:\n", "storage:\n  maintenance: {readonly: {enabled: true}}\n"
            )
            registry.config_path.write_text(text)

            assert control.state()["readOnlyAlways"] is True
            assert control.request(OFF).status == 200

    def test_what_peoples_own_variables_say_stays(self, tmp_path: Path) -> None:
        """`extraEnvVars` are the sidecar's too. Seen to fail: ask the file alone."""
        with running(tmp_path, environment=READ_ONLY) as (_, control):
            control.environment = READ_ONLY

            assert control.state()["readOnlyAlways"] is True
            assert control.request(OFF).status == 200

    def test_one_that_stays_so_whatever_is_done_is_left_alone(self, tmp_path: Path) -> None:
        """Or it would be restarted every few minutes, for ever. Seen to fail: count nothing."""
        with running(tmp_path, environment=READ_ONLY) as (registry, control):
            for _ in range(3):
                control.request(OFF)
                ended(control)

            assert control.state()["readOnlyAlways"] is True
            assert (control.request(OFF).status, registry.starts) == (200, 4)

    def test_a_pull_through_cache_is_refused(self, tmp_path: Path) -> None:
        """Seen to fail: restart it, which changes nothing of what it writes."""
        with running(tmp_path, more="proxy: {remoteurl: 'https://a.example'}\n") as (
            registry,
            control,
        ):
            refused = control.request(ON)

            assert refused.status == 422
            assert "pull-through" in str(refused.body["error"])
            assert (control.state()["pullThrough"], registry.starts) == (True, 1)


class TestOneAtATime:
    def test_the_same_request_joins_and_another_is_refused(self, tmp_path: Path) -> None:
        """Seen to fail: a thread for each."""
        with running(tmp_path) as (registry, control):
            first, second = control.request(b""), control.request(b"{}")
            third = control.request(ON)
            ended(control)

            assert [each.status for each in (first, second, third)] == [202, 202, 409]
            assert registry.starts == 2

    def test_not_while_a_collection_counts_on_the_process(self, tmp_path: Path) -> None:
        """Seen to fail: do not ask `runs`."""
        with running(tmp_path) as (registry, control):
            control.runs.current = Run("a-run", dry_run=False)
            refused = control.request(ON)
            control.runs.current = None
            control.runs.elsewhere = lambda: "another-run"
            elsewhere = control.request(ON)

            assert (refused.status, elsewhere.status, registry.starts) == (409, 409, 1)
            assert "a-run" in str(refused.body["error"])
            assert refused.body["retryAfter"] == 5

    def test_no_collection_begins_meanwhile(self, tmp_path: Path) -> None:
        """Seen to fail: do not hold them; hold them for ever."""
        with running(tmp_path) as (_, control):
            control.request(ON)
            meanwhile = control.runs.request(dry_run=False)
            ended(control)
            held = control.runs._held

        assert (meanwhile.status, held) == (503, False)
        assert "restarted" in str(meanwhile.body["error"])

    def test_a_restart_that_fails_is_told_and_not_the_last_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(*_: object, **__: object) -> None:
            raise OSError("on purpose")

        with running(tmp_path) as (_, control):
            with monkeypatch.context() as patch:
                patch.setattr(registry_control, "restart", failing)
                control.request(b"{}")
                failed = ended(control)
            control.request(b"{}")

            assert (failed["error"], ended(control)["error"]) == ("on purpose", "")

    def test_what_failed_before_says_nothing_of_what_is_so_already(self, tmp_path: Path) -> None:
        """A certificate's restart, then a switch. Seen to fail: keep the error of another."""
        with running(tmp_path) as (_, control):
            control._error = "another request's"
            status = control.request(OFF).status

            assert (status, control.state()["error"]) == (200, "")

    def test_a_configuration_that_was_mended_is_no_error_any_more(self, tmp_path: Path) -> None:
        """Seen to fail: remember it."""
        with running(tmp_path) as (registry, control):
            good = registry.config_path.read_text()
            registry.config_path.write_text("version: 9")
            wrong = control.state()["error"]
            registry.config_path.write_text(good)

            assert str(wrong).startswith("nothing was touched: the registry would not start")
            assert control.state()["error"] == ""

    def test_a_restart_that_cannot_be_begun_is_not_the_last_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pod with too many processes. Seen to fail: hold the runs for ever."""

        def none_left(_thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with running(tmp_path) as (_, control):
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", none_left)
                refused = control.request(b"{}")
            held = control.runs._held
            again = control.request(b"{}")
            ended(control)

            assert (refused.status, held, again.status) == (503, False, 202)

    def test_a_look_at_the_store_that_fails_holds_nothing(self, tmp_path: Path) -> None:
        """Seen to fail: hold the runs, and never let go."""

        def failing() -> str:
            raise OSError("on purpose")

        runs = Runs(["collector"], tmp_path / "config.yml", {}, elsewhere=failing)
        with pytest.raises(OSError, match="on purpose"):
            runs.hold()

        assert not runs._held

    @pytest.mark.parametrize(
        "content",
        [b"{", b"[]", b"1", b'{"readOnly": 1}', b'{"certificate": 1}', b'{"else": true}', b"\xff"],
    )
    def test_what_it_does_not_understand(self, tmp_path: Path, content: bytes) -> None:
        runs = Runs(["collector"], tmp_path / "config.yml", {})
        control = RegistryControl(tmp_path / "config.yml", {}, runs, lambda _: None)

        assert control.request(content).status == 400

    def test_without_a_process_it_asks_for_patience(self, tmp_path: Path) -> None:
        runs = Runs(["collector"], tmp_path / "config.yml", {})
        control = RegistryControl(tmp_path / "config.yml", {}, runs, lambda _: None)

        assert control.request(ON).status == 503
        assert control.state()["readOnly"] is None


class TestCertificate:
    def make(self, folder: Path) -> tuple[Path, str]:
        """Write a certificate; return its file and its SHA-256."""
        held = renewed(Held(), Terms("test", ("localhost",)), datetime.now(UTC)).held
        folder.mkdir(exist_ok=True)
        (folder / "both.pem").write_bytes(held.certificate + held.key)
        return folder / "both.pem", first_fingerprint(held.certificate)

    def request(self, control: RegistryControl, name: str) -> int:
        return control.request(f'{{"certificate": "{name}"}}'.encode()).status

    def test_a_new_one_takes_effect(self, tmp_path: Path) -> None:
        """The registry reads it once, at its start. Seen to fail: compare the file only."""
        path, old = self.make(tmp_path)
        with running(tmp_path, certificate=path) as (registry, control):
            before = control.state()
            _, new = self.make(tmp_path)
            status = self.request(control, new)
            after = ended(control)

            assert (status, registry.starts) == (202, 2)
        assert (before["certificate"], after["certificate"]) == (old, new)

    def test_the_served_one_needs_no_restart(self, tmp_path: Path) -> None:
        path, name = self.make(tmp_path)
        with running(tmp_path, certificate=path) as (registry, control):
            assert (self.request(control, name), registry.starts) == (200, 1)

    def test_one_that_has_not_come_to_the_volume_is_waited_for(self, tmp_path: Path) -> None:
        """A kubelet takes a minute. Seen to fail: restart, and read the old one again."""
        path, _ = self.make(tmp_path)
        with running(tmp_path, certificate=path) as (registry, control):
            assert (self.request(control, "another"), registry.starts) == (503, 1)

    def test_one_that_does_not_fit_its_key_is_not_tried(self, tmp_path: Path) -> None:
        """The registry would not come back, and serves the old one until then.

        Whatever the restart is for. Seen to fail: end it and see.
        """
        path, _ = self.make(tmp_path)
        with running(tmp_path, certificate=path) as (registry, control):
            _, new = self.make(tmp_path / "other")
            other = (tmp_path / "other" / "both.pem").read_text()
            end = "-----END CERTIFICATE-----\n"
            path.write_text(other.partition(end)[0] + end + path.read_text().partition(end)[2])
            answer = control.request(f'{{"certificate": "{new}"}}'.encode())

            assert (answer.status, registry.starts) == (422, 1)
            assert "do not fit" in str(answer.body["error"])
            assert control.request(ON).status == 422

    def test_what_cannot_be_seen_is_not_restarted_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every few minutes, for ever. Seen to fail: take nothing for another one."""
        path, _ = self.make(tmp_path)
        with running(tmp_path, certificate=path) as (registry, control):
            _, new = self.make(tmp_path)
            monkeypatch.setattr(registry_control, "served_certificate", lambda _: "")

            assert (self.request(control, new), registry.starts) == (503, 1)

    def test_it_waits_for_a_quiet_moment(self, tmp_path: Path) -> None:
        """A push goes on. Seen to fail: restart at once."""
        path, _ = self.make(tmp_path)
        with running(tmp_path, certificate=path) as (registry, control):
            with socket.create_connection(("127.0.0.1", registry.port)):
                _, new = self.make(tmp_path)
                self.request(control, new)
                until(lambda: is_busy(load(registry.config_path, {})), what="somebody is there")
                while_busy = registry.starts
            ended(control)

            assert (while_busy, registry.starts) == (1, 2)

    def test_but_not_for_ever(self, tmp_path: Path) -> None:
        """Seen to fail: no limit."""
        path, _ = self.make(tmp_path)
        with running(tmp_path, certificate=path) as (registry, control):
            control.patience = 0.1
            with socket.create_connection(("127.0.0.1", registry.port)):
                _, new = self.make(tmp_path)
                self.request(control, new)
                ended(control)

            assert registry.starts == 2
