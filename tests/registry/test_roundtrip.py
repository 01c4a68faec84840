"""`registry-gc roundtrip` against real registries: open, with users, with TLS, a cache."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from registry.conftest import StartRegistry
from registry_gc.cli import main
from support.certificates import Certificate, self_signed, signed_by
from support.client import image
from support.registry_process import RegistryProcess
from support.token_server import ISSUER, SERVICE, token_server

# A test vector of bcrypt, so that no program is needed to make one: the password is `U*U`.
HTPASSWD = "user:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n"
USER = {"GC_USERNAME": "user", "GC_PASSWORD": "U*U"}


class Guarded(RegistryProcess):
    """A registry that speaks HTTPS, or lets in its users alone."""

    def wait_until_it_answers(self) -> None:
        """Leave that to the command, which waits by itself."""


def tried(url: str, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["roundtrip", url, *arguments], env=dict(env or {}))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[StartRegistry]:
    with ExitStack() as stack:

        def start(*, users: bool = False, tls: Certificate | None = None) -> RegistryProcess:
            environment: dict[str, str] = {}
            if users:
                (tmp_path / "htpasswd").write_text(HTPASSWD)
                environment |= {
                    "REGISTRY_AUTH": "htpasswd",
                    "REGISTRY_AUTH_HTPASSWD_REALM": "Registry Realm",
                    "REGISTRY_AUTH_HTPASSWD_PATH": str(tmp_path / "htpasswd"),
                }
            if tls:
                environment["REGISTRY_HTTP_TLS_CERTIFICATE"] = str(tls.crt)
                environment["REGISTRY_HTTP_TLS_KEY"] = str(tls.key)
            registry = Guarded(tmp_path / "guarded", environment=environment)
            return stack.enter_context(registry)

        yield start


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a folder that is filled with the keys of a TLS Secret."""
    folder = tmp_path / "secret"
    folder.mkdir()
    return folder


class TestOpen:
    @pytest.mark.parametrize("version", ["3.1.1", "2.8"])
    def test_the_image_goes_there_and_back_and_away(
        self, start_registry: StartRegistry, version: str
    ) -> None:
        registry = start_registry(version=version)

        first = tried(registry.url, "--must-delete")
        again = tried(registry.url, "--must-delete")

        assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
        assert "byte for byte" in first.output
        assert "deleted it" in first.output
        answer = registry.client().request("GET", "/v2/registry-gc/roundtrip/tags/list")
        assert b'"test"' not in answer.body

    def test_bytes_that_were_collected_meanwhile_are_kept_again(
        self, start_registry: StartRegistry
    ) -> None:
        """The registry's own collection behind a cache in memory: the next push is lost, and this
        is how one sees it. Seen to fail: another image each time.
        """
        registry = start_registry(cache="inmemory")
        assert tried(registry.url).exit_code == 0
        registry.garbage_collect("-m")

        done = tried(registry.url)

        assert done.exit_code == 1, done.output
        assert "does not give back what was pushed" in done.output

    def test_where_nothing_can_be_deleted_one_image_stays(
        self, start_registry: StartRegistry
    ) -> None:
        registry = start_registry(delete_enabled=False)

        runs = [tried(registry.url) for _ in range(3)]

        assert {run.exit_code for run in runs} == {0}, runs[0].output
        assert "nothing can be deleted here" in runs[0].output
        assert len(list((registry.v2 / "blobs").rglob("data"))) == 3
        assert tried(registry.url, "--must-delete").exit_code == 1

    def test_a_store_that_it_cannot_write_to(self, start_registry: StartRegistry) -> None:
        registry = start_registry()
        (registry.root / "docker").mkdir(parents=True)
        (registry.root / "docker/registry").write_text("in the way")

        done = tried(registry.url)

        assert done.exit_code == 1
        assert "takes no upload" in done.output

    def test_nothing_answers(self, start_registry: StartRegistry) -> None:
        registry = start_registry()
        registry.stop()

        done = tried(registry.url, "--timeout", "1s")

        assert done.exit_code == 6
        assert f"no registry answers at {registry.url}" in done.output

    def test_read_only(self, start_registry: StartRegistry) -> None:
        registry = start_registry(
            environment={"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled": true}'}
        )

        assert tried(registry.url, "--push-nothing").exit_code == 0
        refused = tried(registry.url)

        assert refused.exit_code == 1
        assert "--push-nothing" in refused.output


class TestPullThroughCache:
    def test_it_only_reads(self, start_registry: StartRegistry) -> None:
        upstream = start_registry()
        upstream.client().push("library/app", image("one"), "v1")
        cache = start_registry(started=False)
        text = cache.config_path.read_text()
        cache.config_path.write_text(f"{text}proxy: {{remoteurl: {upstream.url}}}\n")
        cache.start()

        empty = tried(cache.url, "--push-nothing")
        cache.client().pull("library/app", "v1")
        filled = tried(cache.url, "--push-nothing")
        pushed = tried(cache.url)

        assert (empty.exit_code, filled.exit_code) == (0, 0), empty.output + filled.output
        assert "holds no image yet" in empty.output
        assert "read library/app:v1" in filled.output
        assert (pushed.exit_code, "--push-nothing" in pushed.output) == (1, True)

    def test_a_damaged_layer_is_seen(self, start_registry: StartRegistry) -> None:
        registry = start_registry()
        pushed = image("one")
        registry.client().push("app", pushed, "v1")
        for data in (registry.v2 / "blobs").rglob("data"):
            if data.read_bytes() in pushed.blobs:
                data.write_bytes(bytes(reversed(data.read_bytes())))

        done = tried(registry.url, "--push-nothing")

        assert done.exit_code == 1
        assert "came back changed" in done.output


class TestUsers:
    def test_a_user_pushes_and_pulls(self, guarded: StartRegistry) -> None:
        done = tried(guarded(users=True).url, env=USER)

        assert done.exit_code == 0, done.output
        assert "lets the user in" in done.output

    @pytest.mark.parametrize("name", ["GC_USERNAME", "GC_PASSWORD"])
    def test_a_wrong_user_or_password(self, guarded: StartRegistry, name: str) -> None:
        done = tried(guarded(users=True).url, env={**USER, name: "wrong"})

        assert done.exit_code == 3
        assert "refuses the user" in done.output
        assert "U*U" not in done.output

    def test_none_are_given_and_some_are_wanted(self, guarded: StartRegistry) -> None:
        registry = guarded(users=True)

        pushing, looking = tried(registry.url), tried(registry.url, "--expect-refusal")

        assert pushing.exit_code == 3
        assert "set tests.username" in pushing.output
        assert looking.exit_code == 0
        assert "lets nobody in without credentials" in looking.output

    @pytest.mark.parametrize("arguments", [["--expect-refusal"], ["--username", "user"]])
    def test_a_registry_that_lets_anybody_in_is_not_the_one_that_was_meant(
        self, start_registry: StartRegistry, arguments: list[str]
    ) -> None:
        """A Service that selects another. Seen to fail: log in only where it is asked for."""
        done = tried(start_registry().url, *arguments)

        assert done.exit_code == 1
        assert "lets anybody in" in done.output


