"""The one way in which tests call a program."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


class ProgramError(AssertionError):
    """A program failed: what was called, how it ended, and all that it said."""


def run(
    *args: str | Path,
    env: Mapping[str, str] | None = None,
    input: str | None = None,  # noqa: A002 - the name that subprocess gives it
    timeout: float = 60,
    check: bool = True,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program and return its exit code and its two streams as text.

    `env` is added to the environment. Raises ProgramError when it fails and `check` is true.
    """
    done = subprocess.run(
        [str(arg) for arg in args],
        env={**os.environ, **(env or {})},
        input=input,
        timeout=timeout,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        raise ProgramError(
            f"{' '.join(str(arg) for arg in args)}: exit {done.returncode}\n"
            f"--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
        )
    return done
