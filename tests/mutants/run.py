"""Break each rule on purpose in a copy of the package, and see that its test says so.

    python tests/mutants/run.py [--full] [NAME ...]     NAME: rule 3, attack 21

Prints a line a mutant. Exit 1 if one survives, does not apply exactly once, breaks the test in any
other way than by its assertion, or if the test fails without it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutants.cluster import CLUSTER
from mutants.table import ATTACKS, RULES, Mutant

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2
TIMEOUT = 900  # seconds for one test
# By its assertion, or because the package refuses what it must not refuse.
ASSERTED = ("AssertionError", "assert ", "Failed: DID NOT RAISE", "registry_gc.errors.")


def altered(folder: Path, mutant: Mutant | None) -> Path:
    """Return a copy of scripts/, with the mutant's change. Raises ValueError if it does not fit."""
    scripts = folder / "scripts"
    shutil.copytree(ROOT / "scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
    if mutant:
        module = scripts / "registry_gc" / mutant.module
        text = module.read_text()
        if (count := text.count(mutant.old)) != 1:
            raise ValueError(f"{mutant.module} has {count} times: {mutant.old!r}")
        module.write_text(text.replace(mutant.old, mutant.new))
    return scripts


def outcomes(scripts: Path, tests: Sequence[str], folder: Path) -> Iterator[tuple[str, str]]:
    """Run tests with this copy of the package; yield the name of each and how it failed, if so."""
    report = folder / "report.xml"
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
            *("-o", f"pythonpath={scripts} tests ci ."),
            *(f"--junitxml={report}", f"--basetemp={folder / 'tmp'}", *tests),
        ],
        cwd=ROOT,
        env={**os.environ, "COLLECTOR_SCRIPTS": str(scripts)},
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    cases = list(ET.parse(report).getroot().iter("testcase")) if report.exists() else []
    for case in cases:
        ends = {each.tag: each.get("message") or each.tag for each in case}
        how = ends.get("failure", "")
        for tag in ("error", "skipped"):
            if tag in ends:
                how = f"{tag}: {ends[tag]}"
        yield case.get("name") or "", how
    if not cases:
        yield "pytest", "error: it ran no test"


def problem_of(mutant: Mutant) -> str:
    """Return what is wrong with a mutant; nothing if its test catches it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        try:
            scripts = altered(Path(folder), mutant)
            failures = [how for _, how in outcomes(scripts, [mutant.test], Path(folder)) if how]
        except (ValueError, subprocess.TimeoutExpired) as error:
            return str(error)
    others = [how for how in failures if not how.startswith(ASSERTED)]
    if not failures:
        return "SURVIVED"
    return f"not by an assertion: {others[0].splitlines()[0]}" if others else ""


def problems_without(tests: Sequence[str]) -> list[str]:
    """Return what fails of these tests with the package as it is."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        found = list(outcomes(altered(Path(folder), None), tests, Path(folder)))
    failed = [f"{name} fails without a mutant: {how.splitlines()[0]}" for name, how in found if how]
    return failed if len(found) >= len(tests) else [*failed, "some tests are not there"]


def judged(mutant: Mutant) -> tuple[Mutant, str, float]:
    began = time.monotonic()
    problem = problem_of(mutant)
    return mutant, problem, time.monotonic() - began


def chosen(names: Sequence[str], *, full: bool) -> list[Mutant]:
    rules = [*RULES, *CLUSTER]
    mutants = [*rules, *ATTACKS]
    if names:
        return [mutant for mutant in mutants if mutant.rule in names]
    if full:
        return mutants
    first = {mutant.rule: mutant for mutant in reversed(rules) if mutant.quick}
    return [mutant for mutant in rules if first.get(mutant.rule) is mutant]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the mutants and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="also what takes long")
    parser.add_argument("names", nargs="*", help="only these, such as 'rule 3'")
    asked = parser.parse_args()
    mutants = chosen(asked.names, full=asked.full)
    unsound = problems_without(sorted({mutant.test for mutant in mutants}))
    for problem in unsound:
        say(problem)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        survivors = 0
        say("rule | mutation | caught by | seconds")
        for mutant, problem, seconds in pool.map(judged, mutants):
            survivors += bool(problem)
            caught = problem or mutant.test.rpartition("::")[2]
            say(f"{mutant.rule} | {mutant.breaks} | {caught} | {seconds:.1f}")
    say(f"{len(mutants) - survivors} of {len(mutants)} mutants were caught")
    return int(bool(survivors or unsound or not mutants))


if __name__ == "__main__":
    sys.exit(main())
