"""Rule 1 under load: pushers beside back-to-back collections with absurdly short periods.

STRESS_SECONDS sets how long each part takes (default 14), STRESS_SEED what is pushed.
"""

import os
import time
from collections import Counter

import pytest

from registry.conftest import StartRegistry
from support.collector import Collected, collect
from support.registry_process import RegistryProcess
from support.stress import Stress, pushing

SECONDS = float(os.environ.get("STRESS_SECONDS", "14"))
SEED = int(os.environ.get("STRESS_SEED", str(time.time_ns() % 10_000)))
# The grace period is far below what a push may take here, and the settle period below a slow PUT.
SHORT = (
    *("--grace-period", "4s", "--settle-period", "2s", "--restart", "always"),
    *("--max-delete-ratio", "1"),
)


def described(stress: Stress, lost: list[str], more: dict[str, object]) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in sorted(stress.counts.items()))
    alive = len(stress.acknowledged.pushes)
    extra = ", ".join(f"{name} {value}" for name, value in more.items())
    return f"seed {SEED}: {counts}; alive at the end {alive}, lost {len(lost)}; {extra}"


def lost_now_and_after_a_restart(registry: RegistryProcess, stress: Stress) -> list[str]:
    """Return one line for each image that is lost, be it only once the memory is gone."""
    lost = stress.acknowledged.lost(registry)
    registry.restart()
    lines = {line.partition(" ")[0]: line for line in (*lost, *stress.acknowledged.lost(registry))}
    return sorted(lines.values())


@pytest.mark.parametrize("cache", ["none", "inmemory"])
def test_rule_1_nothing_acknowledged_is_lost_beside_collections(
    start_registry: StartRegistry, cache: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen to fail, in memory: let `Memory.forget` restart nothing."""
    registry = start_registry(cache=cache, supervised=True)
    runs: list[Collected] = []
    with pushing(registry, seed=SEED) as stress:
        began = time.monotonic()
        # On a busy machine little is pushed: then on, until there was something to lose.
        while (past := time.monotonic() - began) < SECONDS or (
            past < 5 * SECONDS and sum(run.deleted("blobs") for run in runs) <= 10
        ):
            runs.append(collect(registry, *SHORT))
    restarts = registry.starts - 1

    lost = lost_now_and_after_a_restart(registry, stress)

    deleted = Counter({what: sum(run.deleted(what) for run in runs) for what in ("blobs", "links")})
    said = described(stress, lost, {"collections": len(runs), "restarts": restarts, **deleted})
    with capsys.disabled():
        print(f"\n  cache {cache}: {said}")  # noqa: T201 - the figures are the result
    assert [run for run in runs if run.code] == [], said
    assert lost == [], said
    assert deleted["blobs"] > 10, f"too little was collected to prove anything: {said}"
    assert stress.counts["acknowledged"] > 50, said
    assert restarts == (len([run for run in runs if run.report["restarted"]]))
    assert bool(restarts) is (cache == "inmemory")


def test_control_the_registrys_own_collection_loses_some(
    start_registry: StartRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    """Were nothing lost here, the test above would prove nothing."""
    registry = start_registry(cache="inmemory", supervised=True)
    runs = 0
    with pushing(registry, seed=SEED) as stress:
        deadline = time.monotonic() + min(SECONDS, 10)
        while time.monotonic() < deadline:
            registry.garbage_collect("-m")
            runs += 1

    lost = lost_now_and_after_a_restart(registry, stress)

    said = described(stress, lost, {"collections": runs})
    with capsys.disabled():
        print(f"\n  registry garbage-collect: {said}")  # noqa: T201 - the figures are the result
    assert lost, said
