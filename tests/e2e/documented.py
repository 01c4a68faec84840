"""Commands of the pages in docs/, taken from there and run as a person would."""

import os
import re
import shutil
from collections.abc import Mapping

from support.checkout import ROOT, tool
from support.cluster import Release
from support.run import run


def shell_block(page: str, heading: str, number: int = -1) -> list[str]:
    """Return the lines of a shell block under a heading of a page; the last one by default."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    section = re.search(
        rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert section, f"{page} has no heading {heading!r}"
    found = re.findall(r"^```sh\n(.*?)^```", section[2], re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no shell block under {heading!r}"
    return str(found[number]).splitlines()


def shell(
    release: Release, *lines: str, env: Mapping[str, str] | None = None, check: bool = True
) -> str:
    """Run lines in one shell, in the release's folder and namespace, `./chart` beside it.

    Return what they print; with `check=False` nothing if one fails.
    """
    folder = release.scratch
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("helm", "kubectl", "crane"):
        if not (link := programs / name).exists():
            link.symlink_to(tool(name))
    if not (chart := folder / "chart").exists():
        chart.symlink_to(release.chart.resolve())
    config = folder / "kubeconfig"
    shutil.copy(release.cluster.kubeconfig, config)
    known = {**release.cluster.environment, "KUBECONFIG": str(config)}
    context = ("config", "set-context", "--current", f"--namespace={release.namespace}")
    run(programs / "kubectl", *context, env=known)
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    script = "\n".join(["set -euo pipefail", *lines])
    environment = {**known, **path, **(env or {})}
    done = run("bash", "-c", script, env=environment, cwd=folder, timeout=600, check=check)
    return done.stdout if done.returncode == 0 else ""
