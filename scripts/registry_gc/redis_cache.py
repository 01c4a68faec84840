"""What was deleted, and a descriptor cache in Redis that still has it: exactly those keys go.

The registry keeps three for a digest of a repository (distribution v3.1.1,
registry/storage/cache/redis/redis.go):

    repository::<name>::blobs               a set of digests
    repository::<name>::blobs::<digest>     a hash, of that digest in that repository
    blobs::<digest>                         a hash, of that digest anywhere
"""

import ssl
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import redis
import redis.cluster
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from registry_gc.errors import GuardError, StorageError
from registry_gc.layout import Entry, Kind, digest_text
from registry_gc.registry_config.redis_section import RedisOptions

T = TypeVar("T")

_ClusterNode: Any = redis.cluster.ClusterNode
_Sentinel: Any = redis.sentinel.Sentinel

_FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError, ValueError)

_TIMEOUT = 5.0  # seconds for one answer
_BATCH = 500  # commands sent at once
_SETS = "repository::*::blobs"


def check(options: RedisOptions | None) -> None:
    """Raise GuardError if the registry's Redis does not answer."""
    try:
        with _connected(options) as client:
            client.ping()
    except StorageError as error:
        raise GuardError(
            "nothing was deleted: the registry's descriptor cache in Redis cannot be reached",
            why=error.why,
            next_step="check `redis` in the registry's configuration, and that the collector may "
            "reach it",
        ) from error


def forget(options: RedisOptions | None, entries: Set[Entry]) -> None:
    """Remove the keys of links and blobs that were taken. Raises StorageError.

    A registry writes a key for each digest that it is asked about, with or without a link; so for
    a blob that was taken all repositories are looked through (attack 13).
    """
    blobs = [digest_text(each.digest) for each in entries if each.kind is Kind.BLOB and each.digest]
    with _connected(options) as client:
        aliases = _aliases(client, set(blobs)) if blobs else []
        _remove(client, [*_of_links(entries), *_of_blobs(client, [*blobs, *aliases])])


def _of_links(entries: Set[Entry]) -> Iterator[tuple[str, str]]:
    """Yield repository and digest of each link that was taken."""
    for entry in entries:
        if entry.kind in (Kind.LAYER_LINK, Kind.REVISION_LINK) and entry.digest:
            yield entry.repository, digest_text(entry.digest)


def _of_blobs(client: Any, blobs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield repository and digest wherever one of these blobs is remembered."""
    if not blobs:
        return
    for digest in blobs:
        yield "", digest
    for key in client.scan_iter(match=_SETS, count=1000):
        repository = key.removeprefix("repository::").removesuffix("::blobs")
        for some in _batches(blobs):
            pipeline = client.pipeline(transaction=False)  # SMISMEMBER came with Redis 6.2
            for blob in some:
                pipeline.sismember(key, blob)
            found = pipeline.execute()
            yield from (
                (repository, blob) for blob, is_in in zip(some, found, strict=True) if is_in
            )


def _aliases(client: Any, blobs: Set[str]) -> list[str]:
    """Return the digests of another algorithm that are remembered as one of these blobs."""
    found = []
    for pattern in ("blobs::sha384:*", "blobs::sha512:*"):
        keys = client.scan_iter(match=pattern, count=1000)
        found += [key for key in keys if client.hget(key, "digest") in blobs]
    return [key.removeprefix("blobs::") for key in found]


def _remove(client: Any, remembered: Sequence[tuple[str, str]]) -> None:
    for some in _batches(remembered):
        # No transaction: in a cluster the keys of one digest lie on several machines.
        pipeline = client.pipeline(transaction=False)
        for repository, digest in some:
            if repository:
                pipeline.srem(f"repository::{repository}::blobs", digest)
                pipeline.delete(f"repository::{repository}::blobs::{digest}")
            if not repository or not digest.startswith("sha256:"):
                # Another algorithm's digest is only a name for a blob, and goes with its link.
                pipeline.delete(f"blobs::{digest}")
        pipeline.execute()


def _batches(items: Sequence[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, _BATCH)):
        yield some


@contextmanager
def _connected(options: RedisOptions | None) -> Iterator[Any]:
    """Connect as the registry does. Raises StorageError for whatever Redis says or does not."""
    if options is None:
        raise StorageError(
            "the registry's Redis is not known",
            why="its configuration names none",
            next_step="set `redis` in the registry's configuration",
        )
    try:
        client = _client(options)
        try:
            yield client
        finally:
            client.close()
    except _FAILURES as error:
        raise StorageError(
            "the registry's cache in Redis could not be cleared; everything was put back",
            why=str(error),
            next_step="check the Redis server, then collect again",
        ) from error


def _client(options: RedisOptions) -> Any:
    """Return a client for one server, for what a sentinel names, or for a cluster.

    Which of them follows from the configuration as in go-redis, NewUniversalClient.
    """
    servers = [_host_and_port(address) for address in options.addresses]
    settings: dict[str, Any] = {
        "username": options.username or None,
        "password": options.password or None,
        "socket_timeout": _TIMEOUT,
        "socket_connect_timeout": _TIMEOUT,
        "decode_responses": True,
        "retry": Retry(NoBackoff(), 0),  # nothing is healed while it is waited for
        "protocol": 2,  # the newer one has no way back, where the registry's client has one
        **_tls(options),
    }
    if options.master_name:
        sentinels = _Sentinel(
            servers,
            sentinel_kwargs={
                **settings,
                "username": options.sentinel_username or None,
                "password": options.sentinel_password or None,
            },
            **settings,
        )
        return sentinels.master_for(options.master_name, db=options.database)
    if len(servers) > 1:
        nodes = [_ClusterNode(*each) for each in servers]
        return redis.cluster.RedisCluster(startup_nodes=nodes, **settings)
    host, port = servers[0]
    return redis.Redis(host=host, port=port, db=options.database, **settings)


def _tls(options: RedisOptions) -> dict[str, Any]:
    if not options.tls:
        return {}
    return {
        "ssl": True,
        "ssl_certfile": options.certificate or None,
        "ssl_keyfile": options.key or None,
        "ssl_ca_data": "".join(
            Path(each).read_text(encoding="ascii", errors="ignore") for each in options.root_cas
        )
        or None,
        # As the registry judges: Python asks more of an authority (a key usage, since 3.13), and
        # takes none that is not signed by itself.
        "ssl_exclude_verify_flags": [ssl.VerifyFlags.VERIFY_X509_STRICT],
        "ssl_include_verify_flags": [ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN],
    }


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host or "@" in host:
        # Without quoting it: people write passwords into addresses.
        raise ValueError("one of the addresses of `redis` is not host:port")
    return host.strip("[]") or "localhost", int(port)
