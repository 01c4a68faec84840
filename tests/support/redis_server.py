"""A real Redis server on a free loopback port, alone, as a sentinel's master, or as a cluster."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from support.registry_process import free_port
from support.run import run
from support.waiting import until

# Debian's redis-tools has the server by another name; it looks at what it is called.
_PROGRAM = "/usr/bin/redis-check-rdb"


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[int]:
    """Run one with these options; yield its port."""
    port = free_port()
    with _running(folder, f"port {port}", *options):
        yield port


@contextmanager
def redis_sentinel(folder: Path, master: int, name: str) -> Iterator[int]:
    """Run a sentinel that watches one master; yield its port."""
    port = free_port()
    with _running(
        folder,
        f"port {port}",
        f"sentinel monitor {name} 127.0.0.1 {master} 1",
        arguments=("--sentinel",),
    ):
        yield port


@contextmanager
def redis_cluster(folder: Path) -> Iterator[list[int]]:
    """Run three masters as one cluster; yield their ports."""
    with ExitStack() as stack:
        ports = [_cluster_port() for _ in range(3)]
        for port in ports:
            stack.enter_context(_running(folder / str(port), f"port {port}", "cluster-enabled yes"))
        nodes = [f"127.0.0.1:{port}" for port in ports]
        run("redis-cli", "--cluster", "create", *nodes, "--cluster-yes")
        client: Any = redis.Redis(port=ports[0])
        until(
            lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok",
            what="the cluster is whole",
        )
        client.close()
        yield ports


def _cluster_port() -> int:
    # A node also listens 10,000 ports higher.
    while (port := free_port()) > 55_000:
        pass
    return port


@contextmanager
def _running(folder: Path, *lines: str, arguments: tuple[str, ...] = ()) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "redis-server"
    program.symlink_to(_PROGRAM)
    config = folder / "redis.conf"
    common = ("bind 127.0.0.1", f"dir {folder}", f"logfile {folder}/log")
    persistence = () if arguments else ('save ""', "appendonly no")
    config.write_text("\n".join([*common, *persistence, *lines, ""]))
    process = subprocess.Popen([program, config, *arguments], stdout=subprocess.DEVNULL)
    try:
        ready = "+monitor" if arguments else "eady to accept"
        until(lambda: ready in _log(folder), what=f"Redis says {ready}")
        yield
    finally:
        process.terminate()
        process.wait(20)


def _log(folder: Path) -> str:
    path = folder / "log"
    return path.read_text() if path.exists() else ""


def contents(port: int, **settings: Any) -> dict[str, Any]:
    """Return every key with its value."""
    client = redis.Redis(port=port, decode_responses=True, **settings)
    found: dict[str, Any] = {}
    for key in client.scan_iter():
        is_set = client.type(key) == "set"
        found[key] = client.smembers(key) if is_set else client.hgetall(key)
    client.close()
    return found
