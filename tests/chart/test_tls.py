"""The registry's own certificate: where it comes from, for whom it is, what the pod is told."""

import json
from typing import Any

import pytest

from helm_chart_test import Object, containers, differences, merged, object_id, pod_template
from helm_chart_test.fixtures import Renderer
from registry_gc.certificates import hosts_of
from registry_gc.endpoint_settings import EndpointSettings
from registry_gc.errors import ConfigurationError, GuardError
from support.chart import KUBE_VERSIONS, problems
from support.granted import granted, named
from support.rendered import (
    environment,
    every,
    main_service,
    one,
    registry_container,
    registry_env,
    registry_pod,
)

NAME = "test-docker-registry"
SELF_SIGNED: dict[str, Any] = {"tls": {"mode": "selfSigned"}}
CERT_MANAGER: dict[str, Any] = {
    "tls": {"mode": "certManager", "certManager": {"issuerRef": {"name": "ours"}}}
}
COLLECTED: dict[str, Any] = {"garbageCollect": {"enabled": True}}
CLIENTS: dict[str, Any] = {"tlsSecretName": "mine", "tls": {"clientCA": {"secretRef": "clients"}}}
PAIR = {"crt": "CERTIFICATE", "key": "KEY"}
SERVICE_NAMES = [
    NAME,
    f"{NAME}.test-ns",
    f"{NAME}.test-ns.svc",
    f"{NAME}.test-ns.svc.cluster.local",
]
INTERNAL = [*SERVICE_NAMES, "localhost", "127.0.0.1", "::1"]

MODES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, ""),
    "none": ({"tls": {"mode": "none"}}, ""),
    "a Secret": ({"tlsSecretName": "mine"}, "mine"),
    "a Secret by a template": ({"tlsSecretName": "{{ .Release.Name }}-tls"}, "test-tls"),
    "a Secret, said": ({"tlsSecretName": "mine", "tls": {"mode": "secret"}}, "mine"),
    "texts": ({"tls": PAIR}, f"{NAME}-tls"),
    "texts, said": ({"tls": {**PAIR, "mode": "secret"}}, f"{NAME}-tls"),
    "cert-manager": (CERT_MANAGER, f"{NAME}-certmanager"),
    "its own": (SELF_SIGNED, f"{NAME}-selfsigned"),
}


def mounted(objects: list[Object], volume: str = "tls-cert") -> dict[str, str]:
    """Return where each container of the registry's pod has a volume."""
    return {
        name: mount["mountPath"]
        for name, container in containers(registry_pod(objects)).items()
        for mount in container.get("volumeMounts", [])
        if mount["name"] == volume
    }


def secret_of_volume(objects: list[Object], volume: str = "tls-cert") -> Any:
    volumes = registry_pod(objects)["spec"]["volumes"]
    return next((each["secret"] for each in volumes if each["name"] == volume), None)


def tls_env(objects: list[Object]) -> dict[str, Any]:
    prefix = "REGISTRY_HTTP_TLS_"
    found = registry_env(objects)
    return {key.removeprefix(prefix): found[key] for key in found if key.startswith(prefix)}


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_has_its_secret(render: Renderer, mode: str) -> None:
    """In the registry's container and in the collector's, which compares it with what is served.

    Seen to fail: docker-registry.tlsSecret without `certManager`; no mount in the sidecar.
    """
    values, secret = MODES[mode]
    objects = render(merged(values, COLLECTED))
    assert secret_of_volume(objects) == ({"secretName": secret} if secret else None)
    here = "/etc/ssl/docker"
    every_container = dict.fromkeys(("gc-write-test", "gc", "docker-registry"), here)
    assert mounted(objects) == (every_container if secret else {})
    made = {thing["metadata"]["name"] for thing in every(objects, "Secret")}
    assert (secret in made) is mode.startswith("texts")
    own = tls_env(objects)
    assert own.get("CERTIFICATE") == (f"{here}/tls.crt" if secret else None)
    assert own.get("KEY") == (f"{here}/tls.key" if secret else None)
    (port,) = main_service(objects)["spec"]["ports"]
    assert port["name"] == ("https-5000" if secret else "http-5000")
    probe = registry_container(objects)["readinessProbe"]["httpGet"]
    assert probe.get("scheme", "HTTP") == ("HTTPS" if secret else "HTTP")


