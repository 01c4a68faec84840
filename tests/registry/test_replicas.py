"""Two registries on one volume, each with its sidecar: one collects, both forget."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry_gc.replicas import GONE, REPLICAS, SILENT
from support.client import image, layer
from support.collector import Acknowledged
from support.registry_process import RegistryProcess, free_port
from support.sidecar_process import SidecarProcess, sidecar_process
from support.stress import Pusher, Stress
from support.waiting import until

SECONDS = float(os.environ.get("STRESS_SECONDS", "14"))
SEED = int(os.environ.get("STRESS_SEED", str(time.time_ns() % 10_000)))
OPTIONS = {"GC_GRACE_PERIOD": "0s", "GC_SETTLE_PERIOD": "1s", "GC_MAX_DELETE_RATIO": "1"}


@dataclass
class Pod:
    """One replica: a registry, and the sidecar beside it if it has one."""

    name: str
    registry: RegistryProcess
    sidecar: SidecarProcess | None

    @property
    def folder(self) -> Path:
        return self.registry.root / REPLICAS / self.name

    def collect(self) -> Any:
        """Have this pod's sidecar collect; return the status at the end."""
        assert self.sidecar
        code, answer = self.sidecar.collect(b"{}")
        assert code in (200, 202), answer
        return self.sidecar.ended(answer["run"], timeout=120)

    def falls_silent(self, seconds: float) -> None:
        """Make its last word older, as if its machine had been cut off then."""
        then = time.time() - seconds
        os.utime(self.folder / "alive", (then, then))

    def kill_sidecar(self) -> None:
        assert self.sidecar
        self.sidecar.process.kill()
        self.sidecar.process.wait()


def _configuration(store: Path, port: int) -> str:
    return (
        "version: 0.1\n"
        "log: {level: warn, accesslog: {disabled: true}}\n"
        "storage:\n"
        f"  filesystem: {{rootdirectory: {store}}}\n"
        "  delete: {enabled: true}\n"
        "  cache: {blobdescriptor: inmemory}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: one, draintimeout: 5s}}\n"
    )


@contextmanager
def pod(folder: Path, store: Path, **options: str) -> Iterator[Pod]:
    port = free_port()
    registry = RegistryProcess(
        folder,
        supervised=True,
        started=False,
        port=port,
        configuration=_configuration(store, port),
        shared_store=store,
    )
    environment = {**OPTIONS, "GC_POD_NAME": folder.name, **options}
    with ExitStack() as stack:
        stack.enter_context(registry)
        sidecar = None
        if options.get("without") != "sidecar":
            sidecar = stack.enter_context(
                sidecar_process(registry.config_path, folder / "sidecar", environment, fake=False)
            )
        registry.start()
        yield Pod(folder.name, registry, sidecar)


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[tuple[Pod, Pod]]:
    store = tmp_path / "store"
    with pod(tmp_path / "pod-0", store) as first, pod(tmp_path / "pod-1", store) as second:
        yield first, second


IMAGE = image("promoted", layers=[layer("promoted")])


def push_delete_and_push_again(first: Pod, second: Pod, *, exit_code: int = 0) -> list[str]:
    """The second has all of an image in its memory when the first's collection removes it."""
    second.registry.client().push("app", image("other", layers=[layer("other")]), "v0")
    second.registry.client().push("app", IMAGE, "v1")
    first.registry.client().delete_manifest("app", IMAGE.digest)

    status = first.collect()

    assert status["exitCode"] == exit_code, status
    second.registry.client().push("app", IMAGE, "v2")
    acknowledged = Acknowledged()
    acknowledged.add("app", "v2", IMAGE.digest)
    return [line for each in (first, second) for line in acknowledged.lost(each.registry)]


def test_both_forget_what_one_collected(pods: tuple[Pod, Pod]) -> None:
    """Seen to fail: let `Replicas.forget` ask nobody."""
    first, second = pods

    assert push_delete_and_push_again(first, second) == []

    assert (first.registry.starts, second.registry.starts) == (2, 2)
    assert sorted(path.name for path in second.folder.iterdir()) == ["alive"]


def test_control_a_replica_that_is_not_asked_loses_an_image(tmp_path: Path) -> None:
    """Were nothing lost here, the test above would prove nothing."""
    store = tmp_path / "store"
    with (
        pod(tmp_path / "pod-0", store) as first,
        pod(tmp_path / "pod-1", store, without="sidecar") as second,
    ):
        assert push_delete_and_push_again(first, second) != []


