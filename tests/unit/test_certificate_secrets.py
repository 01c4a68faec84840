"""The two Secrets: whose they are, what is in which, and what happens when others write too."""

import base64
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from registry_gc.addresses import Address
from registry_gc.certificate_secrets import CertificateSettings, content, keep, remove
from registry_gc.certificates import hosts_in
from registry_gc.errors import ConfigurationError, GuardError
from registry_gc.kube_api import ApiDeniedError, path_of
from registry_gc.ownership import OWNER, Owner
from support.fake_kubernetes import FakeKubernetes
from support.kube import api_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
US = Owner("registry", "test")
SETTINGS = CertificateSettings(US, "one-tls", "one-tls-ca", (Address("registry.registry.svc"),))
SECRET = path_of("v1", "secrets", "registry", "one-tls")
AUTHORITY = path_of("v1", "secrets", "registry", "one-tls-ca")


@pytest.fixture
def fake() -> FakeKubernetes:
    return FakeKubernetes()


def run(
    fake: FakeKubernetes,
    *found: str,
    settings: CertificateSettings = SETTINGS,
    now: datetime = NOW,
) -> list[str]:
    """Return what was said."""
    said: list[str] = []
    keep(api_of(fake)[0], settings, tuple(map(Address.parse, found)), said.append, now)
    return said


def data(fake: FakeKubernetes, path: str) -> dict[str, bytes]:
    found = fake.objects.by_path[path]
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


class TestMade:
    def test_the_registry_gets_what_tls_secrets_hold(self, fake: FakeKubernetes) -> None:
        said = run(fake)
        secret = fake.objects.by_path[SECRET]

        assert secret["type"] == "kubernetes.io/tls"
        assert set(secret["data"]) == {"tls.crt", "tls.key", "ca.crt"}
        assert said == [
            "made an authority: there is none",
            "made a certificate for registry.registry.svc, until 2027-11-24: there is none",
        ]

    def test_no_pod_can_read_the_authoritys_key(self, fake: FakeKubernetes) -> None:
        """Whoever has it can sign for any host. Seen to fail: keep it beside the certificate."""
        run(fake)
        mounted, kept = data(fake, SECRET), data(fake, AUTHORITY)

        assert b"".join(mounted.values()).count(b"PRIVATE KEY-----\n") == 2  # one key: begin, end
        assert kept["ca.key"] not in mounted.values()
        assert kept["ca.crt"] == mounted["ca.crt"]
        assert fake.objects.by_path[AUTHORITY]["type"] == "Opaque"

    def test_the_authority_is_written_first(self, fake: FakeKubernetes) -> None:
        """Killed in between, its key would be lost. Seen to fail: write the certificate first."""
        run(fake)

        assert [path for _, path, *_ in fake.objects.written] == [AUTHORITY, SECRET]

    def test_they_carry_the_releases_mark(self, fake: FakeKubernetes) -> None:
        run(fake)

        for path in (SECRET, AUTHORITY):
            assert US.owns(fake.objects.by_path[path])

    def test_what_was_found_in_the_cluster_is_covered_too(self, fake: FakeKubernetes) -> None:
        run(fake, "10.0.0.5:30500", "registry.example.com")

        assert hosts_in(data(fake, SECRET)["tls.crt"]) == {
            "registry.registry.svc",
            "10.0.0.5",
            "registry.example.com",
        }

    def test_for_nobody_there_is_none(self, fake: FakeKubernetes) -> None:
        with pytest.raises(ConfigurationError, match="it would be for no host"):
            run(fake, settings=replace(SETTINGS, hosts=()))


class TestKept:
    def test_an_upgrade_writes_nothing(self, fake: FakeKubernetes) -> None:
        """Seen to fail: apply in any case."""
        run(fake, "10.0.0.5")
        fake.objects.written.clear()

        assert run(fake) == ["kept the certificate, which is good until 2027-11-24"]
        assert fake.objects.written == []

    def test_a_new_node_means_a_new_certificate_and_no_new_authority(
        self, fake: FakeKubernetes
    ) -> None:
        run(fake, "10.0.0.5")
        fake.objects.written.clear()
        said = run(fake, "10.0.0.5", "10.0.0.6")

        assert [path for _, path, *_ in fake.objects.written] == [SECRET]
        assert said[-1].endswith("it is not for 10.0.0.6")

    def test_a_dead_run_between_the_two_writes_is_ended(self, fake: FakeKubernetes) -> None:
        """Seen to fail: make a new authority whenever one of the two is missing."""
        run(fake)
        kept = data(fake, AUTHORITY)
        del fake.objects.by_path[SECRET]
        run(fake)

        assert data(fake, AUTHORITY) == kept
        assert data(fake, SECRET)["ca.crt"] == kept["ca.crt"]

    @pytest.mark.parametrize("number", range(5))
    def test_killed_at_any_moment_the_next_run_ends_it(
        self, fake: FakeKubernetes, number: int
    ) -> None:
        """Seen to fail: write the certificate before the authority that signed it."""
        api, direct = api_of(fake)
        asked: list[str] = []

        def die(method: str, path: str) -> None:
            if len(asked) == number:
                raise KeyboardInterrupt
            asked.append(f"{method} {path}")

        direct.meanwhile = die
        with suppress(KeyboardInterrupt):
            keep(api, SETTINGS, (), lambda _: None, NOW)
        run(fake)

        leaf = x509.load_pem_x509_certificate(data(fake, SECRET)["tls.crt"])
        leaf.verify_directly_issued_by(
            x509.load_pem_x509_certificate(data(fake, AUTHORITY)["ca.crt"])
        )
        assert data(fake, SECRET)["ca.crt"] == data(fake, AUTHORITY)["ca.crt"]