@pytest.mark.parametrize("mode", MODES)
def test_the_test_of_the_release_goes_by_the_same_secret(render: Renderer, mode: str) -> None:
    """Seen to fail: the test's volume from tlsSecretName."""
    values, secret = MODES[mode]
    pod = one(render(values), "Pod", "-test")
    found = [volume["secret"]["secretName"] for volume in pod["spec"].get("volumes", [])]
    assert found == [secret][: bool(secret)]


def test_a_peer_s_secret_alone_adds_nothing(render: Renderer) -> None:
    """Who comes from another chart with a certificate gets no script, no rights, no other image.

    Seen to fail: restartOnRenewal in force for every Secret; REGISTRY_HTTP_TLS_MINIMUMTLS always.
    """
    for values in ({"tlsSecretName": "mine"}, {"tls": PAIR}):
        objects = render(merged(values, {"tests": {"enabled": False}}))
        kinds = {"ConfigMap", "Deployment", "Secret", "Service"}
        assert {thing["kind"] for thing in objects} == kinds
        assert tls_env(objects).keys() == {"CERTIFICATE", "KEY"}
        assert "registry-gc" not in json.dumps(objects)


def test_to_say_the_mode_only_says_it(render: Renderer) -> None:
    """Seen to fail: the certificate in the variables of a mode only."""
    given = {"secrets": {"haSharedSecret": "given"}, "tlsSecretName": "mine"}
    said = differences(render(given), render(merged(given, {"tls": {"mode": "secret"}})))
    assert said
    assert all("spec.template.spec.containers" in each and ".env" in each for each in said), said


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"tls": {"minimumVersion": "1.3"}}, None),
        ({"tlsSecretName": "mine"}, None),
        ({"tlsSecretName": "mine", "tls": {"minimumVersion": "1.3"}}, "tls1.3"),
        ({"tlsSecretName": "mine", "tls": {"minimumVersion": 1.3}}, "tls1.3"),
        (SELF_SIGNED, "tls1.2"),
        (merged(SELF_SIGNED, {"tls": {"minimumVersion": "1.3"}}), "tls1.3"),
        (merged(SELF_SIGNED, {"configData": {"http": {"tls": {"minimumtls": "tls1.3"}}}}), None),
        (
            {
                "configData": {"http": {"tls": {"certificate": "/c", "key": "/k"}}},
                "tls": {"minimumVersion": "1.3"},
            },
            "tls1.3",
        ),
    ],
)
def test_the_oldest_tls(render: Renderer, values: dict[str, Any], expected: str | None) -> None:
    """What the configuration says counts. Seen to fail: without `configured`."""
    assert tls_env(render(values)).get("MINIMUMTLS") == expected


