"""What NOTES.txt printed for a release, and running it as it is printed."""

import os
import re
import subprocess
from pathlib import Path

from support.checkout import tool
from support.cluster import Release


def notes(release: Release) -> str:
    done = release.cluster.helm("get", "notes", release.name, "-n", release.namespace)
    text: str = done.stdout
    return text


def lines(text: str, beginning: str) -> list[str]:
    """Return the printed commands that begin so, as they are printed."""
    return re.findall(rf"^ +({beginning}.*)$", text, re.MULTILINE)


def shell(release: Release, folder: Path, *commands: str) -> str:
    """Run lines in one shell that has this cluster's kubectl; return what they print."""
    (folder / "kubectl").unlink(missing_ok=True)
    (folder / "kubectl").symlink_to(tool("kubectl"))
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        env={**os.environ, **release.cluster.environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout
