"""What a roundtrip says of registries that a real one would not be: a server that misbehaves."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from registry_gc.errors import (
    AnswerError,
    CollectorError,
    ConfigurationError,
    RefusedError,
    UnreachableError,
)
from registry_gc.registry_client import Registry, Trust
from registry_gc.roundtrip import RoundtripOptions, roundtrip

_QUICK = timedelta(milliseconds=1)


@dataclass
class Server:
    """A registry in memory, as small as it can be, and what is wrong with it."""

    prefix: str = ""
    forgets: str = ""  # what of it is gone once it was pushed: manifests or blobs
    alters: bool = False
    keeps: bool = False  # what is deleted
    forbids: str = ""  # a method that nobody may use
    location: str = ""  # goes before each Location, as `http.host` does
    unready: int = 0  # how many first answers are 503
    plain: bool = False  # says nothing of being a registry
    redirects: str = ""  # where blobs are
    token: str = ""  # wanted, and given by /token for user:password
    scopes: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    content: dict[str, bytes] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    def answer(
        self, method: str, path: str, query: str, authorization: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.paths.append(f"{method} {path}")
        if path == "/token":
            return self._give_token(query, authorization)
        if self.unready:
            self.unready -= 1
            return 503, {}, b""
        if self.plain:
            return 200, {}, b"welcome"
        if self.token and authorization != f"Bearer {self.token}":
            realm = f'Bearer realm="http://127.0.0.1:{self.port}/token",service="here"'
            return 401, {"WWW-Authenticate": realm}, b'{"errors":[{"code":"UNAUTHORIZED"}]}'
        self.authorizations.append(authorization)
        if method == self.forbids:
            return 403, {}, b'{"errors":[{"code":"DENIED","message":"not you"}]}'
        path = path.removeprefix(self.prefix)
        answer: tuple[int, dict[str, str], bytes] = getattr(self, f"_{method.lower()}")(
            path, query, body
        )
        return answer

    def _give_token(self, query: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        asked = parse_qs(query)
        self.scopes += asked.get("scope", [""])
        expected = base64.b64encode(b"user:password").decode()
        if authorization != f"Basic {expected}":
            return 401, {}, b""
        return 200, {}, json.dumps({"token": self.token}).encode()

    def _get(self, path: str, _: str, __: bytes) -> tuple[int, dict[str, str], bytes]:
        if path == "/v2/":
            return 200, {}, b"{}"
        name = path.rpartition("/")[2]
        kind = path.split("/")[-2]
        if self.redirects and kind == "blobs":
            return 307, {"Location": f"{self.redirects}/{name}"}, b""
        if name not in self.content or kind == self.forgets:
            return 404, {}, b'{"errors":[{"code":"UNKNOWN","message":"not here"}]}'
        found = self.content[name]
        return 200, {}, found[:-1] + b"\0" if self.alters else found

    def _post(self, path: str, _: str, __: bytes) -> tuple[int, dict[str, str], bytes]:
        return 202, {"Location": f"{self.location}{self.prefix}{path}id?state=s"}, b""

    def _put(self, path: str, query: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if "/uploads/" in path:
            assert "state=s" in query
            self.content[parse_qs(query)["digest"][0]] = body
        else:
            self.content["test"] = body
            self.content[digest(body)] = body
        return 201, {}, b""

    def _delete(self, path: str, _: str, __: bytes) -> tuple[int, dict[str, str], bytes]:
        if not self.keeps:
            self.content.pop(path.rpartition("/")[2])
            if "/manifests/" in path:
                self.content.pop("test")
        return 202, {}, b""


def digest(content: bytes) -> str:
    from support.client import digest_of

    return digest_of(content)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            authorization = self.headers.get("Authorization", "")
            status, headers, content = server.answer(
                self.command, parts.path, parts.query, authorization, body
            )
            self.send_response(status)
            if not server.plain:
                self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for method in ("GET", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._handle)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        server.port = listener.server_port
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


def tell(
    server: Server, options: RoundtripOptions | None = None, user: str = "", password: str = ""
) -> str:
    """Return what a roundtrip tells, or the sentences of its failure."""
    told: list[str] = []
    with serving(server):
        registry = Registry(server.url, Trust(), user, password)
        roundtrip(registry, options or RoundtripOptions(timeout=_QUICK), told.append)
    return "\n".join(told)


def test_there_and_back() -> None:
    assert "byte for byte" in tell(Server())


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Server(alters=True), "came back changed"),
        (Server(forgets="manifests"), "does not give back what was pushed"),
        (Server(forgets="blobs"), "does not give back what was pushed"),
        (Server(keeps=True), "still has what was deleted"),
        (Server(plain=True), "is not a registry"),
    ],
    ids=["altered", "no manifest", "no blob", "not deleted", "no registry"],
)
def test_what_is_wrong_is_said(server: Server, said: str) -> None:
    """Seen to fail: leave out the comparison, the second look, or the header's name."""
    with pytest.raises(AnswerError, match=said):
        tell(server)