class TestClientsCertificates:
    """`tls.clientCA`."""

    def test_the_authority_is_mounted_and_named(self, render: Renderer) -> None:
        """Seen to fail: the variable as a text, which the registry takes for no list."""
        objects = render(merged(CLIENTS, COLLECTED, {"tls": {"clientCA": {"key": "chain.pem"}}}))
        assert secret_of_volume(objects, "tls-client-ca") == {
            "secretName": "clients",
            "items": [{"key": "chain.pem", "path": "ca.crt"}],
        }
        here = "/etc/docker-registry/client-ca"
        assert mounted(objects, "tls-client-ca") == dict.fromkeys(
            ("gc-write-test", "gc", "docker-registry"), here
        )
        own = tls_env(objects)
        assert json.loads(own["CLIENTCAS"]) == [f"{here}/ca.crt"]
        assert "CLIENTAUTH" not in own  # the registry's own: required, also in 2.8

    def test_without_it_nobody_is_asked(self, render: Renderer) -> None:
        objects = render({"tlsSecretName": "mine"})
        assert mounted(objects, "tls-client-ca") == {}
        assert not {"CLIENTCAS", "CLIENTAUTH"} & tls_env(objects).keys()

    def test_a_certificate_may_be_left_out(self, render: Renderer) -> None:
        """Seen to fail: without CLIENTAUTH, which registry 3 takes for `required`."""
        objects = render(merged(CLIENTS, {"tls": {"clientCA": {"required": False}}}))
        assert tls_env(objects)["CLIENTAUTH"] == "verify-client-cert-if-given"
        probes = self._probes(objects)
        assert {probe["httpGet"]["path"] for probe in probes.values()} == {"/"}
        assert every(objects, "Pod")

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({}, {"tcpSocket": {"port": 5000}}),
            (
                {"metrics": {"enabled": True, "port": 5009}},
                {"httpGet": {"path": "/debug/health", "port": 5009}},
            ),
            (
                {"configData": {"http": {"debug": {"addr": ":5008"}}}},
                {"httpGet": {"path": "/debug/health", "port": 5008}},
            ),
            # A kubelet does not reach that one.
            (
                {"configData": {"http": {"debug": {"addr": "localhost:5008"}}}},
                {"tcpSocket": {"port": 5000}},
            ),
        ],
    )
    def test_probes_show_none(
        self, render: Renderer, more: dict[str, Any], expected: dict[str, Any]
    ) -> None:
        """Seen to fail: httpGet, which every registry with client certificates turns away."""
        for values in (CLIENTS, {"configData": {"http": {"tls": {
                "certificate": "/c", "key": "/k", "clientcas": ["/ca"]}}}}):  # fmt: skip
            for name, probe in self._probes(render(merged(values, more))).items():
                asks = {key: probe[key] for key in probe if key in ("httpGet", "tcpSocket")}
                assert asks == expected, name

    def test_a_probe_of_the_user_s_own_stays(self, render: Renderer) -> None:
        own = {
            "livenessProbe": {"exec": {"command": ["true"]}},
            "readinessProbe": {"periodSeconds": 7},
        }
        probes = self._probes(render(merged(CLIENTS, own)))
        assert probes["livenessProbe"] == {"exec": {"command": ["true"]}}
        assert probes["readinessProbe"] == {
            "periodSeconds": 7, "timeoutSeconds": 5, "tcpSocket": {"port": 5000},
        }  # fmt: skip

    def test_there_is_no_test_that_could_not_pass(self, render: Renderer) -> None:
        """Seen to fail: docker-registry.tests.exists without clientsMust."""
        assert every(render(CLIENTS), "Pod") == []
        assert "helm test" not in render.notes(CLIENTS)

    @staticmethod
    def _probes(objects: list[Object]) -> dict[str, Any]:
        container = registry_container(objects)
        return {key: container[key] for key in container if key.endswith("Probe")}


def job_of(objects: list[Object]) -> Object:
    return one(objects, "Job", "-certificates")


def settings_of(objects: list[Object]) -> EndpointSettings:
    """Return what the script makes of the Job's environment."""
    pod = pod_template(job_of(objects))
    assert pod is not None
    return EndpointSettings.from_environment(environment(containers(pod)["certificates"]), "")


