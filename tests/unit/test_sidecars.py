"""One request to a sidecar: what it sends, and what it takes for an answer."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from registry_gc import sidecars
from registry_gc.errors import ConfigurationError
from registry_gc.release_pods import Pod
from registry_gc.sidecars import Access, Sidecar, SidecarSilentError
from support.registry_process import free_port


@contextmanager
def answering(content: bytes) -> Iterator[int]:
    """Answer every GET with some bytes; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def sidecar(port: int, token_file: Path) -> Sidecar:
    pod = Pod("registry-1", "127.0.0.1", "Running", sidecar=True, ready=True)
    return Sidecar(Access(token_file, port), pod, 0.0)


class TestTheToken:
    @pytest.mark.parametrize(
        "content",
        [b"", b" \n", b"secret\nsecret", b"secret\x00", "secr\u00e9t".encode(), b"secret\xff"],
    )
    def test_one_that_cannot_be_sent_is_not_told_either(
        self, tmp_path: Path, content: bytes
    ) -> None:
        """Seen to fail: leave it to the HTTP library, whose error quotes the header."""
        token = tmp_path / "token"
        token.write_bytes(content)
        with pytest.raises(ConfigurationError) as raised:
            sidecar(1, token).request("GET", "/status")

        assert raised.value.why == f"{token} is not one line of ASCII"
        assert "secr" not in str(raised.value)


class TestTheAnswer:
    @pytest.mark.parametrize("content", [b"[]", b"1", b'"text"', b"<html>", b"\xff"])
    def test_what_is_no_sidecars_is_a_sentence(self, tmp_path: Path, content: bytes) -> None:
        """Another program at that port. Seen to fail: take any JSON."""
        token = tmp_path / "token"
        token.write_text("secret")
        with answering(content) as port, pytest.raises(SidecarSilentError) as raised:
            sidecar(port, token).request("GET", "/status")

        assert "registry-1 does not answer" in raised.value.what

    def test_from_outside_of_the_cluster_it_says_where_to_run_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And soon. Seen to fail: tell of NetworkPolicies; wait for two minutes."""
        (tmp_path / "token").write_text("secret")
        monkeypatch.setattr(sidecars, "_PATIENCE_OUTSIDE", 0.05)
        monkeypatch.setattr(sidecars, "_PAUSE", 0.01)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
        asked = replace(sidecar(free_port(), tmp_path / "token"), deadline=math.inf)
        with pytest.raises(SidecarSilentError) as inside:
            asked.request("GET", "/status")
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
        with pytest.raises(SidecarSilentError) as outside:
            asked.patiently("GET", "/status")

        assert "NetworkPolicy" in inside.value.next_step
        assert "kubectl create job --from=cronjob/" in outside.value.next_step
