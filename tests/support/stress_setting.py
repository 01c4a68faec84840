"""One setting of the stress: a registry's version, its cache, a collector; and what came of it."""

import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from support.altered import SLOW, SLOW_WITHOUT_BURIAL, WITHOUT_RESTART, altered
from support.collector import collect
from support.registry_process import RegistryProcess
from support.stress import Stress, lost_now_and_after_a_restart

Cache = Literal["none", "inmemory"]
VERSIONS = ("2.8", "3.0", "3.1.1")
CACHES: tuple[Cache, ...] = ("none", "inmemory")

# The grace period is far below what a push may take here, and the settle period below a slow PUT.
SHORT = ("--grace-period", "4s", "--settle-period", "2s")
_ALWAYS = ("--restart", "always", "--max-delete-ratio", "1")
_AGED = 2 * 3600  # seconds by which old content is made older; more than the default grace period
_AGED_FROM = 120  # seconds; more than the slowest push takes here


_CHANGES = {
    "ours without the restart": WITHOUT_RESTART,
    "ours without the burial, slow": SLOW_WITHOUT_BURIAL,
    "ours, slow": SLOW,
}


@dataclass(frozen=True)
class Setting:
    """What is run; `collector` is `ours`, `reference`, `none` or one of the changed ones.

    `periods` are options; with `ages` all that is older than any push is made hours older before
    each collection. `until_lost` ends the run as soon as something was lost (a control).
    """

    version: str = "3.1.1"
    cache: Cache = "none"
    collector: str = "ours"
    periods: tuple[str, ...] = SHORT
    ages: bool = False
    until_lost: bool = False

    @property
    def name(self) -> str:
        """Return its name, for people."""
        memory = "in memory" if self.cache == "inmemory" else "cache off"
        return f"{self.version}, {memory}, {self.collector}"

    @property
    def folder(self) -> str:
        """Return a name that may stand in a configuration as it is."""
        return re.sub(r"[^a-z0-9.]+", "-", self.name)


SETTINGS = tuple(Setting(version, cache) for version in VERSIONS for cache in CACHES)
SLOW_ONES = tuple(Setting(cache=cache, collector="ours, slow") for cache in CACHES)
CONTROLS = (
    Setting(cache="inmemory", collector="reference", until_lost=True),
    Setting(cache="inmemory", collector="ours without the restart", until_lost=True),
    Setting(collector="ours without the burial, slow", until_lost=True),
)
BASELINES = tuple(Setting(version, collector="none") for version in VERSIONS)
DEFAULT_PERIODS = (Setting(periods=(), ages=True),)


@dataclass
class Load:
    """How hard and how long: `seconds` of pushing, `think` the pushers' longest wait.

    On a busy machine little is pushed, so it goes on, up to five times as long, until there was
    something to lose: `least_pushed` images, and `least_deleted` blobs.
    """

    seconds: float
    seed: int
    pushers: int = 4
    think: float = 0.0
    least_pushed: int = 0
    least_deleted: int = 0
    rounds: int = 6  # of a control: after each, everything is pulled


@dataclass
class Result:
    """What came of a setting. `failed` has a line for each collection that did not end well."""

    setting: Setting
    seed: int
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    alive: int = 0
    lost: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    collections: int = 0  # those that deleted something
    restarts: int = 0  # what the registry saw
    restarts_reported: int = 0  # what the collector said
    blobs: int = 0
    links: int = 0
    empty_links: int = 0  # in the store, at the end

    @property
    def acknowledged(self) -> int:
        """Return how many pushes were."""
        return self.counts["push acknowledged"]

    @property
    def refused(self) -> int:
        """Return how many pushes were answered with an error, not counting the restart's."""
        return self.counts["push refused"]

    def __str__(self) -> str:
        """Return all of it in a paragraph."""
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        return (
            f"{self.setting.name} (seed {self.seed}, {self.seconds:.0f} s): {counts}; "
            f"collections {self.collections}, blobs {self.blobs}, links {self.links}, restarts "
            f"{self.restarts}, empty links {self.empty_links}; alive {self.alive}, late "
            f"{len(self.late)}, lost {len(self.lost)}"
        )


def run_setting(setting: Setting, load: Load, folder: Path) -> Result:
    """Push beside collections, then pull everything, restart the registry, pull it again."""
    result = Result(setting, load.seed)
    folder.mkdir(parents=True)
    collect_once = _collector(setting, folder, result)
    with RegistryProcess(
        folder / "registry", cache=setting.cache, version=setting.version, supervised=True
    ) as registry:
        stress = Stress.of(registry, seed=load.seed, pushers=load.pushers, think=load.think)
        for _ in range(load.rounds if setting.until_lost else 1):
            before = registry.starts
            began = time.monotonic()
            with stress.going_on():
                while _goes_on(time.monotonic() - began, load, result, stress):
                    if setting.ages:
                        _age(registry.v2)
                    collect_once(registry)
            result.seconds += time.monotonic() - began
            result.restarts += registry.starts - before
            result.lost = lost_now_and_after_a_restart(registry, stress)
            if result.lost and setting.until_lost:
                break
        result.counts, result.late = stress.counts, stress.late
        result.alive = len(stress.acknowledged.pushes)
        registry.stop()
        links = registry.v2.rglob("link")
        result.empty_links = sum(not link.stat().st_size for link in links)
    return result


def _goes_on(past: float, load: Load, result: Result, stress: Stress) -> bool:
    if past < load.seconds:
        return True
    enough = (
        stress.counts["push acknowledged"] >= load.least_pushed
        and result.blobs >= load.least_deleted
    )
    return past < 5 * load.seconds and not enough


def _collector(setting: Setting, folder: Path, result: Result) -> Callable[[RegistryProcess], None]:
    """Return what collects once and notes in the result what came of it."""
    environment = {}
    if change := _CHANGES.get(setting.collector):
        environment["PYTHONPATH"] = str(altered(folder, change))

    def ours(registry: RegistryProcess) -> None:
        done = collect(registry, *setting.periods, *_ALWAYS, timeout=1800, environment=environment)
        if done.code:
            result.failed.append(f"exit {done.code}: {done.report} {done.said}"[:2000])
            return
        blobs, links = done.deleted("blobs"), done.deleted("links")
        result.collections += bool(blobs or links)
        result.blobs += blobs
        result.links += links
        result.restarts_reported += bool(done.report["restarted"])

    def once(registry: RegistryProcess) -> None:
        match setting.collector:
            case "none":
                time.sleep(0.2)
            case "reference":
                # It stops at what a push writes just now; the next one goes on.
                registry.garbage_collect("-m")
                result.collections += 1
            case _:
                ours(registry)

    return once


def _age(v2: Path) -> None:
    """Make everything two hours older but what a push that goes on now may have written."""
    limit = time.time() - _AGED_FROM
    for folder, _, names in os.walk(v2):
        if "/_uploads" in folder:
            continue
        for name in names:
            path = Path(folder) / name
            try:
                modified = path.stat().st_mtime
                if modified < limit:
                    os.utime(path, (modified, modified - _AGED))
            except FileNotFoundError:
                continue  # deleted meanwhile
