"""Loopback ports where a Redis, a sentinel or a cluster's node seems to be; they note who logs in.

Nothing is kept and every lookup misses: what matters is what a client says before its first one.
"""

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

_SLOTS = 16384


@dataclass(frozen=True, slots=True)
class Login:
    """What a connection said before its first question, and what it took the other side for."""

    port: int
    role: str
    username: str = "default"
    password: str = ""
    database: int = 0


@dataclass(slots=True)
class Listener:
    """One port. `logins` are of connections that asked something; `masters` (name: port) is what
    a sentinel would know.
    """

    port: int
    masters: dict[str, int] = field(default_factory=dict)
    logins: set[Login] = field(default_factory=set)


@contextlib.contextmanager
def redis_listeners(count: int, certificate: Path | None = None) -> Iterator[list[Listener]]:
    """Open so many ports, with TLS if there is a certificate (a file with its key)."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_listening(certificate)) for _ in range(count)]


@contextlib.contextmanager
def _listening(certificate: Path | None) -> Iterator[Listener]:
    listener = Listener(0)
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                connection = self.request
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
                with connection, connection.makefile("rwb", buffering=-1) as stream:
                    _converse(listener, stream)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        listener.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield listener
        finally:
            server.shutdown()


def _converse(listener: Listener, stream: BinaryIO) -> None:
    login = Login(listener.port, "server")
    while command := _command(stream):
        login, answer, asked = _answer(listener, login, command)
        if asked:
            listener.logins.add(login)
        stream.write(answer)
        stream.flush()


def _command(stream: BinaryIO) -> list[str]:
    """Read one array of strings, empty at the end of the stream."""
    head = stream.readline()
    if not head.startswith(b"*"):
        return []
    parts = []
    for _ in range(int(head[1:])):
        size = int(stream.readline()[1:])
        parts.append(stream.read(size + 2)[:-2].decode(errors="replace"))
    return parts


def _answer(listener: Listener, login: Login, command: Sequence[str]) -> tuple[Login, bytes, bool]:
    """Return the login after a command, what to say to it, and whether it was a question."""
    name, *arguments = command
    match name.upper(), arguments:
        case "AUTH", [password]:
            return replace(login, password=password), b"+OK\r\n", False
        case "AUTH", [username, password]:
            return _with_words(login, ["AUTH", username, password]), b"+OK\r\n", False
        case "SELECT", [number]:
            return replace(login, database=int(number)), b"+OK\r\n", False
        case "HELLO", [version, *more]:
            said = f"%2\r\n{_bulk('server')}{_bulk('redis')}{_bulk('proto')}:{version}\r\n"
            return _with_words(login, more), said.encode(), False
        case "PING", _:
            return login, b"+PONG\r\n", False  # go-redis begins each connection with it
        case "SENTINEL", [verb, *names]:
            return replace(login, role="sentinel"), _of_masters(listener, verb, names), True
        case "CLUSTER", ["SLOTS" | "slots"]:
            node = f"*2\r\n{_bulk('127.0.0.1')}:{listener.port}\r\n"
            slots = f"*1\r\n*3\r\n:0\r\n:{_SLOTS - 1}\r\n{node}"
            return replace(login, role="cluster"), slots.encode(), True
        case "COMMAND", _:
            return login, b"*0\r\n", False
        case (("CLIENT" | "SUBSCRIBE" | "READONLY"), _):
            return login, b"+OK\r\n", False
        case _:
            return login, b":0\r\n", True


def _with_words(login: Login, words: Sequence[str]) -> Login:
    """Return a login with what `AUTH user password` adds; no user is called default."""
    match words:
        case [word, username, password, *_] if word.upper() == "AUTH":
            return replace(login, username=username, password=password)
        case _:
            return login


def _of_masters(listener: Listener, verb: str, names: Sequence[str]) -> bytes:
    """Return what a sentinel says about its masters."""
    match verb.lower(), names:
        case "get-master-addr-by-name", [name]:
            port = listener.masters.get(name)
            return _array("127.0.0.1", str(port)) if port else b"*-1\r\n"
        case "masters", []:
            known = [
                _array(
                    *("name", name, "ip", "127.0.0.1", "port", str(port), "flags", "master"),
                    *("num-other-sentinels", "0"),
                )
                for name, port in listener.masters.items()
            ]
            return f"*{len(known)}\r\n".encode() + b"".join(known)
        case _:
            return b"*0\r\n"


def _bulk(text: str) -> str:
    return f"${len(text)}\r\n{text}\r\n"


def _array(*texts: str) -> bytes:
    return (f"*{len(texts)}\r\n" + "".join(map(_bulk, texts))).encode()
