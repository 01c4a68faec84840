"""The commands as the chart's Jobs run them: variables in, an API over HTTP, exit codes out."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from registry_gc import endpoint, in_cluster, kube_api, withdrawal
from registry_gc import read_only as switching
from registry_gc.addresses import Address
from registry_gc.certificates import Held, Terms, renewed
from registry_gc.cli import main
from registry_gc.endpoint_object import PLURAL, VERSION
from registry_gc.health import Health
from registry_gc.kube_api import path_of
from registry_gc.read_only import Switch
from support.checkout import SCRIPTS, clean_environment
from support.fake_kubernetes import (
    NAMESPACE,
    SELECTOR,
    FakeKubernetes,
    certificate,
    fake_kubernetes,
    kubeconfig,
    lead_to,
    pod,
)
from support.fake_sidecars import TOKEN, FakeSidecar
from support.kube import api_of
from support.registry_process import free_port
from support.waiting import until

RELEASE = {"GC_NAMESPACE": NAMESPACE, "GC_RELEASE": "test"}
TLS = {
    "GC_TLS_SECRET": "one-tls",
    "GC_TLS_AUTHORITY_SECRET": "one-tls-ca",
    "GC_TLS_HOSTS": "127.0.0.1",
}
MODE = path_of("v1", "configmaps", NAMESPACE, "one-gc-mode")

pytestmark = pytest.mark.usefixtures("same_signals")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    monkeypatch.setattr(kube_api, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(withdrawal, "_HOLD", 0.0)
    monkeypatch.setattr(switching, "_ANOTHER_LOOK", 0.0)
    with fake_kubernetes() as running:
        lead_to(running, tmp_path, monkeypatch)
        yield running


def invoke(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(main, arguments, env={**RELEASE, **variables})


def kinds(fake: FakeKubernetes) -> list[str]:
    return sorted(str(each.get("kind")) for each in fake.objects.by_path.values())


class TestCertificates:
    def test_made_and_removed(self, fake: FakeKubernetes) -> None:
        made = invoke("certificates", **TLS)
        before = kinds(fake)
        removed = invoke("certificates", "--remove", **TLS)

        assert (made.exit_code, removed.exit_code) == (0, 0), made.output + removed.output
        assert "made a certificate for 127.0.0.1" in made.stdout
        assert (before, kinds(fake)) == (["Secret", "Secret"], [])

    def test_a_foreign_secret_is_exit_3(self, fake: FakeKubernetes) -> None:
        fake.objects.put(path_of("v1", "secrets", NAMESPACE, "one-tls"), {"kind": "Secret"})
        done = invoke("certificates", **TLS)

        assert (done.exit_code, done.stdout) == (3, "")
        assert "is not this release's" in done.stderr

    def test_throttling_is_waited_for(self, fake: FakeKubernetes) -> None:
        fake.refusals = [429, 503]

        assert invoke("certificates", **TLS).exit_code == 0


class TestEndpoint:
    ENDPOINT = path_of(VERSION, PLURAL, NAMESPACE, "one")

    @pytest.fixture(autouse=True)
    def _asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        healthy = Health("Answers", "it answers", healthy=True)
        monkeypatch.setattr(endpoint, "ask", lambda *_: healthy)

    def test_published_and_removed(self, fake: FakeKubernetes) -> None:
        variables = {"GC_ENDPOINT": "one", "GC_ENDPOINT_ADDRESSES": "r.example"}
        made = invoke("endpoint", **variables, **TLS)
        status = fake.objects.by_path[self.ENDPOINT]["status"]
        removed = invoke("endpoint", "--remove", **variables, **TLS)

        assert (made.exit_code, removed.exit_code) == (0, 0), made.output + removed.output
        assert status["clients"]["addresses"] == ["r.example"]
        assert status["clients"]["caBundle"].startswith("-----BEGIN CERTIFICATE-----")
        assert kinds(fake) == []

    def test_what_fails_does_not_keep_the_rest(self, fake: FakeKubernetes) -> None:
        """A foreign Secret must not hide where the registry is. Seen to fail: stop at the first."""
        fake.objects.put(path_of("v1", "secrets", NAMESPACE, "one-tls-ca"), {"kind": "Secret"})
        done = invoke("endpoint", GC_ENDPOINT="one", GC_ENDPOINT_ADDRESSES="r.example", **TLS)

        assert done.exit_code == 3
        assert self.ENDPOINT in fake.objects.by_path

    def test_now_and_withdrawn(self, fake: FakeKubernetes) -> None:
        variables = {"GC_ENDPOINT": "one", "GC_ENDPOINT_ADDRESSES": "r.example"}
        made = invoke("endpoint", "--now", **variables)
        withdrawn = invoke("endpoint", "--withdraw", **variables)
        both = invoke("endpoint", "--now", "--remove", **variables)

        codes = (made.exit_code, withdrawn.exit_code, both.exit_code)
        assert codes == (0, 0, 2), made.output + withdrawn.output
        assert fake.objects.by_path[self.ENDPOINT]["spec"]["withdrawn"] is True
        assert "exclude each other" in both.stderr

    def test_without_the_definition(self, fake: FakeKubernetes) -> None:
        fake.objects.missing.add(PLURAL)
        done = invoke("endpoint", GC_ENDPOINT="one")

        assert done.exit_code == 2
        assert "kubectl apply --server-side -f" in done.stderr

    def test_it_takes_back_what_a_dead_hook_left(
        self, fake: FakeKubernetes, tmp_path: Path
    ) -> None:
        """Within minutes, whoever is dead. Seen to fail: do not settle."""
        (tmp_path / "token").write_text(TOKEN)
        port = free_port()
        fake.pods = [pod()]
        sidecar = FakeSidecar(tmp_path, port, resolved=lambda: {"readOnly": False})
        sidecar.state["readOnly"] = True
        sidecar.listen()
        try:
            done = invoke(
                "endpoint",
                GC_MODE="one-gc-mode",
                GC_SELECTOR=SELECTOR,
                GC_TOKEN_FILE=str(tmp_path / "token"),
                GC_PORT=str(port),
            )
        finally:
            sidecar.vanish()

        assert done.exit_code == 0, done.output
        assert sidecar.restarts == [{"readOnly": False}]

    def test_a_certificate_that_is_renewed_is_served(
        self, fake: FakeKubernetes, tmp_path: Path
    ) -> None:
        """Seen to fail: renew it and tell nobody."""
        (tmp_path / "token").write_text(TOKEN)
        port = free_port()
        fake.pods = [pod()]
        sidecar = FakeSidecar(tmp_path, port)
        sidecar.state["certificate"] = "the one before"
        sidecar.resolved = lambda: {"certificate": sidecar.restarts[-1]["certificate"]}
        sidecar.listen()
        try:
            done = invoke(
                "endpoint",
                GC_SELECTOR=SELECTOR,
                GC_TOKEN_FILE=str(tmp_path / "token"),
                GC_PORT=str(port),
                **TLS,
            )
        finally:
            sidecar.vanish()

        assert done.exit_code == 0, done.output
        assert "registry-1: serves the new certificate" in done.stdout

    def test_a_certificate_that_is_renewed_waits_where_nothing_may_restart(
        self, fake: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """tls.restartOnRenewal: false. Seen to fail: restart all the same."""
        monkeypatch.setattr(endpoint, "take_effect", lambda *_: pytest.fail("restarted"))
        done = invoke("endpoint", GC_SELECTOR=SELECTOR, GC_TLS_RESTART="false", **TLS)

        assert done.exit_code == 0, done.output

    def test_nonsense_is_exit_2(self, fake: FakeKubernetes) -> None:
        done = invoke("endpoint", GC_ENDPOINT_ADDRESSES="https://r.example/x")

        assert done.exit_code == 2
        assert "GC_ENDPOINT_ADDRESSES: 'https://r.example/x' is not an address" in done.stderr


class TestNodeTrust:
    def variables(self, folder: Path) -> dict[str, str]:
        return {
            "GC_TRUST_OWNER": f"{NAMESPACE}/test",
            "GC_TRUST_ENDPOINTS": f"{NAMESPACE}/one",
            "GC_TRUST_FOLDER": str(folder),
            "GC_TRUST_READY": str(folder / "ready"),
        }

    def test_once_and_removed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake = FakeKubernetes()
        entry = {"host": str(Address("10.0.0.5", 1)), "scheme": "http", "trust": "Pods"}
        where = path_of(VERSION, PLURAL, NAMESPACE, "one")
        fake.objects.put(where, {"spec": {}, "status": {"nodes": [entry]}})
        monkeypatch.setattr(in_cluster, "api", lambda consequence: api_of(fake, consequence)[0])
        looked = invoke("node-trust", "--once", **self.variables(tmp_path))
        there = (tmp_path / "certs.d/10.0.0.5:1/hosts.toml").exists()
        removed = invoke("node-trust", "--remove", **self.variables(tmp_path))

        # 1: there is no containerd here whose configuration could be right.
        assert (looked.exit_code, there, removed.exit_code) == (1, True, 0), looked.output
        assert "its config_path is not set" in looked.stdout
        assert not (tmp_path / "certs.d/10.0.0.5:1").exists()

    def test_it_needs_neither_the_large_client_nor_openssls_x509(self) -> None:
        """It runs on every node. Seen to fail: import them at the top."""
        program = (
            "import sys, registry_gc.cli, registry_gc.node_trust, registry_gc.in_cluster; "
            "print({'kubernetes', 'cryptography', 'jinja2'} & set(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**clean_environment(), "PYTHONPATH": str(SCRIPTS)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip

        assert done.stdout.strip() == "set()"

    def test_it_is_small(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """On each node, whatever it does there. Seen to fail: import the Kubernetes client."""
        account = tmp_path / "account"
        account.mkdir()
        both = certificate(tmp_path)
        (account / "ca.crt").write_text(both.read_text())
        (account / "token").write_text("token")
        bundle = renewed(Held(), Terms("test", ("a",)), datetime.now(UTC)).held.bundle.decode()
        entry = {"host": "10.0.0.5:1", "scheme": "https", "trust": "Pods"}
        told = {"nodes": [entry], "pods": {"caBundle": bundle}}
        program = (
            "from pathlib import Path; from registry_gc import cli, in_cluster; import sys; "
            "in_cluster.api.__defaults__ = (Path(sys.argv[1]),); cli.main(['node-trust'])"
        )
        with fake_kubernetes(both) as running:
            running.objects.put(path_of(VERSION, PLURAL, NAMESPACE, "one"), {"status": told})
            process = subprocess.Popen(
                [sys.executable, "-c", program, str(account)],
                env={
                    **clean_environment(),
                    **self.variables(tmp_path),
                    "GC_TRUST_INTERVAL": "100ms",
                    "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                    "KUBERNETES_SERVICE_PORT": str(running.port),
                    "PYTHONPATH": str(SCRIPTS),
                },
                stdout=subprocess.DEVNULL,
            )
            try:
                until(lambda: len(running.asked) > 20, what="it has looked often")
                used = psutil.Process(process.pid).memory_info().rss / 1024**2
                written = (tmp_path / "certs.d/10.0.0.5:1/hosts.toml").exists()
            finally:
                process.terminate()
                code = process.wait(20)

        with capsys.disabled():
            print(f"\nnode-trust: {used:.1f} MiB")  # noqa: T201 - the figure
        assert (written, code) == (True, 0)
        assert used < 35

    def test_outside_of_a_pod(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        done = invoke("node-trust", **self.variables(tmp_path))

        assert done.exit_code == 2
        assert "no Kubernetes API is known" in done.stderr


class TestReadOnly:
    @pytest.fixture
    def sidecar(self, fake: FakeKubernetes, tmp_path: Path) -> Iterator[FakeSidecar]:
        def resolved() -> dict[str, bool]:
            return {"readOnly": MODE in fake.objects.by_path}

        fake.pods = [pod()]
        found = FakeSidecar(tmp_path, free_port(), resolved=resolved)
        (tmp_path / "token").write_text(TOKEN)
        found.listen()
        yield found
        found.hold.unlink(missing_ok=True)
        found.vanish()
        until(lambda: found.runs.current is None, what="its run has ended")

    def variables(self, sidecar: FakeSidecar) -> dict[str, str]:
        return {
            "GC_MODE": "one-gc-mode",
            "GC_SELECTOR": SELECTOR,
            "GC_TOKEN_FILE": str(sidecar.folder / "token"),
            "GC_PORT": str(sidecar.port),
        }

    def test_on_and_off(self, fake: FakeKubernetes, sidecar: FakeSidecar) -> None:
        on = invoke("read-only", "on", **self.variables(sidecar))
        state = sidecar.state["readOnly"]
        settled = invoke("read-only", "settle", **self.variables(sidecar))
        off = invoke("read-only", "off", **self.variables(sidecar))

        assert (on.exit_code, settled.exit_code, off.exit_code) == (0, 0, 0), on.output
        assert (state, sidecar.state["readOnly"]) == (True, False)
        assert "people can push again" in off.stdout
        assert MODE not in fake.objects.by_path

    def test_for_as_long_as_is_said(self, fake: FakeKubernetes, sidecar: FakeSidecar) -> None:
        """Seen to fail: ignore the option."""
        on = invoke("read-only", "on", "--for", "3h", **self.variables(sidecar))
        expires = datetime.fromisoformat(fake.objects.by_path[MODE]["data"]["expires"])
        wrong = invoke("read-only", "on", "--for", "long", **self.variables(sidecar))
        short = invoke("read-only", "on", "--for", "0", **self.variables(sidecar))

        assert (on.exit_code, wrong.exit_code, short.exit_code) == (0, 2, 2)
        assert expires - datetime.now(UTC) > timedelta(hours=2)
        assert "'long' is not a duration" in wrong.stderr
        assert "--for: 0:00:00 is too short" in short.stderr

    def test_who_is_told_to_end_while_switching_takes_it_back(
        self, fake: FakeKubernetes, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the first process of its container. Seen to fail: leave SIGTERM as it is."""

        def told(_switch: Switch, *, read_only: bool) -> None:
            if read_only:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(Switch, "_bring", told)
        before = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as it is for a first process
        try:
            done = invoke("read-only", "on", **self.variables(sidecar))
        finally:
            signal.signal(signal.SIGTERM, before)

        assert done.exit_code == 143
        assert MODE not in fake.objects.by_path

    def test_without_the_sidecars_it_says_what_is_missing(self, fake: FakeKubernetes) -> None:
        done = invoke("read-only", "on")

        assert done.exit_code == 2
        assert "GC_MODE, GC_SELECTOR and GC_TOKEN_FILE" in done.stderr

    def test_a_collection_is_held_while_nobody_can_push(
        self, fake: FakeKubernetes, sidecar: FakeSidecar
    ) -> None:
        """And people can again after it. Seen to fail: collect without the option."""
        variables = self.variables(sidecar)
        done = invoke("hook", GC_READ_ONLY="true", **variables)

        assert done.exit_code == 0, done.output
        assert sidecar.runs.last is not None
        assert sidecar.runs.last.read_only
        assert sidecar.restarts == [{"readOnly": True}, {"readOnly": False}]
        assert MODE not in fake.objects.by_path

    def test_a_hook_takes_back_what_a_dead_one_left(
        self, fake: FakeKubernetes, sidecar: FakeSidecar
    ) -> None:
        """Also one that needs no read-only itself. Seen to fail: only look when it does."""
        sidecar.state["readOnly"] = True
        done = invoke("hook", **self.variables(sidecar))

        assert done.exit_code == 0, done.output
        assert sidecar.restarts == [{"readOnly": False}]
        assert not sidecar.runs.last.read_only  # type: ignore[union-attr]  # it ran

    def test_that_it_cannot_be_taken_back_is_no_reason_not_to_collect(
        self, fake: FakeKubernetes, sidecar: FakeSidecar
    ) -> None:
        """Seen to fail: raise; end with 0."""
        fake.objects.denied.add(("get", "configmaps"))
        done = invoke("hook", **self.variables(sidecar))

        assert done.exit_code == 2
        assert sidecar.runs.last is not None

    def test_a_hook_that_is_told_to_end_collects_no_more(
        self, fake: FakeKubernetes, sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also while it does what may fail. Seen to fail: raise it as a failure of that."""

        def told(_switch: Switch) -> bool:
            os.kill(os.getpid(), signal.SIGTERM)
            return False

        monkeypatch.setattr(Switch, "settle", told)
        before = signal.getsignal(signal.SIGTERM)
        try:
            done = invoke("hook", **self.variables(sidecar))
        finally:
            signal.signal(signal.SIGTERM, before)

        assert done.exit_code == 1
        assert "this job was told to end" in done.stderr
        assert sidecar.runs.last is None

    def test_a_hook_that_is_told_to_end_takes_it_back(
        self, fake: FakeKubernetes, sidecar: FakeSidecar, tmp_path: Path
    ) -> None:
        """`kubectl delete job`; but not while the collection counts on it.

        Seen to fail: die by the signal.
        """
        sidecar.hold.touch()
        log = tmp_path / "log"
        variables = {
            **clean_environment(),
            **RELEASE,
            **self.variables(sidecar),
            "PYTHONPATH": str(SCRIPTS),
            "GC_READ_ONLY": "true",
            "KUBECONFIG": str(kubeconfig(tmp_path, fake.port)),
        }
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "registry_gc", "hook"],
                env=variables,
                stdout=output,
                stderr=output,
            )
        try:
            until(lambda: sidecar.runs.current, what="it collects")
            os.kill(process.pid, signal.SIGTERM)
            until(lambda: "waiting for the collection" in log.read_text(), what="it waits for it")
            still = MODE in fake.objects.by_path
            sidecar.hold.unlink()
            code = process.wait(60)
        finally:
            process.kill()
            process.wait()

        assert (still, code) == (True, 1), log.read_text()
        assert sidecar.state["readOnly"] is False
        assert MODE not in fake.objects.by_path
