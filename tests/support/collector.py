"""Runs the collector as people and the sidecar do: as a program with an exit code."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from support.checkout import SCRIPTS, clean_environment
from support.registry_process import RegistryProcess
from support.run import run
from support.waiting import until

_WITH_SEAMS = Path(__file__).with_name("stopping_collector.py")

# Absurdly short, so that a test need not wait: nothing is too young.
QUICK = ("--grace-period", "0s", "--settle-period", "1s", "--restart", "always")


@dataclass(frozen=True, slots=True)
class Collected:
    """How a run ended: its exit code, its report, and what it said to people."""

    code: int
    report: Mapping[str, Any]
    said: str

    @classmethod
    def of(cls, code: int, stdout: str, stderr: str) -> Self:
        """Return what a program's end and its two streams say."""
        try:
            report = json.loads(stdout)
        except ValueError:
            report = {}
        return cls(code, report, stderr if report else stdout + stderr)

    def deleted(self, what: str) -> int:
        """Return a count of the report's `deleted`."""
        return int(self.report["deleted"][what])


def collector_environment(**more: str) -> dict[str, str]:
    """Return an environment in which the collector is found and nothing is set for it."""
    return {**clean_environment(), "PYTHONPATH": str(SCRIPTS), **more}


def command(
    registry: RegistryProcess | Path, *options: str, verb: str = "collect", with_seams: bool = False
) -> list[str]:
    """Return the command line; a path stands for a configuration without a registry."""
    config = registry if isinstance(registry, Path) else registry.config_path
    program = [str(_WITH_SEAMS)] if with_seams else ["-m", "registry_gc"]
    return [sys.executable, *program, verb, str(config), "--output", "json", *options]


def collect(
    registry: RegistryProcess | Path,
    *options: str,
    verb: str = "collect",
    timeout: float = 120,
    environment: Mapping[str, str] | None = None,
) -> Collected:
    """Run one collection to its end, by default with QUICK periods."""
    done = subprocess.run(
        command(registry, *(options or QUICK), verb=verb),
        env=collector_environment(**(environment or {})),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Collected.of(done.returncode, done.stdout, done.stderr)


def recover(registry: RegistryProcess) -> None:
    """Do what the sidecar does as soon as its collecting child has died."""
    say("recover", registry)


def say(verb: str, registry: RegistryProcess) -> str:
    """Run a command that only takes a configuration, and return what it prints."""
    arguments = (sys.executable, "-m", "registry_gc", verb, registry.config_path)
    return run(*arguments, env={"PYTHONPATH": str(SCRIPTS)}).stdout


def collect_well(registry: RegistryProcess, *options: str, verb: str = "collect") -> Collected:
    """Run one collection, which must end without a problem."""
    done = collect(registry, *options, verb=verb)
    assert (done.code, done.report.get("problems")) == (0, []), f"{done.report}\n{done.said}"
    return done


PHASES = ["scan", "unlink", "settle", "bury", "forget", "confirm", "remove", "done"]


@dataclass(slots=True)
class RunningCollector:
    """A collection that goes on; `phase` is what it says it does now, empty before its first.

    With `STOP_AT` in its environment it freezes there: see stopping_collector.py.
    """

    process: subprocess.Popen[str]
    progress: Path

    @property
    def phase(self) -> str:
        """Return the phase that it is in."""
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(self.progress.read_text())["phase"])
        return ""

    def wait_for(self, phase: str) -> None:
        """Wait until it is in a phase or, because one may last for milliseconds, in a later one.

        Raises AssertionError if it ends before that.
        """
        wanted = PHASES[PHASES.index(phase) :]

        def there() -> bool:
            if self.phase in wanted:
                return True
            assert self.process.poll() is None, f"it ended before {phase!r}: {self.end()}"
            return False

        until(there, what=f"the collection is in {phase!r}", timeout=60, pause=0.002)

    def wait_until_frozen(self) -> None:
        """Wait until it has stopped itself. Raises AssertionError if it ends before that."""

        def frozen() -> bool:
            assert self.process.poll() is None, f"it ended before it froze: {self.end()}"
            status = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2]
            return status.split()[0] == "T"

        until(frozen, what="the collector has frozen", timeout=60, pause=0.005)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, and let a frozen process go on to meet it."""
        self.process.send_signal(number)
        if number != signal.SIGKILL:
            self.process.send_signal(signal.SIGCONT)

    def end(self, timeout: float = 120) -> Collected:
        """Wait for its end."""
        stdout, stderr = self.process.communicate(timeout=timeout)
        return Collected.of(self.process.returncode, stdout, stderr)


@contextlib.contextmanager
def collecting(
    registry: RegistryProcess, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[RunningCollector]:
    """Start a collection; what still runs when the block is left is killed."""
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder) / "progress.json"
        process = subprocess.Popen(
            command(registry, *(options or QUICK), with_seams=True),
            env=collector_environment(GC_PROGRESS_FILE=str(progress), **(environment or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield RunningCollector(process, progress)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


@dataclass(slots=True)
class Acknowledged:
    """Every push that got its 201 and was not deleted since: what must pull (rule 1)."""

    pushes: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, repository: str, reference: str, digest: str) -> None:
        """Note an acknowledged push."""
        self.pushes[repository, reference] = digest

    def lost(self, registry: RegistryProcess) -> list[str]:
        """Return one line for each that does not pull whole, or is another manifest now."""
        client = registry.client()
        found = []
        for (repository, reference), digest in sorted(self.pushes.items()):
            pulled = client.pull(repository, reference)
            if pulled.missing:
                found.append(f"{repository}:{reference} lacks {'; '.join(pulled.missing)}")
            elif pulled.digest != digest:
                found.append(f"{repository}:{reference} is {pulled.digest}, not {digest}")
        return found


def left_behind(v2: Path, *digests: str) -> list[str]:
    """Return paths that name one of these digests, and folders that hold nothing.

    Fan-out folders (`blobs/sha256/ab`) and `_uploads` may be empty: pushes make something in them
    all the time, and would meet a vanished folder (race W9).
    """
    hexes = [digest.partition(":")[2] for digest in digests]
    found = []
    for path in sorted(v2.rglob("*")):
        name = path.relative_to(v2).as_posix()
        busy = path.name == "_uploads" or (name.startswith("blobs/") and name.count("/") <= 2)
        if any(each in name for each in hexes) or (
            path.is_dir() and not busy and not any(path.iterdir())
        ):
            found.append(name)
    return found