def test_a_prefix_is_kept() -> None:
    server = Server(prefix="/below")
    tell(server)

    assert all(path.split()[1].startswith("/below/v2/") for path in server.paths), server.paths


def test_the_address_that_is_tried_is_the_one_given() -> None:
    """`http.host` names the address outside, which pods may not reach. Seen to fail: follow it."""
    assert "byte for byte" in tell(Server(location="https://registry.example.com"))


def test_it_waits_for_a_registry_that_is_not_ready() -> None:
    server = Server(unready=1)

    assert "byte for byte" in tell(server, RoundtripOptions(timeout=timedelta(seconds=30)))
    with pytest.raises(UnreachableError, match="503"):
        tell(Server(unready=9))


def test_a_token_is_fetched_for_what_is_done() -> None:
    server = Server(token="t")

    assert "lets the user in" in tell(server, user="user", password="password")
    assert server.scopes == [
        "",
        "repository:registry-gc/roundtrip:pull,push",
        "repository:registry-gc/roundtrip:delete",
    ]


def test_a_user_who_may_not_delete_is_an_answer_unless_deleting_counts() -> None:
    """Seen to fail: let the refusal end it."""
    options = RoundtripOptions(must_delete=True, timeout=_QUICK)

    assert "may not delete" in tell(Server(forbids="DELETE"))
    with pytest.raises(RefusedError):
        tell(Server(forbids="DELETE"), options)


def test_a_token_service_that_refuses() -> None:
    with pytest.raises(RefusedError, match="refuses the user 'user'"):
        tell(Server(token="t"), user="user", password="wrong")
    with pytest.raises(RefusedError, match="wants credentials"):
        tell(Server(token="t"))


def test_blobs_elsewhere_are_read_without_our_credentials() -> None:
    """Object storage: the registry redirects. Seen to fail: send Authorization along."""
    with serving(Server(content={})) as elsewhere:
        first = Server(token="t", redirects=f"{elsewhere.url}/v2/x/blobs")
        elsewhere.content = first.content

        assert "byte for byte" in tell(first, user="user", password="password")

    assert set(elsewhere.authorizations) == {""}
    assert len(elsewhere.authorizations) == 2


def test_blobs_that_lead_nowhere_name_the_value() -> None:
    with pytest.raises(AnswerError, match=r"storage\.redirect\.disable"):
        tell(Server(redirects="http://127.0.0.1:9"))


@pytest.mark.parametrize("url", ["registry:5000", "ftp://registry", "", "http://"])
def test_what_is_no_address_is_wrong_usage(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the address of a registry"):
        Registry(url, Trust())


def test_a_folder_without_a_certificate_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text("not one")

    with pytest.raises(ConfigurationError, match="no certificate"):
        Trust(tmp_path)


@pytest.mark.parametrize("kind", [AnswerError, RefusedError, UnreachableError])
def test_exit_codes_are_those_of_the_help(kind: type[CollectorError]) -> None:
    from registry_gc.roundtrip_command import _EXIT_CODES

    assert f"  {kind.exit_code}  " in _EXIT_CODES


def test_the_hooks_variable_is_not_its_own() -> None:
    """GC_READ_ONLY has the registry switched, not an image left unpushed.

    Seen to fail: call the option --read-only.
    """
    from registry_gc.roundtrip_command import roundtrip as command

    assert "GC_READ_ONLY" not in {each.envvar for each in command.params}
