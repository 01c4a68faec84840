"""Our dry run beside the registry's own and `find`, on the same stores, turn by turn in one run.

    make bench                   three rounds on a store of 100 repositories x 30 tags x 8 layers
    python bench/bench.py --repositories 2 --tags 1500 --layers 6 --rounds 1

Prints a table in Markdown: minimum and median in seconds, and as ratios to ours. Stores are made
in the cache folder, outside the checkout, and kept there.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "docker-registry-chart"


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def link(path: Path, digest: str) -> None:
    write(path / "sha256" / digest / "link", f"sha256:{digest}".encode())


def make_store(root: Path, repositories: int, tags: int, layers: int) -> None:
    """Write a store in which a third of each image's layers is shared and a tenth is untagged."""
    v2 = root / "docker/registry/v2"

    def blob(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        write(v2 / "blobs/sha256" / digest[:2] / digest / "data", content)
        return digest

    for repository in range(repositories):
        home = v2 / f"repositories/team-{repository % 7}/app-{repository}"
        for tag in range(tags):
            names = [
                blob(f"layer {repository} {tag // (3 if number % 3 == 0 else 1)} {number}".encode())
                for number in range(layers)
            ]
            config = blob(f"config {repository} {tag}".encode())
            document = {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"digest": f"sha256:{config}", "size": 1},
                "layers": [{"digest": f"sha256:{name}", "size": 1} for name in names],
            }
            manifest = blob(json.dumps(document).encode())
            for name in (config, *names):
                link(home / "_layers", name)
            link(home / "_manifests/revisions", manifest)
            if tag % 10:
                folder = home / f"_manifests/tags/v{tag}"
                link(folder / "index", manifest)
                write(folder / "current/link", f"sha256:{manifest}".encode())


def timed(*command: str, env: dict[str, str] | None = None) -> tuple[float, float]:
    """Run a command to its end; return its seconds and its peak memory in MiB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    errors = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(command)} failed: {errors.decode()[-500:]}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=100)
    parser.add_argument("--tags", type=int, default=30)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    name = f"{chosen.repositories}x{chosen.tags}x{chosen.layers}"
    root = CACHE / "bench" / name
    if not (root / ".complete").exists():
        make_store(root, chosen.repositories, chosen.tags, chosen.layers)
        (root / ".complete").touch()
    config = root / "config.yml"
    config.write_text(f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\n")
    registry = subprocess.run(
        [sys.executable, ROOT / "ci/cluster.py", "tool", "registry"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[-1]
    commands = {
        "registry-gc plan": (sys.executable, "-m", "registry_gc", "plan", str(config),
                             "--grace-period", "0s", "--output", "json"),
        "find -type f": ("find", str(root / "docker"), "-type", "f"),
        "registry garbage-collect -m -d": (registry, "garbage-collect", "-m", "-d", str(config)),
    }  # fmt: skip
    environment = {"PYTHONPATH": str(ROOT / "scripts"), "OTEL_TRACES_EXPORTER": "none"}
    runs: dict[str, list[tuple[float, float]]] = {each: [] for each in commands}
    for _ in range(chosen.rounds):
        for each, command in commands.items():
            runs[each].append(timed(*command, env=environment))
    ours = statistics.median(seconds for seconds, _ in runs["registry-gc plan"])
    print(f"| {name}, {chosen.rounds} rounds | min s | median s | ratio to ours | peak MiB |")
    print("| --- | --- | --- | --- | --- |")
    for each, measured in runs.items():
        seconds = [second for second, _ in measured]
        middle = statistics.median(seconds)
        print(
            f"| {each} | {min(seconds):.2f} | {middle:.2f} | {middle / ours:.1f} "
            f"| {max(memory for _, memory in measured):.0f} |"
        )


if __name__ == "__main__":
    main()
