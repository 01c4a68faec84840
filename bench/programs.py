"""The programs that are measured, each run as a process of its own from start to end."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.stores import CACHE, Store, say

ROOT = Path(__file__).parents[1]

Command = list[str]


@dataclass(frozen=True)
class Run:
    """One run: seconds by the clock and of the processors, and MiB at its peak."""

    seconds: float
    cpu: float
    peak: float


def run(command: Command) -> Run:
    """Run a command to its end; exit with what it said if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment()
    )
    errors = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(command)} failed: {errors.decode()[-500:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def environment() -> dict[str, str]:
    """Return variables for all programs: ours is compiled beforehand, as it is in its image."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GC_", "REGISTRY_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **inherited,
        "PYTHONPATH": str(ROOT / "scripts"),
        "PYTHONPYCACHEPREFIX": str(CACHE / "pycache"),
        "OTEL_TRACES_EXPORTER": "none",
    }


def ours(store: Store, what: str, *options: str) -> Command:
    """Return our command; what is as young as these stores may go too."""
    named = (sys.executable, "-m", "registry_gc", what, str(store.config))
    return [*named, "--grace-period", "0s", "--output", "json", *options]


def interpreter() -> Command:
    return [sys.executable, "-c", "pass"]


def find(store: Store) -> Command:
    return ["find", str(store.tree), "-type", "f"]


def reference(store: Store, *options: str) -> Command:
    return [registry(), "garbage-collect", "--delete-untagged", *options, str(store.config)]


@cache
def registry() -> str:
    """Return the registry 3.1.1, built on first use."""
    found = subprocess.run(
        [sys.executable, ROOT / "ci/cluster.py", "tool", "registry"],
        check=True,
        capture_output=True,
        text=True,
    )
    return found.stdout.split()[-1]


def count_calls(command: Command) -> dict[str, int]:
    """Return how often each system call was made, by the command and its children."""
    if shutil.which("strace") is None:
        say("strace is missing: apt-get install strace")
        subprocess.run(["apt-get", "install", "-y", "-q", "strace"], check=True, stdout=sys.stderr)
    done = subprocess.run(
        ["strace", "-f", "-c", "-U", "calls,name", *command],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    lines = (line.split() for line in done.stderr.splitlines())
    return {parts[1]: int(parts[0]) for parts in lines if len(parts) == 2 and parts[0].isdigit()}