@pytest.mark.parametrize("silent", [SILENT + 1, GONE + 60])
def test_a_replica_without_its_sidecar_stops_the_collection(
    pods: tuple[Pod, Pod], silent: float
) -> None:
    """Its registry serves on, so it is waited for however long it is silent. Nothing is lost."""
    first, second = pods
    second.kill_sidecar()
    second.falls_silent(silent)

    assert push_delete_and_push_again(first, second, exit_code=3) == []

    assert (first.registry.starts, second.registry.starts) == (1, 1)


def test_a_replica_that_was_killed_is_gone_after_a_while(pods: tuple[Pod, Pod]) -> None:
    first, second = pods
    second.kill_sidecar()
    second.registry.stop()
    second.falls_silent(SILENT + 1)
    first.registry.client().push("app", IMAGE, "v1")
    first.registry.client().delete_tag("app", "v1")

    assert first.collect()["exitCode"] == 3
    second.falls_silent(GONE + 1)
    status = first.collect()

    assert (status["exitCode"], status["report"]["restarted"]) == (0, 1)
    assert status["report"]["deleted"]["blobs"] == 3
    assert not second.folder.exists()


def test_a_replica_that_does_not_answer_undoes_the_run(pods: tuple[Pod, Pod]) -> None:
    """It falls silent while it is waited for."""
    first, second = pods
    assert first.sidecar
    client = first.registry.client()
    client.push("app", IMAGE, "v1")
    client.delete_tag("app", "v1")
    second.kill_sidecar()
    second.falls_silent(0)
    _, answer = first.sidecar.collect(b"{}")
    until((second.folder / "asked").exists, what="the second is asked")
    second.falls_silent(SILENT + 1)

    status = first.sidecar.ended(answer["run"])

    assert status["exitCode"] == 3, status
    assert client.pull("app", IMAGE.digest).missing == ()
    assert not (second.folder / "asked").exists()


def test_a_replica_that_ends_cleanly_is_not_waited_for(pods: tuple[Pod, Pod]) -> None:
    first, second = pods
    assert second.sidecar
    second.registry.stop()
    second.sidecar.terminate()

    assert not second.folder.exists()
    assert push_delete_and_push_again(first, first) == []


def test_either_sidecar_knows_the_run_of_the_other(pods: tuple[Pod, Pod]) -> None:
    """Rule 11. Seen to fail: let `Runs.request` not ask `elsewhere`."""
    first, second = pods
    assert first.sidecar
    assert second.sidecar
    first.registry.client().push("app", IMAGE, "v1")
    first.registry.client().delete_tag("app", "v1")
    _, begun = first.sidecar.collect(b"{}")
    until(lambda: first.sidecar and first.sidecar.status()[1]["phase"] == "settle", what="it runs")

    code, joined = second.sidecar.collect(b"{}")
    _, running = second.sidecar.status(joined["run"])
    ended = second.sidecar.ended(begun["run"], timeout=60)

    assert (code, joined["run"], running["state"]) == (200, begun["run"], "running")
    assert (ended["exitCode"], ended["report"]["restarted"]) == (0, 2)


def test_rule_1_nothing_is_lost_with_two_replicas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pushers on both, collections by each in turn, periods far below what a push may take."""
    store = tmp_path / "store"
    short = {"GC_GRACE_PERIOD": "4s", "GC_SETTLE_PERIOD": "2s"}
    with (
        pod(tmp_path / "pod-0", store, **short) as first,
        pod(tmp_path / "pod-1", store, **short) as second,
    ):
        both = (first, second)
        stress = Stress(
            [
                Pusher(f"p{number}", each.registry, SEED, 0.1)
                for number, each in enumerate((*both, *both))
            ]
        )
        collected: list[Any] = []
        with stress.going_on():
            began = time.monotonic()
            while (past := time.monotonic() - began) < SECONDS or (
                past < 5 * SECONDS and sum(_blobs(each) for each in collected) < 10
            ):
                collected.append(both[len(collected) % 2].collect())
        acknowledged = stress.acknowledged
        lost = [line for each in both for line in acknowledged.lost(each.registry)]
        for each in both:
            each.registry.restart()
        lost += [line for each in both for line in acknowledged.lost(each.registry)]

    said = (
        f"two replicas (seed {SEED}): {dict(stress.counts)}, collections {len(collected)}, blobs "
        f"{sum(_blobs(each) for each in collected)}, alive {len(acknowledged.pushes)}, lost "
        f"{len(lost)}"
    )
    with capsys.disabled():
        sys.stdout.write(f"\n  {said}\n")  # the figures are the result
    assert lost == [], f"{said}: {lost}"
    assert [each for each in collected if each["exitCode"]] == [], said
    assert {each["report"]["restarted"] for each in collected} <= {0, 2}, said
    assert sum(_blobs(each) for each in collected) >= 10, said


def _blobs(status: Any) -> int:
    return int(status["report"]["deleted"]["blobs"])
