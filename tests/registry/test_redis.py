"""Rule 13: of a descriptor cache in Redis exactly the keys of what was deleted go."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from registry_gc import redis_cache
from registry_gc.errors import StorageError
from registry_gc.layout import Entry, Kind, parse_digest
from registry_gc.registry_config.redis_section import RedisOptions
from support.client import digest_of, image, layer
from support.collector import QUICK, collect, collect_well, collecting
from support.redis_server import contents, redis_cluster, redis_sentinel, redis_server
from support.registry_process import RegistryProcess, free_port

DEAD = "sha256:" + "d" * 64
ALIVE = "sha256:" + "a" * 64
ALIAS = "sha512:" + "5" * 128


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with redis_server(tmp_path / "redis") as found:
        yield found


@contextmanager
def registry_with(folder: Path, redis_section: str, version: str = "3.1.1") -> Iterator[Any]:
    listens_on = free_port()
    registry = RegistryProcess(
        folder / "registry",
        version=version,
        port=listens_on,
        configuration=(
            "version: 0.1\n"
            "log: {level: warn, accesslog: {disabled: true}}\n"
            "storage:\n"
            f"  filesystem: {{rootdirectory: {folder}/registry/store}}\n"
            "  delete: {enabled: true}\n"
            "  cache: {blobdescriptor: redis}\n"
            f"redis: {redis_section}\n"
            f"http: {{addr: '127.0.0.1:{listens_on}', secret: one}}\n"
        ),
    )
    with registry:
        yield registry


FORMS = [("3.1.1", "{{addrs: ['127.0.0.1:{port}']}}"), ("2.8", "{{addr: '127.0.0.1:{port}'}}")]


@pytest.mark.parametrize(("version", "form"), FORMS, ids=["3.1.1", "2.8"])
def test_rule_13_exactly_the_keys_of_deleted_digests_go(
    tmp_path: Path, port: int, version: str, form: str
) -> None:
    """Seen to fail: let `redis_cache.forget` return at once (keys stay, and the push is lost)."""
    shared = layer("shared")
    kept = image("kept", layers=[shared, layer("kept")])
    deleted = image("deleted", layers=[shared, layer("deleted")])
    with registry_with(tmp_path, form.format(port=port), version) as registry:
        client = registry.client()
        client.push("app", kept, "v1")
        client.push("app", deleted, "v2")
        client.push("other", kept, "v1")
        client.delete_manifest("app", deleted.digest)
        before = contents(port)
        own = {digest_of(blob) for blob in set(deleted.blobs) - set(kept.blobs)}
        assert own <= set(before["repository::app::blobs"])

        collect_well(registry, *QUICK)

        after = contents(port)
        gone = {key for key in before if key not in after}
        digests = {digest for key in gone if (digest := key.partition("blobs::")[2])}
        # Registry 3 has removed the manifest's itself when that was deleted, 2.8 leaves one.
        assert own <= digests <= own | {deleted.digest}
        assert not own & set(after["repository::app::blobs"])
        assert {key: value for key, value in after.items() if "::" in key and "sha256" in key} == {
            key: value for key, value in before.items() if key not in gone and "sha256" in key
        }
        client.push("app", deleted, "v3")
        for tag in ("v1", "v3"):
            assert registry.client().pull("app", tag).missing == ()


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_redis_that_does_not_answer_loses_nothing(tmp_path: Path, when: str) -> None:
    """Attack 13. Seen to fail: suppress the error in `redis_cache.forget`."""
    with redis_server(tmp_path / "redis") as port:
        deleted = image("deleted", layers=[layer("deleted")])
        with registry_with(tmp_path, f"{{addrs: ['127.0.0.1:{port}']}}") as registry:
            client = registry.client()
            client.push("app", deleted, "v1")
            client.delete_tag("app", "v1")
            client.push("app", image("kept"), "v2")
            server = redis.Redis(port=port)
            if when == "before":
                server.shutdown(nosave=True)
                done = collect(registry, *QUICK)
            else:
                with collecting(registry, *QUICK, environment={"STOP_AT": "bury"}) as running:
                    running.wait_until_frozen()
                    server.shutdown(nosave=True)
                    running.send(signal.SIGCONT)
                    done = running.end()

    assert done.code == (3 if when == "before" else 5), done
    assert "Redis" in done.report["error"]
    blobs = registry.v2 / "blobs/sha256"
    for blob in deleted.blobs:
        encoded = digest_of(blob).partition(":")[2]
        assert (blobs / encoded[:2] / encoded / "data").exists()


def fill(client: Any) -> None:
    """Write what a registry writes, in two repositories."""
    for repository in ("app", "other/nested"):
        for digest in (DEAD, ALIVE):
            client.sadd(f"repository::{repository}::blobs", digest)
            client.hset(f"repository::{repository}::blobs::{digest}", "mediatype", "x")
            client.hset(f"blobs::{digest}", mapping={"digest": digest, "size": 1})
    client.hset(f"blobs::{ALIAS}", mapping={"digest": DEAD, "size": 1})
    client.sadd("repository::app::blobs", ALIAS)


def dead_blob() -> set[Entry]:
    return {Entry(Kind.BLOB, digest=parse_digest(DEAD))}


def expect_only_the_living(client: Any) -> None:
    keys = sorted(client.scan_iter())
    assert [key for key in keys if DEAD in key or ALIAS in key] == []
    for repository in ("app", "other/nested"):
        assert client.smembers(f"repository::{repository}::blobs") == {ALIVE}
    assert f"blobs::{ALIVE}" in keys


def test_a_member_without_a_link_goes_too_and_so_does_an_alias(port: int) -> None:
    """Attack 13. Seen to fail: take the repositories from the links alone; forget the aliases."""
    with redis.Redis(port=port, decode_responses=True) as client:
        fill(client)

        redis_cache.forget(RedisOptions((f"127.0.0.1:{port}",)), dead_blob())

        expect_only_the_living(client)


def test_a_link_takes_only_its_own_repositorys_keys(port: int) -> None:
    with redis.Redis(port=port, decode_responses=True) as client:
        fill(client)
        link = Entry(Kind.LAYER_LINK, "app", parse_digest(DEAD))

        redis_cache.forget(RedisOptions((f"127.0.0.1:{port}",)), {link})

        assert client.smembers("repository::app::blobs") == {ALIVE, ALIAS}
        assert client.smembers("repository::other/nested::blobs") == {ALIVE, DEAD}
        assert client.exists(f"blobs::{DEAD}")


def test_with_a_password_and_a_database(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis", "requirepass secret") as port:
        address = (f"127.0.0.1:{port}",)
        with redis.Redis(port=port, password="secret", db=3, decode_responses=True) as client:
            fill(client)
            redis_cache.forget(RedisOptions(address, password="secret", database=3), dead_blob())
            expect_only_the_living(client)
        with pytest.raises(StorageError):
            redis_cache.forget(RedisOptions(address, password="wrong"), dead_blob())


def test_by_a_sentinel(tmp_path: Path, port: int) -> None:
    with (
        redis_sentinel(tmp_path / "sentinel", port, "theirs") as sentinel,
        redis.Redis(port=port, decode_responses=True) as client,
    ):
        fill(client)
        options = RedisOptions((f"127.0.0.1:{sentinel}",), master_name="theirs")

        redis_cache.forget(options, dead_blob())

        expect_only_the_living(client)


def test_in_a_cluster(tmp_path: Path) -> None:
    with (
        redis_cluster(tmp_path / "cluster") as ports,
        redis.RedisCluster(host="127.0.0.1", port=ports[0], decode_responses=True) as client,
    ):
        fill(client)

        redis_cache.forget(RedisOptions(tuple(f"127.0.0.1:{port}" for port in ports)), dead_blob())

        expect_only_the_living(client)