class TestOthers:
    @pytest.mark.parametrize("path", [SECRET, AUTHORITY])
    @pytest.mark.parametrize("mark", [None, "registry/another"])
    def test_a_foreign_secret_is_never_overwritten(
        self, fake: FakeKubernetes, path: str, mark: str | None
    ) -> None:
        """A user's certificate. Seen to fail: do not look for the mark."""
        body: dict[str, Any] = {"kind": "Secret", "data": {"tls.crt": "dGhlaXJz"}}
        if mark:
            body["metadata"] = {"annotations": {OWNER: mark}}
        fake.objects.put(path, body)

        with pytest.raises(GuardError, match="is not this release's") as error:
            run(fake)
        assert "tlsSecretName" in error.value.next_step
        assert (mark or "no annotation") in error.value.why
        assert fake.objects.written == []

    def test_one_that_appears_meanwhile_is_not_overwritten_either(
        self, fake: FakeKubernetes
    ) -> None:
        """Between our look and our write. Seen to fail: apply by force."""
        api, direct = api_of(fake)
        theirs = {"kind": "Secret", "type": "kubernetes.io/tls", "data": {"tls.crt": "dGhlaXJz"}}

        def appear(method: str, path: str) -> None:
            if method == "PATCH" and path == SECRET:
                direct.meanwhile = lambda _method, _path: None
                fake.objects.put(SECRET, theirs, "kubectl")

        direct.meanwhile = appear
        with pytest.raises(GuardError, match="is not this release's"):
            keep(api, SETTINGS, (), lambda _: None, NOW)
        assert fake.objects.by_path[SECRET]["data"] == theirs["data"]

    def test_one_that_was_edited_is_left_alone(self, fake: FakeKubernetes) -> None:
        """Seen to fail: force."""
        run(fake)
        edited = fake.objects.by_path[SECRET]
        edited["data"]["tls.crt"] = "dGhlaXJz"
        fake.objects.put(SECRET, edited, "kubectl-edit")

        with pytest.raises(GuardError, match="was changed by somebody else") as error:
            run(fake)
        assert "remove both Secrets" in error.value.next_step
        assert "kubectl-edit" in error.value.why
        assert fake.objects.by_path[SECRET]["data"]["tls.crt"] == "dGhlaXJz"

    def test_two_jobs_at_once_agree(self, fake: FakeKubernetes) -> None:
        """The second sees what the first made. Seen to fail: write without the version read."""
        run(fake, now=NOW)
        later = NOW + timedelta(days=300)
        api, direct = api_of(fake)

        def race(method: str, path: str) -> None:
            if method == "PATCH":
                direct.meanwhile = lambda _method, _path: None
                run(fake, now=later)

        direct.meanwhile = race
        said: list[str] = []
        keep(api, SETTINGS, (), said.append, later)

        assert said == ["kept the certificate, which is good until 2028-09-19"]

    def test_denied_is_a_sentence(self, fake: FakeKubernetes) -> None:
        fake.objects.denied.add(("patch", "secrets"))

        with pytest.raises(ApiDeniedError, match="no certificate was made: the Kubernetes API"):
            run(fake)


class TestRemoved:
    def test_ours_go_and_others_stay(self, fake: FakeKubernetes) -> None:
        """Seen to fail: delete by name."""
        run(fake)
        fake.objects.put(SECRET, {"kind": "Secret"})
        said: list[str] = []
        remove(api_of(fake)[0], SETTINGS, said.append)

        assert list(fake.objects.by_path) == [SECRET]
        assert said == [
            "the Secret one-tls is not this release's and stays",
            "the Secret one-tls-ca was removed",
        ]

    def test_nothing_to_remove(self, fake: FakeKubernetes) -> None:
        """Seen to fail: remove without a look, which says that it has removed something."""
        said: list[str] = []
        remove(api_of(fake)[0], SETTINGS, said.append)

        assert said == []
        assert fake.objects.written == []


class TestSettings:
    def of(self, **variables: str) -> CertificateSettings | None:
        given = {"GC_TLS_SECRET": "a", "GC_TLS_AUTHORITY_SECRET": "b", **variables}
        return CertificateSettings.from_environment(given, US)

    def test_all(self) -> None:
        found = self.of(GC_TLS_HOSTS=" a.example:5000\n10.0.0.5 ", GC_TLS_LIFETIME="90d")

        assert found == CertificateSettings(
            US,
            "a",
            "b",
            (Address("a.example", 5000), Address("10.0.0.5")),
            timedelta(days=90),
        )

    def test_without_an_authority_there_is_nothing_to_keep(self) -> None:
        assert self.of(GC_TLS_AUTHORITY_SECRET="") is None

    @pytest.mark.parametrize(
        ("variables", "named"),
        [
            ({"GC_TLS_SECRET": ""}, "GC_TLS_SECRET"),
            ({"GC_TLS_HOSTS": "https://a"}, "'https://a' is not an address"),
            ({"GC_TLS_LIFETIME": "1m"}, "GC_TLS_LIFETIME"),
            ({"GC_TLS_AUTHORITY_LIFETIME": "366d"}, "GC_TLS_AUTHORITY_LIFETIME"),
        ],
    )
    def test_nonsense_is_named(self, variables: dict[str, str], named: str) -> None:
        with pytest.raises(ConfigurationError) as error:
            self.of(**variables)
        assert named in str(error.value)


@pytest.mark.parametrize("text", ["", "!", "YQ", None])
def test_a_damaged_secret_holds_nothing(text: str | None) -> None:
    """Then it is made anew. Seen to fail: let binascii raise."""
    assert content({"data": {"tls.crt": text}}, "tls.crt") == b""
    assert content({}, "tls.crt") == b""
    assert content(None, "tls.crt") == b""
