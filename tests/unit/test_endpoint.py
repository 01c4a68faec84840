"""The script that publishes where the registry is, over a fake API."""

import base64
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry_gc import certificate_secrets, endpoint, withdrawal
from registry_gc.addresses import Address
from registry_gc.certificate_secrets import CertificateSettings
from registry_gc.certificates import Held, Terms, hosts_in, renewed
from registry_gc.endpoint_object import MANAGER, PLURAL, VERSION
from registry_gc.endpoint_settings import EndpointSettings
from registry_gc.errors import ConfigurationError, GuardError, StorageError
from registry_gc.events import Subject
from registry_gc.exposure import Wanted
from registry_gc.health import Health
from registry_gc.kube_api import Api, ApiDeniedError, KindMissingError, path_of
from registry_gc.ownership import OWNER, Owner
from registry_gc.read_only import Switch
from registry_gc.read_only_settings import ReadOnlySettings
from registry_gc.sidecars import Access
from registry_gc.withdrawal import withdraw
from support.fake_kubernetes import SELECTOR, FakeKubernetes, pod
from support.fake_sidecars import TOKEN, FakeSidecar, Volume
from support.kube import Direct, api_of
from support.registry_process import free_port

US = Owner("registry", "test")
SETTINGS = EndpointSettings(
    US,
    "one",
    service="one",
    tls_secret="one-tls",
    nodes=True,
    hosting=True,
    mode="one-gc-mode",
    about=Subject.all_of("RegistryEndpoint/one"),
)
ENDPOINT = path_of(VERSION, PLURAL, "registry", "one")
SERVICE = path_of("v1", "services", "registry", "one")
SECRET = path_of("v1", "secrets", "registry", "one-tls")
AUTHORITY = path_of("v1", "secrets", "registry", "one-tls-ca")
HOSTING = path_of("v1", "configmaps", "kube-public", "local-registry-hosting")
NODES = path_of("v1", "nodes")
BUNDLE = renewed(Held(), Terms("test", ("a",)), datetime.now(UTC)).held.bundle.decode().strip()


BAD = Health("NoAnswer", "refused")


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdrawal, "_HOLD", 0.0)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """No name is looked up; what was asked is noted."""
    found: list[tuple[str, str, str]] = []

    def ask(address: Address, scheme: str, bundle: str = "") -> Health:
        found.append((str(address), scheme, bundle))
        return Health("Answers", f"{address} answers", healthy=True)

    monkeypatch.setattr(endpoint, "ask", ask)
    return found


@pytest.fixture
def fake() -> FakeKubernetes:
    found = FakeKubernetes()
    put_service(found, "NodePort")
    put_node(found, "a", "10.0.0.1")
    found.objects.put(SECRET, {"kind": "Secret", "data": {"ca.crt": in_secret(BUNDLE)}})
    return found