class TestTheJob:
    """`selfSigned`: what makes the certificate before the pod that mounts it."""

    @pytest.mark.parametrize("mode", [name for name in MODES if name != "its own"])
    def test_no_other_mode_has_it(self, render: Renderer, mode: str) -> None:
        objects = render(MODES[mode][0])
        assert [object_id(thing) for thing in objects if "certificates" in object_id(thing)] == []

    def test_it_runs_before_all_else(self, each_helm: Renderer) -> None:
        """Before a rollback too: an upgrade may have removed what the older revision mounts.

        Seen to fail: weight 0, after the preflight; an account of the same weight as the Job.
        """
        objects = each_helm(SELF_SIGNED)
        notes = job_of(objects)["metadata"]["annotations"]
        assert notes["helm.sh/hook"] == "pre-install,pre-upgrade,pre-rollback"
        weights = {
            object_id(thing): int(thing["metadata"]["annotations"]["helm.sh/hook-weight"])
            for thing in objects
            if "pre-" in thing["metadata"].get("annotations", {}).get("helm.sh/hook", "")
        }
        mine = weights.pop(f"Job/{NAME}-certificates")
        needed = {key: weights.pop(key) for key in list(weights) if key.endswith("-certificates")}
        assert {key.partition("/")[0] for key in needed} == {
            "Role",
            "RoleBinding",
            "ServiceAccount",
        }
        assert max(needed.values()) < mine < min(weights.values())

    def test_what_a_failed_one_leaves_goes_with_the_release(self, render: Renderer) -> None:
        """Helm 3 leaves the account and its rights there. Seen to fail: without pre-delete."""
        needed = {
            thing["kind"]: thing["metadata"]["annotations"]
            for thing in render(SELF_SIGNED)
            if object_id(thing).endswith("-certificates") and thing["kind"] != "Job"
        }
        assert needed.keys() == {"ServiceAccount", "Role", "RoleBinding"}
        for notes in needed.values():
            assert "pre-delete" in notes["helm.sh/hook"].split(",")
            assert notes["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"

    def test_it_is_tried_again_unless_its_answer_would_be_the_same(self, render: Renderer) -> None:
        """A node that fails is no answer. Seen to fail: backoffLimit 0; 5 among the answers."""
        job = job_of(render(SELF_SIGNED))
        assert job["spec"]["backoffLimit"] > 0
        (rule,) = job["spec"]["podFailurePolicy"]["rules"]
        assert rule["action"] == "FailJob"
        answers = [ConfigurationError.exit_code, GuardError.exit_code]
        assert sorted(rule["onExitCodes"]["values"]) == sorted(answers)
        pod = pod_template(job)
        assert pod is not None
        assert [rule["onExitCodes"]["containerName"]] == list(containers(pod))
        assert pod["spec"]["restartPolicy"] == "Never"
        # Helm 4 prints its sentence where people look.
        assert job["metadata"]["annotations"]["helm.sh/hook-output-log-policy"] == "hook-failed"

    def test_what_it_is_told_is_what_the_script_reads(self, render: Renderer) -> None:
        """Seen to fail: lifetimes as numbers; GC_TLS_HOSTS with commas."""
        values = {
            "tls": {
                "mode": "selfSigned",
                "names": [
                    "{{ .Release.Name }}.example.com",
                    "10.0.0.5",
                    "[FD00::5]:30500",
                    "B.example.com:5000",
                ],
                "selfSigned": {"lifetime": "90d", "authorityLifetime": "1000d"},
            },
            "service": {
                "type": "LoadBalancer",
                "loadBalancerIP": "192.0.2.1",
                "externalIPs": ["192.0.2.2"],
            },
            "endpoint": {"addresses": ["edge.example.com:30500"]},
            "ingress": {"enabled": True, "hosts": ["at-the-edge.example.com"]},
        }  # fmt: skip
        settings = settings_of(render(values))
        certificate = settings.certificate
        assert certificate is not None
        assert (certificate.secret, certificate.authority_secret) == (
            f"{NAME}-selfsigned",
            f"{NAME}-selfsigned-ca",
        )
        assert (certificate.lifetime.days, certificate.authority_lifetime.days) == (90, 1000)
        assert hosts_of(certificate.hosts) == (
            *INTERNAL, "192.0.2.2", "192.0.2.1", "edge.example.com", "test.example.com", "10.0.0.5",
            "fd00::5", "b.example.com",
        )  # fmt: skip
        assert (settings.namespace, settings.owner.release) == ("test-ns", "test")
        assert settings.service == NAME
        assert settings.selector == ""  # it may list no pods: before an install there are none

    def test_nodes_are_trusted_by_a_name_that_is_in_it(self, render: Renderer) -> None:
        """Seen to fail: the host with its port; the host of a trust that is off."""
        trust = {"host": "registry.lan:5000", "enabled": True}
        on = {"endpoint": {"enabled": True}, "service": {"type": "NodePort"}, "nodeTrust": trust}
        for values, there in ((on, True), ({"nodeTrust": {**trust, "enabled": False}}, False)):
            certificate = settings_of(render(merged(SELF_SIGNED, values))).certificate
            assert certificate is not None
            assert ("registry.lan" in hosts_of(certificate.hosts)) is there

    def test_it_may_touch_two_secrets(self, render: Renderer) -> None:
        """Seen to fail: `list` of Secrets; the authority's Secret left out."""
        objects = render(SELF_SIGNED)
        account = f"{NAME}-certificates"
        secrets = {f"{NAME}-selfsigned", f"{NAME}-selfsigned-ca"}
        assert named(objects, account, "secrets") == secrets
        assert granted(objects, account) == {
            ("get", "secrets"), ("create", "secrets"), ("patch", "secrets"), ("get", "services"),
            ("get", "deployments"), ("create", "events"),
        }  # fmt: skip

    def test_nodes_are_listed_only_where_that_is_allowed(self, render: Renderer) -> None:
        """Seen to fail: the ClusterRole without the condition."""
        port = {"service": {"type": "NodePort"}}
        for allowed in (True, False):
            values = merged(SELF_SIGNED, port, {"endpoint": {"nodeAddresses": allowed}})
            objects = render(values)
            rights = granted(objects, f"{NAME}-certificates")
            assert (("list", "nodes") in rights) is allowed
            assert settings_of(objects).nodes is allowed

    def test_nobody_mounts_the_authority(self, render: Renderer) -> None:
        """Its key can speak for any host. Seen to fail: tlsSecret names the authority's."""
        objects = render(merged(SELF_SIGNED, COLLECTED, {"endpoint": {"enabled": True}}))
        volumes = [
            volume
            for thing in objects
            if (pod := pod_template(thing))
            for volume in pod["spec"].get("volumes", [])
        ]
        assert f'"{NAME}-selfsigned"' in json.dumps(volumes)
        assert f"{NAME}-selfsigned-ca" not in json.dumps(volumes)

    def test_it_counts_for_the_preflight(self, render: Renderer) -> None:
        """Its image must be there before anything else waits for it."""
        assert one(render(SELF_SIGNED), "Job", "-preflight")
        assert not every(render({"tlsSecretName": "mine"}), "Job")

    def test_names_that_are_cut_stay_apart(self, render: Renderer) -> None:
        """Seen to fail: `trunc` alone."""
        names = set()
        for end in "ab":
            objects = render(merged(SELF_SIGNED, {"fullnameOverride": "r" * 62 + end}))
            names.add(job_of(objects)["metadata"]["name"])
            assert problems(objects) == []
        assert len(names) == 2
        assert max(map(len, names)) <= 63


def certificate_of(render: Renderer, *more: dict[str, Any]) -> Object:
    return one(render(merged(CERT_MANAGER, *more)), "Certificate")


class TestTheCertificate:
    """`certManager`."""

    @pytest.mark.parametrize("kube_version", KUBE_VERSIONS)
    def test_it_has_all_names_and_the_addresses_apart(
        self, each_helm: Renderer, kube_version: str
    ) -> None:
        """Seen to fail: an address among dnsNames, which cert-manager takes for a name."""
        values = merged(CERT_MANAGER, {
            "tls": {"names": ["*.example.com", "10.0.0.5", "[fd00::5]:443", "a.example.com:5000"]},
        })  # fmt: skip
        objects = each_helm(values, kube_version=kube_version)
        assert problems(objects, kube_version=kube_version) == []
        spec = one(objects, "Certificate")["spec"]
        assert spec == {
            "secretName": f"{NAME}-certmanager",
            "issuerRef": {"name": "ours", "kind": "Issuer", "group": "cert-manager.io"},
            "dnsNames": [*SERVICE_NAMES, "localhost", "*.example.com", "a.example.com"],
            "ipAddresses": ["127.0.0.1", "::1", "10.0.0.5", "fd00::5"],
            "usages": ["digital signature", "key encipherment", "server auth"],
        }

    def test_a_public_authority_is_asked_for_public_names(self, render: Renderer) -> None:
        """Seen to fail: localhost left in it."""
        values = {"tls": {"names": ["a.example.com"], "certManager": {"internalNames": False}}}
        more = {"service": {"externalIPs": ["192.0.2.1"]}}
        spec = certificate_of(render, values, more)["spec"]
        assert spec["dnsNames"] == ["a.example.com"]
        assert "ipAddresses" not in spec

    def test_durations_are_as_cert_manager_reads_them(self, render: Renderer) -> None:
        """Seen to fail: `30d`, which Go does not know."""
        given = {"duration": "30d", "renewBefore": "90m"}
        spec = certificate_of(render, {"tls": {"certManager": given}})["spec"]
        assert (spec["duration"], spec["renewBefore"]) == ("720h", "5400s")

    def test_it_takes_effect_by_itself(self, render: Renderer) -> None:
        """cert-manager renews while nobody upgrades. Seen to fail: only with selfSigned."""
        assert one(render(CERT_MANAGER), "CronJob", "-endpoint")
        off = merged(CERT_MANAGER, {"tls": {"restartOnRenewal": False}})
        assert every(render(off), "CronJob") == []

    def test_without_its_kind_it_is_refused(self, each_helm: Renderer) -> None:
        """Seen to fail: `lookup`, which finds nothing in `helm template`."""
        error = each_helm.error(CERT_MANAGER, api_versions=())
        assert "the cluster does not know cert-manager's Certificates" in error
        assert "--api-versions cert-manager.io/v1" in error