class TestTokens:
    """Users that another server knows, which is asked for each thing that is done."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> Iterator[str]:
        users = {
            ("all", "p"): {"delete", "pull", "push"},
            ("pusher", "p"): {"pull", "push"},
            ("reader", "p"): {"pull"},
        }
        with token_server(users, chain=False) as server:
            keys = tmp_path / "keys.json"
            keys.write_text(server.keys)
            environment = {
                "REGISTRY_AUTH": "token",
                "REGISTRY_AUTH_TOKEN_REALM": server.realm,
                "REGISTRY_AUTH_TOKEN_SERVICE": SERVICE,
                "REGISTRY_AUTH_TOKEN_ISSUER": ISSUER,
                "REGISTRY_AUTH_TOKEN_JWKS": str(keys),
            }
            with Guarded(tmp_path / "guarded", environment=environment) as registry:
                yield registry.url

    @pytest.mark.parametrize(
        ("user", "code", "said"),
        [
            ("all", 0, "deleted it"),
            ("pusher", 0, "may not delete"),
            ("reader", 3, "refuses the user 'reader'"),
            ("nobody", 3, "refuses the user 'nobody'"),
        ],
    )
    def test_who_may_do_what(self, url: str, user: str, code: int, said: str) -> None:
        """Seen to fail: ask for one token for everything."""
        done = tried(url, env={"GC_USERNAME": user, "GC_PASSWORD": "p"})

        assert (done.exit_code, said in done.output) == (code, True), done.output

    def test_without_a_user(self, url: str) -> None:
        assert tried(url, "--expect-refusal").exit_code == 0
        assert tried(url).exit_code == 3


class TestTls:
    def test_signed_by_the_secrets_authority(
        self, guarded: StartRegistry, tmp_path: Path, secret: Path
    ) -> None:
        authority = self_signed(tmp_path, "DNS:ca", authority=True, name="ca")
        own = signed_by(authority, tmp_path, "IP:127.0.0.1", name="server")
        (secret / "ca.crt").write_text(authority.crt.read_text())

        done = tried(url_of(guarded(tls=own)), "--tls-folder", str(secret))

        assert done.exit_code == 0, done.output
        assert "note" not in done.output

    def test_for_another_name_which_is_noted(
        self, guarded: StartRegistry, tmp_path: Path, secret: Path
    ) -> None:
        """Inside the cluster the host is the Service's. Seen to fail: check the name always."""
        authority = self_signed(tmp_path, "DNS:ca", authority=True, name="ca")
        own = signed_by(authority, tmp_path, "DNS:registry.example.com", name="server")
        (secret / "ca.crt").write_text(authority.crt.read_text())

        registry = guarded(tls=own)

        done = tried(url_of(registry), "--tls-folder", str(secret))

        assert done.exit_code == 0, done.output
        assert "its certificate is for registry.example.com, not for 127.0.0.1" in done.output
        assert registry.log_path.read_text().count("TLS handshake error") == 1  # is found out once

    def test_signed_by_another(self, guarded: StartRegistry, tmp_path: Path, secret: Path) -> None:
        """Seen to fail: ssl.CERT_NONE."""
        authority = self_signed(tmp_path, "DNS:ca", authority=True, name="ca")
        own = self_signed(tmp_path, "IP:127.0.0.1")
        (secret / "ca.crt").write_text(authority.crt.read_text())

        done = tried(url_of(guarded(tls=own)), "--tls-folder", str(secret))

        assert done.exit_code == 1
        assert "will not trust the certificate" in done.output

    def test_exactly_the_certificate_of_a_secret_without_authority(
        self, guarded: StartRegistry, tmp_path: Path, secret: Path
    ) -> None:
        """With its issuers after it, as a public authority's has; an empty ca.crt is none."""
        own = self_signed(tmp_path, "DNS:registry.example.com")
        issuer = self_signed(tmp_path, "DNS:ca", authority=True, name="ca")
        (secret / "ca.crt").write_text("")
        (secret / "tls.crt").write_text(own.crt.read_text() + issuer.crt.read_text())

        done = tried(url_of(guarded(tls=own, users=True)), "--tls-folder", str(secret), env=USER)

        assert done.exit_code == 0, done.output

    def test_another_certificate_than_the_secrets(
        self, guarded: StartRegistry, tmp_path: Path, secret: Path
    ) -> None:
        """Also one that the Secret's has signed. Seen to fail: trust what it has signed."""
        listed = self_signed(tmp_path, "DNS:ca", authority=True, name="ca")
        (secret / "tls.crt").write_text(listed.crt.read_text())
        for number, own in enumerate(
            (
                self_signed(tmp_path, "IP:127.0.0.1"),
                signed_by(listed, tmp_path, "IP:127.0.0.1", name="server"),
            )
        ):
            with Guarded(
                tmp_path / str(number),
                environment={
                    "REGISTRY_HTTP_TLS_CERTIFICATE": str(own.crt),
                    "REGISTRY_HTTP_TLS_KEY": str(own.key),
                },
            ) as registry:
                done = tried(url_of(registry), "--tls-folder", str(secret), env=USER)

            assert done.exit_code == 1
            assert "another certificate than the tls.crt" in done.output

    def test_without_a_folder_the_system_decides(
        self, guarded: StartRegistry, tmp_path: Path
    ) -> None:
        done = tried(url_of(guarded(tls=self_signed(tmp_path, "IP:127.0.0.1"))))

        assert done.exit_code == 1
        assert "will not trust" in done.output

    def test_any_certificate_if_told_so(self, guarded: StartRegistry, tmp_path: Path) -> None:
        own = self_signed(tmp_path, "DNS:registry.example.com")

        done = tried(url_of(guarded(tls=own, users=True)), "--any-certificate", env=USER)

        assert done.exit_code == 0, done.output
        assert "note: who has signed its certificate was not looked at" in done.output

    def test_the_wrong_scheme_is_said(
        self, guarded: StartRegistry, tmp_path: Path, secret: Path, start_registry: StartRegistry
    ) -> None:
        own = self_signed(tmp_path, "IP:127.0.0.1")
        (secret / "tls.crt").write_text(own.crt.read_text())

        plain = tried(guarded(tls=own).url)
        tls = tried(url_of(start_registry()), "--tls-folder", str(secret))

        assert (plain.exit_code, tls.exit_code) == (1, 1), plain.output + tls.output
        assert "HTTP request to an HTTPS server" in plain.output
        assert "does not speak HTTPS" in tls.output

    def test_a_password_is_never_sent_to_a_certificate_that_does_not_count(
        self, tmp_path: Path, secret: Path
    ) -> None:
        """Seen to fail: compare the certificate after the answer."""
        listed = self_signed(tmp_path, "DNS:listed", name="listed")
        own = self_signed(tmp_path, "IP:127.0.0.1")
        (secret / "tls.crt").write_text(listed.crt.read_text())
        with listening(own) as (port, received):
            done = tried(f"https://127.0.0.1:{port}", "--tls-folder", str(secret), env=USER)

        assert done.exit_code == 1
        assert received == []


@contextmanager
def listening(own: Certificate) -> Iterator[tuple[int, list[bytes]]]:
    """Accept one TLS connection; yield its port, and what it has received by the end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.crt, own.key)
    received: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                while content := secure.recv(4096):
                    received.append(content)
        except OSError:
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], received
        thread.join(20)


def url_of(registry: RegistryProcess) -> str:
    return registry.url.replace("http://", "https://")
