"""The stress for as long as wished, as tables; `make stress` calls this.

    python tests/registry/stress_tables.py [PART ...]

Parts: settings, slow, controls, baselines, default-periods, downtime, empty-links; all by default.
STRESS_JOBS how many go side by side (2), STRESS_SEED what is pushed, STRESS_FOLDER where the
stores lie (a temporary folder). Ends with 1 if something was lost, or if a control lost nothing.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from support.registry_process import registry_binary
from support.restarts import downtime, empty_links
from support.stress_setting import (
    BASELINES,
    CONTROLS,
    DEFAULT_PERIODS,
    SETTINGS,
    SLOW_ONES,
    VERSIONS,
    Load,
    Result,
    Setting,
    run_setting,
)

SECONDS = float(os.environ.get("STRESS_SECONDS", "60"))
JOBS = int(os.environ.get("STRESS_JOBS", "2"))
SEED = int(os.environ.get("STRESS_SEED", str(time.time_ns() % 10_000)))

_HEAD = (
    "| setting | seconds | acknowledged | refused | % | met a restart | collections | blobs "
    "deleted | links | restarts | empty links | pulled meanwhile | not whole then | alive | lost |"
)


def row(result: Result) -> str:
    """Return a row of the table of settings."""
    counts = result.counts
    share = 100 * result.refused / max(1, result.refused + result.acknowledged)
    cells = (
        result.setting.name,
        f"{result.seconds:.0f}",
        result.acknowledged,
        result.refused,
        f"{share:.2f}",
        counts["push met a restart"],
        result.collections,
        result.blobs,
        result.links,
        result.restarts,
        result.empty_links,
        counts["pulled meanwhile"],
        len(result.late),
        result.alive,
        len(result.lost),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def table(title: str, head: str, rows: Iterable[object]) -> None:
    """Print a table with each row as soon as it is known."""
    dashes = "|".join(" --- " for _ in range(head.count("|") - 1))
    say(f"\n## {title}\n\n{head}\n|{dashes}|")
    for each in rows:
        say(str(each))


def say(line: str) -> None:
    """Print a line at once: a run takes long, and somebody looks on."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_all(settings: Iterable[Setting], load: Load, folder: Path) -> list[Result]:
    """Run settings side by side, each in a process of its own, and print their table."""
    found = []
    context = multiprocessing.get_context("spawn")
    say(f"\n{_HEAD}\n|{'|'.join(' --- ' for _ in range(_HEAD.count('|') - 1))}|")
    with ProcessPoolExecutor(JOBS, mp_context=context) as pool:
        futures = [
            pool.submit(run_setting, setting, load, folder / setting.folder) for setting in settings
        ]
        for future in as_completed(futures):
            result = future.result()
            say(row(result))
            found.append(result)
    say("")
    for result in found:
        say(f"- {result}")
        for line in (*result.lost[:20], *result.late[:20]):
            say(f"    {line}")
        if not result.setting.until_lost:
            for line in result.failed:
                say(f"    {line}")
    return found


def loses_nothing(title: str, settings: Iterable[Setting], load: Load, folder: Path) -> bool:
    """Run settings that must lose nothing; say whether they did not."""
    say(f"\n## {title}")
    found = run_all(settings, load, folder)
    return not any(result.lost or result.failed for result in found)


def loses_some(settings: Iterable[Setting], load: Load, folder: Path) -> bool:
    """Run controls; say whether each lost something."""
    say("\n## Controls: these must lose some")
    return all(result.lost for result in run_all(settings, load, folder))


def _settings(folder: Path) -> bool:
    return loses_nothing("The six settings", SETTINGS, Load(SECONDS, SEED, pushers=6), folder)


def _slow(folder: Path) -> bool:
    title = "As long between scan and burial as a large store takes"
    return loses_nothing(title, SLOW_ONES, Load(SECONDS, SEED, pushers=6), folder)


def _controls(folder: Path) -> bool:
    return loses_some(CONTROLS, Load(10, SEED, rounds=12), folder)


def _baselines(folder: Path) -> bool:
    load = Load(min(SECONDS, 60), SEED, pushers=6)
    return loses_nothing("Without a collector: what is refused anyway", BASELINES, load, folder)


def _default_periods(folder: Path) -> bool:
    # At 1 h and 60 s a collection takes two minutes; at least three, and 3,000 pushes.
    load = Load(max(SECONDS, 420), SEED, pushers=12)
    return loses_nothing("Default periods, cache off", DEFAULT_PERIODS, load, folder)


def _downtime(folder: Path) -> bool:
    table(
        "The restart of a registry with its cache in memory, `http.draintimeout: 5s`",
        "| version | in flight | without an answer | that upload |",
        (
            downtime(version, folder / f"{version}-{slow}", slow=slow)
            for version in VERSIONS
            for slow in (0, 3, 12)
        ),
    )
    return True


def _empty_links(folder: Path) -> bool:
    table(
        "Links left empty by SIGTERM beside pushers",
        "| version | drain | ends | of these left empty links | links | empty at the end | lost |",
        (
            empty_links(version, folder / f"{version}-{drain}", drain=drain, kills=60, seed=SEED)
            for version in VERSIONS
            for drain in ("", "5s")
        ),
    )
    return True


PARTS: dict[str, Callable[[Path], bool]] = {
    "settings": _settings,
    "slow": _slow,
    "controls": _controls,
    "baselines": _baselines,
    "default-periods": _default_periods,
    "downtime": _downtime,
    "empty-links": _empty_links,
}


def main(parts: list[str]) -> int:
    """Run the parts, each in a folder of its own; return the exit code."""
    if unknown := set(parts) - set(PARTS):
        say(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    for version in VERSIONS:
        registry_binary(version)  # once, before many want it
    well = True
    with tempfile.TemporaryDirectory(dir=os.environ.get("STRESS_FOLDER")) as folder:
        say(f"seed {SEED}, {SECONDS:g} s a setting, {JOBS} side by side")
        for part in parts or PARTS:
            well &= PARTS[part](Path(folder) / part)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
