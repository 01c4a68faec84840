"""Calling programs, and telling people what goes on. All talk is on standard error."""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "docker-registry-chart"
ROOT = Path(__file__).resolve().parents[1]


class StepError(Exception):
    """A step failed: one sentence for people, with what to do."""


def say(text: str) -> None:
    """Tell people."""
    print(text, file=sys.stderr, flush=True)


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    input: bytes | None = None,  # noqa: A002 - the name that subprocess gives it
    timeout: float | None = None,
) -> str:
    """Run a program; return its standard output.

    `timeout` is in seconds. Raises StepError with all that it said, also where it is missing.
    """
    name = " ".join(str(part) for part in command)[:200]
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            input=input,
            timeout=timeout,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise StepError(f"{command[0]} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise StepError(f"{name}\ndid not end within {error.timeout:g} s") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()[-3000:]
        raise StepError(f"{name}\nended with exit code {done.returncode}:\n{said}")
    return done.stdout.decode(errors="replace")


def succeeds(*command: str | Path, timeout: float = 60) -> bool:
    """Say whether a program runs and ends well."""
    try:
        run(*command, timeout=timeout)
    except StepError:
        return False
    return True


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold a lock of the cache's, so that two processes do not make the same thing twice."""
    folder = CACHE / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  {name}: waiting for another that is at it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def made(target: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes `target` only when all went well.

    Under a lock (`alone`), so what lies at that path was left by one that was killed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def key_of(*parts: str) -> str:
    """Return a short name for what is made of these parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
