"""What is measured, a function each; every one returns lines of Markdown.

Programs that are compared run turn by turn on the same stores, so that what else the machine does
meets all of them; the order turns too, so that none always comes first.
"""

import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from bench import programs
from bench.programs import Command, Run, run
from bench.stores import STORES, Shape, Store, copied, made, made_for_now, remove, say

MANY_REPOSITORIES = Shape(100, 30, 8)
MANY_TAGS = Shape(2, 1500, 6)
GROWING = (Shape(10, 125, 8), Shape(100, 125, 8))
MILLION = Shape(1000, 125, 8)
GARBAGE = Shape(100, 30, 8, untagged=3)

Lines = list[str]


def dry_run(shape: Shape, rounds: int, reference_rounds: int) -> Lines:
    """Ours beside `find` and the registry's own; the latter in the first rounds only."""
    store = made(shape)
    store.forget()
    commands = {
        "registry-gc plan": programs.ours(store, "plan"),
        "find -type f": programs.find(store),
        "registry garbage-collect -m --dry-run": programs.reference(store, "--dry-run"),
    }
    limits = {"registry garbage-collect -m --dry-run": reference_rounds}
    return [
        f"{shape.name}: {store.count_blobs():,} blobs",
        "",
        *compared(in_turn(commands, rounds, limits)),
    ]


def warm(rounds: int) -> Lines:
    """A dry run after a real run that remembered the manifests, beside one without its memory."""
    lines: Lines = []
    for shape in (MANY_REPOSITORIES, MANY_TAGS):
        store = made(shape)
        store.forget()
        # So long a grace period deletes nothing.
        run([*programs.ours(store, "collect", "--offline"), "--grace-period", "365d"])
        remembered = store.tree / "registry-gc/manifests"
        aside = store.root / "manifests"
        found: dict[str, list[Run]] = {"warm": [], "cold": []}
        plan = programs.ours(store, "plan")
        run(plan)
        for _ in range(rounds):
            found["warm"].append(run(plan))
            remembered.rename(aside)
            found["cold"].append(run(plan))
            aside.rename(remembered)
        size = remembered.stat().st_size
        lines += [f"{shape.name}, the cache takes {size / 1024:,.0f} KiB", "", *compared(found), ""]
        store.forget()
    return lines


def deletion(rounds: int) -> Lines:
    """Real collections of the same garbage, each on a copy of its own."""
    original = made(GARBAGE)
    ways: dict[str, Callable[[Store], Command]] = {
        "registry-gc collect --offline": lambda copy: programs.ours(copy, "collect", "--offline"),
        "registry-gc collect --settle-period 0": lambda copy: programs.ours(
            copy, "collect", "--settle-period", "0"
        ),
        "registry garbage-collect -m": lambda copy: programs.reference(copy),
    }
    found: dict[str, list[Run]] = {name: [] for name in ways}
    left: dict[str, int] = {}
    for number in range(rounds):
        for name in turned(list(ways), number):
            with copied(original, "copy") as copy:
                found[name].append(run(ways[name](copy)))
                left[name] = copy.count_blobs()
    blobs = original.count_blobs()
    same = "all leave the same number" if len(set(left.values())) == 1 else f"they leave {left}"
    gone = blobs - min(left.values())
    return [f"{gone:,} of {blobs:,} blobs go; {same}", "", *compared(found)]


def calls() -> Lines:
    """System calls of a dry run, in all and for each blob."""
    store = made(MANY_REPOSITORIES)
    store.forget()
    blobs = store.count_blobs()
    commands = {
        "registry-gc plan": programs.ours(store, "plan"),
        "find -type f": programs.find(store),
        "registry garbage-collect -m --dry-run": programs.reference(store, "--dry-run"),
    }
    lines = [
        f"{store.shape.name}: {blobs:,} blobs",
        "",
        "| program | calls | a blob | the most frequent |",
        "| --- | ---: | ---: | --- |",
    ]
    for name, command in commands.items():
        counted = programs.count_calls(command)
        total = counted.pop("total", 0) or sum(counted.values())
        most = sorted(counted.items(), key=lambda item: -item[1])[:5]
        shown = ", ".join(f"{call} {number:,}" for call, number in most)
        lines.append(f"| `{name}` | {total:,} | {total / blobs:.1f} | {shown} |")
    return lines


def growth(rounds: int, *, million: bool) -> Lines:
    """How time and memory grow with the store."""
    base = min(run(programs.interpreter()).peak for _ in range(3))
    lines = [
        f"The interpreter alone takes {base:.1f} MiB.",
        "",
        "| blobs | ours, min s | µs a blob | `find`, min s | ratio | peak MiB | bytes a blob |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    with ExitStack() as stack:
        stores = [made(shape) for shape in GROWING]
        if million:
            stores.append(stack.enter_context(made_for_now(MILLION)))
        for store in stores:
            store.forget()
            blobs = store.count_blobs()
            commands = {"ours": programs.ours(store, "plan"), "find": programs.find(store)}
            found = in_turn(commands, rounds, {})
            ours, find = (min(each.seconds for each in found[name]) for name in ("ours", "find"))
            peak = max(each.peak for each in found["ours"])
            above = (peak - base) * 1024 * 1024 / blobs
            lines.append(
                f"| {blobs:,} | {ours:.2f} | {ours / blobs * 1e6:.0f} | {find:.2f} "
                f"| {ours / find:.2f} | {peak:.0f} | {above:.0f} |"
            )
    return lines


def in_turn(
    commands: Mapping[str, Command], rounds: int, limits: Mapping[str, int]
) -> dict[str, list[Run]]:
    """Run each once to warm the caches up, then all of them in turn; some not in every round."""
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for name, command in commands.items():
        if name not in limits:
            run(command)
    for number in range(rounds):
        for name in turned(list(commands), number):
            if number < limits.get(name, rounds):
                say(f"round {number + 1} of {rounds}: {name}")
                found[name].append(run(commands[name]))
    return found


def turned(names: list[str], number: int) -> list[str]:
    start = number % len(names)
    return names[start:] + names[:start]


def compared(found: Mapping[str, list[Run]]) -> Lines:
    """Return a table of runs; the ratios are to the first program."""
    first = next(iter(found.values()))
    lines = [
        "| program | runs | min s | median s | CPU s, min | ratio: min | median | CPU | peak MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in found.items():
        figures = of(runs)
        ratios = [mine / other for mine, other in zip(figures, of(first), strict=True)]
        shown = [f"{figure:.2f}" for figure in (*figures, *ratios)]
        peak = max(each.peak for each in runs)
        lines.append(f"| `{name}` | {len(runs)} | {' | '.join(shown)} | {peak:.0f} |")
    return lines


def of(runs: list[Run]) -> tuple[float, float, float]:
    """Return the least and the middle of the seconds, and the least of the processors'."""
    seconds = [each.seconds for each in runs]
    return min(seconds), statistics.median(seconds), min(each.cpu for each in runs)


def clean() -> Lines:
    """Remove every store that was made."""
    for folder in STORES.iterdir() if STORES.exists() else ():
        remove(folder)
    return ["The stores are removed."]