def in_secret(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def put_service(fake: FakeKubernetes, kind: str, **more: Any) -> None:
    spec = {"type": kind, "ports": [{"name": "https-5000", "port": 5000, "nodePort": 30500}]}
    fake.objects.put(SERVICE, {"kind": "Service", "spec": spec, **more})


def put_node(fake: FakeKubernetes, name: str, address: str) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    fake.objects.put(f"{NODES}/{name}", {"status": status})


def run(fake: FakeKubernetes, settings: EndpointSettings = SETTINGS) -> list[str]:
    """Do what `registry-gc endpoint` does; return what was said."""
    api, _ = api_of(fake)
    said: list[str] = []
    seen = endpoint.look(api, settings, said.append)
    endpoint.keep_certificate(api, settings, seen, said.append)
    endpoint.publish(api, settings, seen, said.append)
    return said


def status(fake: FakeKubernetes) -> dict[str, Any]:
    return dict(fake.objects.by_path[ENDPOINT]["status"])


def events(fake: FakeKubernetes) -> list[tuple[str, str]]:
    found = fake.objects.by_path.values()
    return [(each["type"], each["reason"]) for each in found if each.get("kind") == "Event"]


class TestPublished:
    def test_spec_and_status_and_mark(self, fake: FakeKubernetes) -> None:
        said = run(fake)
        found = fake.objects.by_path[ENDPOINT]

        assert found["spec"] == {"service": "one"}
        assert US.owns(found)
        assert status(fake)["clients"] == {
            "addresses": ["10.0.0.1:30500"],
            "scheme": "https",
            "caBundle": BUNDLE,
        }
        assert said == ["RegistryEndpoint one: https://10.0.0.1:30500 (NodePort); "
                        "one.registry.svc:5000 answers"]  # fmt: skip

    def test_it_asks_in_the_cluster_with_the_pods_own_bundle(
        self, fake: FakeKubernetes, asked: list[tuple[str, str, str]]
    ) -> None:
        """Seen to fail: ask the address of outside, which pods may not reach."""
        run(fake)

        assert asked == [("one.registry.svc:5000", "https", BUNDLE)]

    def test_nodes_come_and_go(self, fake: FakeKubernetes) -> None:
        """Seen to fail: keep what the status had."""
        run(fake)
        put_node(fake, "b", "10.0.0.2")
        del fake.objects.by_path[f"{NODES}/a"]
        run(fake)

        assert status(fake)["clients"]["addresses"] == ["10.0.0.2:30500"]

    def test_a_nodes_address_changes(self, fake: FakeKubernetes) -> None:
        run(fake)
        put_node(fake, "a", "10.0.0.9")
        run(fake)

        assert status(fake)["clients"]["addresses"] == ["10.0.0.9:30500"]
        assert "10.0.0.9:30500" in [each["host"] for each in status(fake)["nodes"]]

    def test_a_load_balancer_that_is_pending_and_then_there(self, fake: FakeKubernetes) -> None:
        put_service(fake, "LoadBalancer")
        said = run(fake)
        waiting = status(fake)
        there = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
        put_service(fake, "LoadBalancer", **there)
        run(fake)

        assert "no load balancer's address yet" in said[0]
        assert waiting["conditions"][0]["reason"] == "LoadBalancerPending"
        assert status(fake)["clients"]["addresses"] == ["192.0.2.7:5000"]
        assert events(fake) == [("Warning", "LoadBalancerPending"), ("Normal", "Reachable")]

    def test_without_the_right_to_list_nodes(self, fake: FakeKubernetes) -> None:
        """The rest is published. Seen to fail: give up."""
        fake.objects.denied.add(("list", "nodes"))
        said = run(fake)

        assert "nodes may not be listed" in said[0]
        assert status(fake)["conditions"][0]["reason"] == "NodeAddressesUnknown"
        assert status(fake)["pods"]["addresses"] == ["one.registry.svc:5000"]

    def test_an_edge_has_the_bundle_that_the_values_name(self, fake: FakeKubernetes) -> None:
        """Seen to fail: the pod's bundle for everything."""
        edge = path_of("v1", "secrets", "registry", "edge-ca")
        other = renewed(Held(), Terms("edge", ("a",)), datetime.now(UTC)).held.bundle.decode()
        fake.objects.put(edge, {"data": {"ca.crt": in_secret(other)}})
        wanted = Wanted((Address("r.example"),), "https", "edge-ca")
        run(fake, replace(SETTINGS, wanted=wanted))

        assert status(fake)["clients"]["caBundle"] == other.strip()
        assert status(fake)["pods"]["caBundle"] == BUNDLE
        assert [each["trust"] for each in status(fake)["nodes"]] == ["Pods", "Clients"]

    @pytest.mark.parametrize(
        ("content", "published"),
        [(f"# our CA\n{BUNDLE}\n", True), ("nonsense", False), ("", False)],
    )
    def test_only_certificates_are_published(
        self, fake: FakeKubernetes, content: str, *, published: bool
    ) -> None:
        """The API refuses anything else. Seen to fail: publish what the Secret has."""
        fake.objects.put(SECRET, {"data": {"ca.crt": in_secret(content)}})
        said = run(fake)

        assert status(fake)["clients"].get("caBundle") == (BUNDLE if published else None)
        assert any("is left out" in line for line in said) is (content == "nonsense")

    def test_ingress_and_route_are_read_by_name(self, fake: FakeKubernetes) -> None:
        where = path_of("networking.k8s.io/v1", "ingresses", "registry", "one")
        fake.objects.put(where, {"spec": {"rules": [{"host": "r.example"}]}})
        run(fake, replace(SETTINGS, ingress="one"))

        assert (status(fake)["exposure"], status(fake)["clients"]["scheme"]) == ("Ingress", "http")

    def test_read_only_is_seen(self, fake: FakeKubernetes) -> None:
        mode = path_of("v1", "configmaps", "registry", "one-gc-mode")
        run(fake)
        before = status(fake)["readOnly"]
        fake.objects.put(mode, {"data": {"readOnly": '{"enabled":true}'}})
        run(fake)

        assert (before, status(fake)["readOnly"]) == (False, True)

    def test_nothing_new_is_no_event(self, fake: FakeKubernetes) -> None:
        """It runs every few minutes. Seen to fail: one each time."""
        run(fake)
        run(fake)

        assert events(fake) == [("Normal", "Reachable")]

    def test_a_foreign_one_is_left_alone(self, fake: FakeKubernetes) -> None:
        """Seen to fail: do not look for the mark."""
        fake.objects.put(ENDPOINT, {"kind": "RegistryEndpoint", "spec": {"service": "theirs"}})

        with pytest.raises(GuardError, match="the RegistryEndpoint one is not this release's"):
            run(fake)
        assert fake.objects.by_path[ENDPOINT]["spec"] == {"service": "theirs"}

    def test_without_the_definition_it_says_what_to_apply(self, fake: FakeKubernetes) -> None:
        fake.objects.missing.add(PLURAL)

        with pytest.raises(KindMissingError, match="the registry's address was not published") as e:
            run(fake)
        assert "kubectl apply --server-side -f" in e.value.next_step
        assert e.value.exit_code == 2

    @pytest.mark.parametrize(
        "denied",
        [("patch", PLURAL), ("patch", f"{PLURAL}/status"), ("get", "services"), ("get", "secrets")],
    )
    def test_denied_is_a_sentence(self, fake: FakeKubernetes, denied: tuple[str, str]) -> None:
        fake.objects.denied.add(denied)

        with pytest.raises(ApiDeniedError, match="does not let this pod"):
            run(fake)

    def test_an_api_that_is_away_for_a_while(self, fake: FakeKubernetes) -> None:
        """Seen to fail: no second attempt."""
        fake.refusals = [429, 503, 500]
        run(fake)

        assert status(fake)["clients"]["addresses"] == ["10.0.0.1:30500"]

    def test_without_a_name_only_the_certificate_is_kept(self, fake: FakeKubernetes) -> None:
        """`endpoint.enabled: false` with self-signed TLS."""
        run(fake, replace(SETTINGS, name=""))

        assert not any(PLURAL in path or "configmaps" in path for path in fake.objects.by_path)


class TestLastCollection:
    """Each run looks anew, so what sidecars do by themselves is seen too."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> EndpointSettings:
        (tmp_path / "token").write_text(TOKEN)
        access = Access(tmp_path / "token", free_port())
        return replace(SETTINGS, selector=SELECTOR, access=access)

    def sidecar(
        self, settings: EndpointSettings, folder: Path, address: str, finished: str
    ) -> FakeSidecar:
        assert settings.access
        report = {
            "run": f"run-of-{address}", "outcome": "done", "problems": [], "exitCode": 0,
            "deleted": {"bytes": 2048, "blobs": 3}, "finished": finished, "seconds": 1.0,
        }  # fmt: skip
        found = FakeSidecar(folder, settings.access.port, address, Volume(report=report))
        found.listen()
        return found

    def test_the_latest_of_those_that_answer(
        self, fake: FakeKubernetes, settings: EndpointSettings, tmp_path: Path
    ) -> None:
        """Seen to fail: take the first pod's; raise for a silent one."""
        fake.pods = [pod("a"), pod("b", "127.0.0.2"), pod("c", "127.0.0.3")]
        old = self.sidecar(settings, tmp_path, "127.0.0.1", "2026-11-24T10:00:00+00:00")
        new = self.sidecar(settings, tmp_path, "127.0.0.2", "2026-11-24T11:00:00+00:00")
        run(fake, settings)
        both = status(fake)["lastCollection"]
        old.vanish()
        new.vanish()
        run(fake, settings)

        assert both == {
            "run": "run-of-127.0.0.2", "finished": "2026-11-24T11:00:00Z", "result": "Done",
            "freed": "2.0 KiB", "freedBytes": 2048, "blobs": 3, "seconds": 1,
        }  # fmt: skip
        assert status(fake)["lastCollection"] == both, "what was known stays known"

    def test_none_so_far(
        self, fake: FakeKubernetes, settings: EndpointSettings, tmp_path: Path
    ) -> None:
        fake.pods = [pod("a")]
        run(fake, settings)

        assert "lastCollection" not in status(fake)


class TestCertificate:
    CERTIFICATE = CertificateSettings(US, "one-tls", "one-tls-ca", (Address("127.0.0.1"),))

    def settings(self) -> EndpointSettings:
        return replace(SETTINGS, certificate=self.CERTIFICATE)

    def test_it_follows_the_nodes(self, fake: FakeKubernetes) -> None:
        """And the bundle that is published is the new one's. Seen to fail: publish first."""
        del fake.objects.by_path[SECRET]
        run(fake, self.settings())
        put_node(fake, "b", "10.0.0.2")
        said = run(fake, self.settings())
        secret = fake.objects.by_path[SECRET]["data"]

        assert hosts_in(base64.b64decode(secret["tls.crt"])) == {
            "127.0.0.1",
            "one.registry.svc",
            "10.0.0.1",
            "10.0.0.2",
        }
        assert said[0].endswith("it is not for 10.0.0.2")
        bundle = base64.b64decode(secret["ca.crt"]).decode().strip()
        assert status(fake)["clients"]["caBundle"] == bundle
        assert ("Normal", "CertificateRenewed") in events(fake)

    def test_before_the_first_install_there_is_no_service(self, fake: FakeKubernetes) -> None:
        """The Job runs before everything. Seen to fail: want the Service."""
        del fake.objects.by_path[SECRET], fake.objects.by_path[SERVICE]
        api, _ = api_of(fake)
        seen = endpoint.look(api, self.settings(), lambda _: None)
        endpoint.keep_certificate(api, self.settings(), seen, lambda _: None)

        assert SECRET in fake.objects.by_path


class TestHosting:
    def test_what_local_tools_look_for(self, fake: FakeKubernetes) -> None:
        run(fake)
        text = fake.objects.by_path[HOSTING]["data"]["localRegistryHosting.v1"]

        assert yaml.safe_load(text) == {
            "host": "10.0.0.1:30500",
            "hostFromContainerRuntime": "127.0.0.1:30500",
            "hostFromClusterNetwork": "one.registry.svc:5000",
            "help": "https://github.com/kubernetes/enhancements/issues/1755",
        }

    @pytest.mark.parametrize("mark", [{}, {OWNER: "registry/another"}])
    def test_a_foreign_one_stays(self, fake: FakeKubernetes, mark: dict[str, str]) -> None:
        """There is one for the whole cluster. Seen to fail: apply by force."""
        fake.objects.put(HOSTING, {"metadata": {"annotations": mark}, "data": {"a": "b"}})
        said = run(fake)

        assert fake.objects.by_path[HOSTING]["data"] == {"a": "b"}
        assert any("is not this release's and stays" in line for line in said)

    def test_a_pod_that_speaks_tls_without_a_secret(self, fake: FakeKubernetes) -> None:
        """By the user's own configuration. Seen to fail: take the Secret for the only way."""
        run(fake, replace(SETTINGS, tls_secret="", pod_scheme="https"))

        assert status(fake)["pods"]["scheme"] == "https"

    def test_only_when_asked_for(self, fake: FakeKubernetes) -> None:
        run(fake, replace(SETTINGS, hosting=False))

        assert HOSTING not in fake.objects.by_path


class TestRemoved:
    SETTINGS = replace(
        SETTINGS,
        certificate=TestCertificate.CERTIFICATE,
        trust="trust/one-node-trust",
        trust_timeout=timedelta(seconds=0.2),
    )
    DAEMON_SET = path_of("apps/v1", "daemonsets", "trust", "one-node-trust")
    CRON_JOB = path_of("batch/v1", "cronjobs", "registry", "one-endpoint")
    MODE = path_of("v1", "configmaps", "registry", "one-gc-mode")

    def remove(self, fake: FakeKubernetes) -> list[str]:
        said: list[str] = []
        withdrawal.remove(api_of(fake)[0], self.SETTINGS, said.append)
        return said

    @pytest.fixture
    def installed(self, fake: FakeKubernetes) -> FakeKubernetes:
        del fake.objects.by_path[SECRET]
        run(fake, self.SETTINGS)
        ours = {"metadata": {"annotations": {OWNER: str(US)}}, "data": {}}
        fake.objects.put(self.MODE, ours)
        return fake

    def test_nothing_is_left(self, installed: FakeKubernetes) -> None:
        """Seen to fail: forget one of them."""
        self.remove(installed)
        left = [path for path in installed.objects.by_path if "/events/" not in path]

        assert set(left) == {f"{NODES}/a", SERVICE}

    def test_nodes_are_told_and_waited_for_first(self, installed: FakeKubernetes) -> None:
        """Or they would trust for ever. Seen to fail: delete at once."""
        status = {"desiredNumberScheduled": 2, "numberReady": 2}
        installed.objects.put(self.DAEMON_SET, {"status": status})
        api, direct = api_of(installed)
        told: list[dict[str, Any]] = []

        def forget(_seconds: float) -> None:
            told.append(installed.objects.by_path[ENDPOINT]["spec"])
            installed.objects.put(self.DAEMON_SET, {"status": {"numberReady": 2 - len(told)}})

        settings = replace(self.SETTINGS, trust_timeout=timedelta(seconds=20))
        withdraw(api, settings, lambda _: None, forget)

        assert told == [{"service": "one", "withdrawn": True}] * 2
        assert ENDPOINT not in installed.objects.by_path
        assert isinstance(direct, Direct)

    def test_a_run_by_the_schedule_does_not_bring_it_back(self, installed: FakeKubernetes) -> None:
        """In the middle of an uninstall. Seen to fail: publish whatever the object says."""
        installed.objects.put(self.DAEMON_SET, {"status": {"numberReady": 1}})

        def meanwhile(_seconds: float) -> None:
            installed.objects.put(self.DAEMON_SET, {"status": {}})
            endpoint.run(api_of(installed)[0], replace(SETTINGS, tls_secret=""), said.append)

        said: list[str] = []
        settings = replace(self.SETTINGS, trust_timeout=timedelta(seconds=20))
        withdraw(api_of(installed)[0], settings, lambda _: None, meanwhile)

        assert said == ["the release is being uninstalled: nothing was made"]
        assert ENDPOINT not in installed.objects.by_path

    def test_nodes_that_do_not_answer_are_named_and_do_not_keep_the_object(
        self, installed: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Seen to fail: wait for ever; keep quiet about it."""
        monkeypatch.setattr("registry_gc.withdrawal._PAUSE", 0.01)
        installed.objects.put(self.DAEMON_SET, {"status": {"numberReady": 2}})

        with pytest.raises(StorageError, match="2 nodes may still trust the registry") as error:
            self.remove(installed)
        assert "--no-hooks" in error.value.next_step
        assert ENDPOINT not in installed.objects.by_path
        assert SECRET not in installed.objects.by_path, "the rest is removed all the same"

    def test_what_others_own_stays(self, installed: FakeKubernetes) -> None:
        """Seen to fail: delete the ConfigMap that makes it read-only without a look at its mark."""
        theirs = {ENDPOINT, HOSTING, SECRET, self.MODE}
        for path in theirs:
            installed.objects.put(path, {"kind": "Theirs"})
        self.remove(installed)

        assert theirs <= set(installed.objects.by_path)

    def test_the_schedule_is_paused_first_and_its_run_waited_for(
        self, installed: FakeKubernetes
    ) -> None:
        """It would make anew what was just removed, before Helm removes the CronJob.

        Seen to fail: do not suspend; do not wait for the one that runs.
        """
        installed.objects.put(self.CRON_JOB, {"status": {"active": [{"name": "one-endpoint-1"}]}})
        looks: list[bool] = []

        def ends(_seconds: float) -> None:
            looks.append(installed.objects.by_path[self.CRON_JOB]["spec"]["suspend"])
            if len(looks) == 2:
                installed.objects.by_path[self.CRON_JOB]["status"] = {}

        settings = replace(self.SETTINGS, cron_job="one-endpoint")
        withdrawal.pause_schedule(api_of(installed)[0], settings, ends)

        assert looks == [True, True]
        assert ENDPOINT in installed.objects.by_path

    def test_the_schedule_goes_on_where_the_uninstall_does_not(
        self, installed: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A hook that fails stops it, and the release lives on. Seen to fail: leave it suspended.

        One that somebody has suspended stays so.
        """
        monkeypatch.setattr(withdrawal, "_PAUSE", 0.0)
        settings = replace(self.SETTINGS, cron_job="one-endpoint")
        installed.objects.denied.add(("delete", "secrets"))
        found = []
        for before in (False, True):
            installed.objects.put(self.CRON_JOB, {"spec": {"suspend": before}})
            with pytest.raises(ApiDeniedError):
                withdrawal.remove(api_of(installed)[0], settings, lambda _: None)
            found.append(installed.objects.by_path[self.CRON_JOB])

        assert [each["spec"]["suspend"] for each in found] == [False, True]
        assert not found[0]["metadata"].get("annotations")

    def test_a_removal_that_is_told_to_end_lets_the_schedule_go_on(
        self, installed: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its time is over, or its pod is deleted. Seen to fail: resume after errors only."""
        monkeypatch.setattr(withdrawal, "_PAUSE", 0.0)
        monkeypatch.setattr(certificate_secrets, "remove", lambda *_: sys.exit(143))
        installed.objects.put(self.CRON_JOB, {"spec": {"suspend": False}})

        with pytest.raises(SystemExit):
            withdrawal.remove(
                api_of(installed)[0],
                replace(self.SETTINGS, cron_job="one-endpoint"),
                lambda _: None,
            )
        assert installed.objects.by_path[self.CRON_JOB]["spec"]["suspend"] is False

    @pytest.mark.parametrize("conflicts", [0, 1])
    def test_of_the_schedule_nothing_becomes_ours(
        self, installed: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, conflicts: int
    ) -> None:
        """Helm 4 refuses to upgrade what another manager has changed: seen on a cluster, after the
        pod that removes was killed (`conflict with "registry-gc-endpoint": .spec.suspend`).

        Seen to fail: merge and leave it at that; give up at the first conflict.
        """
        helm, us = {"manager": "helm"}, {"manager": MANAGER}
        given = {"metadata": {"managedFields": [helm, us]}, "spec": {"suspend": False}}
        installed.objects.put(self.CRON_JOB, given)
        merge, left = Api.merge, [conflicts]

        def merged(api: Api, path: str, body: Mapping[str, Any], manager: str) -> Any:
            if "managedFields" in body["metadata"] and left[0]:
                left[0] -= 1
                merge(api, path, {"status": {"active": []}}, "controller")
            return merge(api, path, body, manager)

        monkeypatch.setattr(Api, "merge", merged)
        settings = replace(self.SETTINGS, cron_job="one-endpoint")
        withdrawal.pause_schedule(api_of(installed)[0], settings, lambda _: None)
        found = installed.objects.by_path[self.CRON_JOB]

        assert found["spec"]["suspend"] is True
        assert found["metadata"]["managedFields"] == [helm]

    def test_a_schedule_that_is_not_there_is_none_to_pause(self, installed: FakeKubernetes) -> None:
        """Seen to fail: mark it without a look."""
        settings = replace(self.SETTINGS, cron_job="one-endpoint")
        before = list(installed.objects.written)
        withdrawal.pause_schedule(api_of(installed)[0], settings, lambda _: None)

        assert installed.objects.written == before

    def test_a_pod_that_is_only_starting_may_have_written(self, installed: FakeKubernetes) -> None:
        """An uninstall right after the install. Seen to fail: take it for one that has removed."""
        status = {"desiredNumberScheduled": 2, "numberReady": 0}
        installed.objects.put(self.DAEMON_SET, {"status": status})
        told: list[tuple[int, bool]] = []

        def starts(_seconds: float) -> None:
            spec = installed.objects.by_path[ENDPOINT]["spec"]
            told.append((status["numberReady"], "withdrawn" in spec))
            status["numberReady"] = 2 if len(told) < 3 else 0
            installed.objects.put(self.DAEMON_SET, {"status": status})

        settings = replace(self.SETTINGS, trust_timeout=timedelta(seconds=20))
        withdraw(api_of(installed)[0], settings, lambda _: None, starts)

        assert told[:2] == [(0, False), (2, True)]

    def test_a_pod_that_was_just_replaced_has_to_look_first(
        self, installed: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Seen to fail: believe the first zero."""
        monkeypatch.setattr(withdrawal, "_HOLD", 0.5)
        installed.objects.put(self.DAEMON_SET, {"status": {}})
        there: list[bool] = []

        def passes(_seconds: float) -> None:
            there.append(ENDPOINT in installed.objects.by_path)
            time.sleep(0.03)

        settings = replace(self.SETTINGS, trust_timeout=timedelta(seconds=20))
        withdraw(api_of(installed)[0], settings, lambda _: None, passes)

        assert there, "it was not held"
        assert all(there)

    def test_a_node_whose_pod_never_ran_is_told_of(
        self, installed: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it has on it nobody knows. Seen to fail: only count those that were ready."""
        monkeypatch.setattr(withdrawal, "_PAUSE", 0.01)
        status = {"desiredNumberScheduled": 1, "numberReady": 0}
        installed.objects.put(self.DAEMON_SET, {"status": status})

        with pytest.raises(StorageError, match="1 nodes may still trust"):
            self.remove(installed)

    def test_without_the_definition_there_is_nothing_to_remove(
        self, installed: FakeKubernetes
    ) -> None:
        installed.objects.missing.add(PLURAL)
        self.remove(installed)

        assert SECRET not in installed.objects.by_path

    def test_the_first_failure_is_told_after_everything_was_tried(
        self, installed: FakeKubernetes
    ) -> None:
        """Seen to fail: stop at the first."""
        installed.objects.denied.add(("get", PLURAL))

        with pytest.raises(ApiDeniedError, match="something was not removed"):
            self.remove(installed)
        assert SECRET not in installed.objects.by_path
        assert HOSTING not in installed.objects.by_path


class TestWithdrawn:
    """An upgrade that turns node trust off: nodes forget, the address stays published."""

    SETTINGS = replace(
        SETTINGS, trust="trust/one-node-trust", trust_timeout=timedelta(seconds=0.2), tls_secret=""
    )

    def test_nodes_are_told_and_the_object_stays(self, fake: FakeKubernetes) -> None:
        """Seen to fail: delete it, and the next scheduled run has nodes trust again."""
        run(fake, self.SETTINGS)
        said: list[str] = []
        withdrawal.tell_nodes(api_of(fake)[0], self.SETTINGS, said.append)
        endpoint.run(api_of(fake)[0], self.SETTINGS, said.append)

        assert fake.objects.by_path[ENDPOINT]["spec"]["withdrawn"] is True
        assert said == [
            "no node trusts the registry any more",
            "the release is being uninstalled: nothing was made",
        ]

    def test_what_is_published_now_is_withdrawn_no_longer(self, fake: FakeKubernetes) -> None:
        """Also after an uninstall that was given up. Seen to fail: leave it to the schedule."""
        run(fake, self.SETTINGS)
        withdrawal.tell_nodes(api_of(fake)[0], self.SETTINGS, lambda _: None)
        endpoint.run_now(api_of(fake)[0], self.SETTINGS, lambda _: None)
        found = fake.objects.by_path[ENDPOINT]

        assert not found["spec"].get("withdrawn")
        assert list(found["metadata"]["annotations"]) == [OWNER]

    def test_nodes_that_do_not_forget_fail_it(
        self, fake: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(withdrawal, "_PAUSE", 0.01)
        run(fake, self.SETTINGS)
        fake.objects.put(TestRemoved.DAEMON_SET, {"status": {"numberReady": 1}})

        with pytest.raises(StorageError, match="1 nodes may still trust") as error:
            withdrawal.tell_nodes(api_of(fake)[0], self.SETTINGS, lambda _: None)
        assert "`helm upgrade --no-hooks`" in error.value.next_step
        assert ENDPOINT in fake.objects.by_path

    def test_what_an_editor_withdraws_is_published_again(self, fake: FakeKubernetes) -> None:
        """A field that nobody of ours applies stays as it is. Seen to fail: leave it out."""
        run(fake, self.SETTINGS)
        fake.objects.by_path[ENDPOINT]["spec"]["withdrawn"] = True
        endpoint.run(api_of(fake)[0], self.SETTINGS, lambda _: None)

        assert not fake.objects.by_path[ENDPOINT]["spec"].get("withdrawn")

    def test_a_foreign_one_is_not_withdrawn(self, fake: FakeKubernetes) -> None:
        fake.objects.put(ENDPOINT, {"spec": {}})
        withdrawal.tell_nodes(api_of(fake)[0], self.SETTINGS, lambda _: None)

        assert fake.objects.by_path[ENDPOINT]["spec"] == {}


class TestAtTheSameTime:
    SETTINGS = replace(SETTINGS, tls_secret="")

    def test_an_uninstall_that_begins_meanwhile_is_not_undone(self, fake: FakeKubernetes) -> None:
        """Between its look and its write. Seen to fail: write whatever the object says by then."""
        run(fake, self.SETTINGS)
        api, direct = api_of(fake)
        said: list[str] = []
        withdrawn: list[bool] = []

        def meanwhile(method: str, path: str) -> None:
            if method == "PATCH" and path == ENDPOINT and not withdrawn:
                withdrawn.append(True)
                withdrawal.tell_nodes(api_of(fake)[0], self.SETTINGS, lambda _: None)

        direct.meanwhile = meanwhile
        endpoint.run(api, self.SETTINGS, said.append)

        assert withdrawn
        assert fake.objects.by_path[ENDPOINT]["spec"].get("withdrawn") is True
        assert said[-1] == "the release is being uninstalled: nothing was made"

    def test_what_was_removed_meanwhile_is_not_made_anew(self, fake: FakeKubernetes) -> None:
        """A scheduled run that began before the uninstall. Seen to fail: take it for the first."""
        run(fake, self.SETTINGS)
        api, direct = api_of(fake)

        def meanwhile(_method: str, path: str) -> None:
            if path == SERVICE:
                fake.objects.by_path.pop(ENDPOINT, None)

        direct.meanwhile = meanwhile
        endpoint.run(api, self.SETTINGS, lambda _: None)

        assert ENDPOINT not in fake.objects.by_path

    def test_two_runs_both_end_well(self, fake: FakeKubernetes) -> None:
        """An upgrade's and the schedule's. Seen to fail: give up at the first conflict."""
        run(fake, self.SETTINGS)
        api, direct = api_of(fake)
        others: list[bool] = []

        def meanwhile(method: str, path: str) -> None:
            if method == "PATCH" and path == ENDPOINT and not others:
                others.append(True)
                put_node(fake, "b", "10.0.0.2")
                endpoint.run_now(api_of(fake)[0], self.SETTINGS, lambda _: None)

        direct.meanwhile = meanwhile
        endpoint.run(api, self.SETTINGS, lambda _: None)

        assert others


class TestNow:
    """After an install or upgrade: Helm waits for it, and what fails fails that."""

    SETTINGS = replace(SETTINGS, tls_secret="")

    def test_an_api_that_is_away_is_left_to_the_schedule(self, fake: FakeKubernetes) -> None:
        """Seen to fail: raise it, and an upgrade fails for what passes by itself."""
        api, direct = api_of(fake)
        direct.silent = 1000
        said: list[str] = []
        began = time.monotonic()
        endpoint.run_now(replace(api, patience=0.05), self.SETTINGS, said.append)

        assert time.monotonic() - began < 5
        assert said[-1].endswith("the schedule tries again")

    def test_its_time_is_that_of_all_requests_together(
        self, fake: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Seen to fail: give each request its own minute."""
        monkeypatch.setattr(endpoint, "_NOW", 0.2)
        api, direct = api_of(fake)
        direct.silent = 10**9
        began = time.monotonic()
        endpoint.run_now(api, self.SETTINGS, lambda _: None)

        assert time.monotonic() - began < 5

    @pytest.mark.parametrize(
        ("starts", "event"),
        [(True, ("Normal", "Reachable")), (False, ("Warning", "NoAnswer"))],
    )
    def test_a_registry_that_only_just_starts_has_a_moment(
        self,
        fake: FakeKubernetes,
        monkeypatch: pytest.MonkeyPatch,
        starts: bool,
        event: tuple[str, str],
    ) -> None:
        """Without `helm --wait` the Job comes before the pod is ready; one Event, at the end.

        Seen to fail: say what it was at first; do not ask again; say it only then.
        """
        monkeypatch.setattr(endpoint, "_STARTS", 30.0 if starts else 0.2)
        answers = [BAD] * 2
        good = Health("Answers", "it answers", healthy=True)
        monkeypatch.setattr(
            endpoint, "ask", lambda *_: answers.pop() if answers else good if starts else BAD
        )
        api, _ = api_of(fake)
        published: list[bool] = []

        def passes(_seconds: float) -> None:
            published.append(status(fake)["health"]["healthy"])
            time.sleep(0.02)

        endpoint.run_now(replace(api, sleep=passes), self.SETTINGS, lambda _: None)

        assert published[0] is False
        assert status(fake)["health"]["healthy"] is starts
        assert events(fake) == [event]

    def test_so_has_one_that_was_started_anew_for_a_certificate(
        self, fake: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its Service leads to it again a moment later. Seen to fail: publish once after it."""
        good = Health("Answers", "it answers 200", healthy=True)
        answers = [good, BAD, BAD]  # from the last: published, started anew, asked again
        monkeypatch.setattr(endpoint, "take_effect", lambda *_: 1)
        monkeypatch.setattr(endpoint, "ask", lambda *_: answers.pop() if answers else good)
        settings = replace(SETTINGS, selector=SELECTOR, tls_secret="tls")

        endpoint.run(api_of(fake)[0], settings, lambda _: None)

        assert status(fake)["health"]["healthy"]

    def test_a_gateway_has_a_moment_for_a_route_that_was_just_made(
        self, fake: FakeKubernetes
    ) -> None:
        """Seen to fail: look once, and publish that nobody has taken it."""
        route = path_of("gateway.networking.k8s.io/v1", "httproutes", "registry", "one")
        spec = {"hostnames": ["a.example"], "parentRefs": [{"name": "g"}]}
        fake.objects.put(route, {"spec": spec})
        api, direct = api_of(fake)

        def takes(seconds: float) -> None:
            accepted = {"conditions": [{"type": "Accepted", "status": "True"}]}
            fake.objects.put(route, {"spec": spec, "status": {"parents": [accepted]}})
            direct.slept.append(seconds)

        endpoint.run_now(
            replace(api, sleep=takes), replace(self.SETTINGS, route="one"), lambda _: None
        )

        assert status(fake)["clients"]["addresses"] == ["a.example"]
        assert direct.slept == [2.0]

    def test_what_somebody_has_to_mend_fails_it(self, fake: FakeKubernetes) -> None:
        """Seen to fail: leave that to the schedule too."""
        fake.objects.put(ENDPOINT, {"spec": {}})

        with pytest.raises(GuardError, match="is not this release's"):
            endpoint.run_now(api_of(fake)[0], self.SETTINGS, lambda _: None)

    def test_a_quiet_moment_is_not_waited_for(
        self, fake: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may take 15 minutes; Helm waits for five. Seen to fail: do what the schedule does."""
        monkeypatch.setattr(endpoint, "take_effect", lambda *_: pytest.fail("not now"))
        monkeypatch.setattr(Switch, "settle", lambda _: pytest.fail("not now"))
        access = Access(Path("token"))
        switch = ReadOnlySettings(US, "one-gc-mode", SELECTOR, access, "me")
        settings = replace(SETTINGS, selector=SELECTOR, access=access, switch=switch)
        endpoint.run_now(api_of(fake)[0], settings, lambda _: None)

        assert ENDPOINT in fake.objects.by_path


class TestWhateverElseFails:
    def test_read_only_is_taken_back_first(
        self, fake: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where the kind of an edge is gone. Seen to fail: look at the cluster before."""
        done: list[str] = []

        def settle(_switch: Switch) -> bool:
            done.append("settled")
            return False

        monkeypatch.setattr(Switch, "settle", settle)
        fake.objects.missing.add("httproutes")
        access = Access(Path("token"))
        switch = ReadOnlySettings(US, "one-gc-mode", SELECTOR, access, "me")
        settings = replace(SETTINGS, route="one", switch=switch, tls_secret="")

        with pytest.raises(KindMissingError):
            endpoint.run(api_of(fake)[0], settings, lambda _: None)
        assert done == ["settled"]

    def test_a_certificate_is_renewed_without_the_definition_too(
        self, fake: FakeKubernetes
    ) -> None:
        """Seen to fail: ask for the RegistryEndpoint first, and end there."""
        del fake.objects.by_path[SECRET]
        fake.objects.missing.add(PLURAL)
        settings = replace(SETTINGS, certificate=TestCertificate.CERTIFICATE)

        with pytest.raises(KindMissingError):
            endpoint.run(api_of(fake)[0], settings, lambda _: None)
        assert SECRET in fake.objects.by_path


class TestSettings:
    def of(self, **variables: str) -> EndpointSettings:
        given = {"GC_RELEASE": "test", "GC_NAMESPACE": "registry", **variables}
        return EndpointSettings.from_environment(given, "nothing was published")

    def test_the_least(self) -> None:
        assert self.of() == EndpointSettings(US)

    def test_all(self, tmp_path: Path) -> None:
        found = self.of(
            GC_ENDPOINT="one",
            GC_SERVICE="svc",
            GC_INGRESS="ing",
            GC_HTTPROUTE="route",
            GC_ENDPOINT_ADDRESSES="a.example:1 10.0.0.5",
            GC_ENDPOINT_SCHEME="https",
            GC_ENDPOINT_CA_SECRET="ca",
            GC_ENDPOINT_NODE_HOST="registry.lan:5000",
            GC_ENDPOINT_NODE_VIA="NodeAddress",
            GC_ENDPOINT_LOOPBACK="false",
            GC_ENDPOINT_NODE_ADDRESS_TYPE="InternalIP",
            GC_TLS_SECRET="tls",
            GC_NODE_ADDRESSES="true",
            GC_HOSTING="true",
            GC_SELECTOR="app=a",
            GC_TOKEN_FILE=str(tmp_path / "token"),
            GC_MODE="mode",
            GC_TRUST="ns/trust",
            GC_TRUST_TIMEOUT="30s",
            GC_CRONJOB="one-endpoint",
            GC_POD_SCHEME="https",
        )

        assert found.wanted == Wanted(
            (Address("a.example", 1), Address("10.0.0.5")),
            "https",
            "ca",
            Address("registry.lan", 5000),
            "NodeAddress",
            loopback=False,
            address_type="InternalIP",
        )
        assert (found.name, found.service, found.ingress, found.route) == (
            "one", "svc", "ing", "route",
        )  # fmt: skip
        assert (found.nodes, found.hosting, found.trust) == (True, True, "ns/trust")
        assert (found.cron_job, found.pod_scheme) == ("one-endpoint", "https")
        assert found.access is not None
        assert found.access.port == 5002

    @pytest.mark.parametrize(
        ("variables", "named"),
        [
            ({"GC_RELEASE": ""}, "GC_RELEASE"),
            ({"GC_ENDPOINT_SCHEME": "ftp"}, "GC_ENDPOINT_SCHEME"),
            ({"GC_ENDPOINT_NODE_VIA": "x"}, "GC_ENDPOINT_NODE_VIA"),
            ({"GC_NODE_ADDRESSES": "yes"}, "GC_NODE_ADDRESSES"),
            ({"GC_ENDPOINT_ADDRESSES": "https://a"}, "'https://a' is not an address"),
            ({"GC_TRUST_TIMEOUT": "5"}, "GC_TRUST_TIMEOUT"),
        ],
    )
    def test_nonsense_is_named(self, variables: dict[str, str], named: str) -> None:
        with pytest.raises(ConfigurationError) as error:
            self.of(**variables)
        assert named in str(error.value)
