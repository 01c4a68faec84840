"""This checkout: where its parts lie, and the programs that ci/ has or makes for it."""

import os
from pathlib import Path

from support.run import run

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(
    os.environ.get("COLLECTOR_SCRIPTS") or ROOT / "scripts"
)  # of a mutant, in tests/mutants


def tool(name: str) -> Path:
    """Return a program of ci/versions.py, which is made on first use."""
    done = run("python3", ROOT / "ci/cluster.py", "tool", name, timeout=1800, cwd=ROOT)
    return Path(done.stdout.strip().splitlines()[-1])


def clean_environment() -> dict[str, str]:
    """Return our environment without what configures a registry or a collector."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REGISTRY_", "GC_"))
    }
