"""The Kubernetes API as a person or a pod reaches it: kubeconfigs, tokens, certificates."""

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry_gc import in_cluster, kube_client
from registry_gc.errors import ConfigurationError
from registry_gc.kube_api import ApiDeniedError, ApiUnavailableError, path_of
from support.fake_kubernetes import FakeKubernetes, certificate, fake_kubernetes, kubeconfig

SECRET = path_of("v1", "secrets", "registry", "one")


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeKubernetes]:
    with fake_kubernetes() as running:
        yield running


def use(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    monkeypatch.setattr(default, str(path))


def with_a_program(folder: Path, port: int, said: str) -> Path:
    """Return a kubeconfig whose credentials come from a program, as of the large clouds."""
    program = folder / "login"
    program.write_text(f"#!/bin/sh\necho run >> {folder}/runs\n{said}\n")
    program.chmod(0o755)
    path = kubeconfig(folder, port)
    config = json.loads(path.read_text())
    api_version = "client.authentication.k8s.io/v1"
    asked = {"apiVersion": api_version, "command": str(program), "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": asked}
    path.write_text(json.dumps(config))
    return path


def credential(token: str, ends: datetime) -> str:
    status = {"token": token, "expirationTimestamp": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}
    found = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": status,
    }
    return f"echo '{json.dumps(found)}'"


class TestFromOutside:
    def test_credentials_of_a_program(
        self, fake: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And it is run again once they have ended. Seen to fail: send no token."""
        ended = datetime.now(UTC) - timedelta(minutes=1)
        use(with_a_program(tmp_path, fake.port, credential("abc", ended)), monkeypatch)
        api = kube_client.api("nothing was written")
        api.get(SECRET)
        api.get(SECRET)

        assert {asked[2] for asked in fake.asked} == {"Bearer abc"}
        assert len((tmp_path / "runs").read_text().split()) > 1

    def test_a_program_that_fails_is_a_sentence(
        self, fake: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client then asks as nobody. Seen to fail: tell a person of a service account."""
        use(with_a_program(tmp_path, fake.port, "exit 1"), monkeypatch)
        fake.refusals = [401]

        with pytest.raises(ApiDeniedError, match="does not know who asks") as error:
            kube_client.api("nothing was written").get(SECRET)
        assert "`kubectl get pods` works with the same KUBECONFIG" in error.value.next_step

    @pytest.mark.parametrize("content", ["", "{[", "- a", "\x00", "users: 1", "{}"])
    def test_what_is_no_kubeconfig(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
    ) -> None:
        """Seen to fail: expect the client's own errors only."""
        (tmp_path / "config").write_text(content)
        use(tmp_path / "config", monkeypatch)

        with pytest.raises(ConfigurationError, match="no Kubernetes API is known") as error:
            kube_client.api("nothing was written")
        assert "KUBECONFIG" in error.value.next_step


class TestInAPod:
    @pytest.fixture
    def account(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A service account's folder, and an API that it is for."""
        folder = tmp_path / "account"
        folder.mkdir()
        both = certificate(tmp_path)
        (folder / "ca.crt").write_text(both.read_text())
        (folder / "token").write_text("first")
        loader = "kubernetes.config.incluster_config"
        monkeypatch.setattr(f"{loader}.SERVICE_TOKEN_FILENAME", str(folder / "token"))
        monkeypatch.setattr(f"{loader}.SERVICE_CERT_FILENAME", str(folder / "ca.crt"))
        with fake_kubernetes(both) as running:
            monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(running.port))
            self.running = running
            yield folder

    def test_a_token_that_is_away_for_a_moment(
        self, account: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who keeps read-only must not die of it. Seen to fail: let the client's error through."""
        monkeypatch.setattr(
            "kubernetes.config.incluster_config.InClusterConfigLoader._read_token_file",
            token_for_no_time(account),
        )
        api = kube_client.api("nothing was written")
        api.patience = 0.0
        (account / "token").unlink()

        with pytest.raises(ApiUnavailableError) as error:
            api.get(SECRET)
        assert "there is no token" in error.value.why
        (account / "token").write_text("second")
        api.get(SECRET)

        assert [asked[2] for asked in self.running.asked] == ["bearer second"]

    def test_without_a_token_it_is_told(self, account: Path) -> None:
        """Seen to fail: tell of a kubeconfig."""
        (account / "token").unlink()

        with pytest.raises(ConfigurationError) as error:
            kube_client.api("nothing was written")
        assert (error.value.why, error.value.next_step) == (
            "Service token file does not exist.",
            "give this pod a service account's token",
        )

    def test_an_api_whose_certificate_is_an_old_one(
        self, account: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Some clusters' have no key identifiers. Seen to fail: leave Python 3.13's flags."""
        made: list[ssl.SSLContext] = []
        monkeypatch.setattr(kube_client, "create_urllib3_context", strict(made))
        monkeypatch.setattr(ssl, "create_default_context", strict(made))
        kube_client.api("nothing was written").get(SECRET)
        in_cluster.api("nothing was written", account).get(SECRET)

        assert len(made) == 2
        assert not any(each.verify_flags & ssl.VERIFY_X509_STRICT for each in made)

    def test_a_renewed_authority_is_believed(self, account: Path, tmp_path: Path) -> None:
        """By who runs for months. Seen to fail: read it once."""
        good = (account / "ca.crt").read_text()
        other = tmp_path / "other"
        other.mkdir()
        (account / "ca.crt").write_text(certificate(other).read_text())
        api = in_cluster.api("nothing was written", account)
        api.patience = 0.0
        with pytest.raises(ApiUnavailableError):
            api.get(SECRET)
        (account / "ca.crt").write_text(good)
        api.get(SECRET)

        assert self.running.asked


def token_for_no_time(account: Path) -> Any:
    """Return how the client reads a token, without the minute for which it believes it."""

    def read(loader: Any) -> None:
        loader.token = "bearer " + (account / "token").read_text()
        loader.token_expires_at = datetime.now() - timedelta(seconds=1)

    return read


def strict(made: list[ssl.SSLContext]) -> Any:
    default = ssl.create_default_context

    def create(cafile: Path | None = None) -> ssl.SSLContext:
        context = default(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        made.append(context)
        return context

    return create
