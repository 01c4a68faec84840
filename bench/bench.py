"""Our dry run and our collection beside the registry's own and `find`, on the same stores.

    make bench                              the default parts, a few minutes
    python -m bench.bench dry-run warm      some parts
    python -m bench.bench million           growth up to a million blobs: 5 million inodes for now
    python -m bench.bench clean             remove the stores

Prints tables in Markdown. Stores are made on first use in the cache folder, outside the checkout.
"""

import argparse
import os
import platform
from collections.abc import Callable

from bench import parts

LARGE = ("million", "clean")


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("parts", nargs="*", help="of: %(choices)s", metavar="PART")
    arguments.add_argument("--rounds", type=int, default=5, help="how often each program runs")
    chosen = arguments.parse_args()
    rounds: int = chosen.rounds
    known: dict[str, Callable[[], list[str]]] = {
        "dry-run": lambda: parts.dry_run(parts.MANY_REPOSITORIES, rounds, rounds),
        # The registry's own takes about a minute on this one.
        "many-tags": lambda: parts.dry_run(parts.MANY_TAGS, rounds, min(rounds, 2)),
        "warm": lambda: parts.warm(rounds),
        "deletion": lambda: parts.deletion(min(rounds, 3)),
        "calls": parts.calls,
        "growth": lambda: parts.growth(min(rounds, 3), million=False),
        "million": lambda: parts.growth(min(rounds, 3), million=True),
        "clean": parts.clean,
    }
    if unknown := set(chosen.parts) - known.keys():
        arguments.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    print(f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in chosen.parts or [each for each in known if each not in LARGE]:
        print(f"\n## {name}\n", *known[name](), sep="\n", flush=True)


if __name__ == "__main__":
    main()
