"""The kind cluster of the e2e tests: releases of the chart, their pods, and what they say."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from support.run import run

ROOT = Path(__file__).parents[2]
CHART = ROOT / "chart"
T = TypeVar("T")

# What every test release has: periods that a test can wait for, on a store that nobody else uses.
QUICK = {
    "persistence.deleteEnabled": "true",
    "garbageCollect.enabled": "true",
    "garbageCollect.gracePeriod": "0s",
    "garbageCollect.settlePeriod": "1s",
    "garbageCollect.maxDeleteRatio": "1",
    "garbageCollect.sidecar.startDelay": "1s",
    "garbageCollect.sidecar.memoryStartDelay": "1s",
}


def tool(name: str) -> str:
    """Return the path of a program that ci/ has or makes."""
    return run("python3", ROOT / "ci/cluster.py", "tool", name, timeout=1800).stdout.split()[-1]


def wait_until(what: str, look: Callable[[], T | None], timeout: float = 90) -> T:
    """Return what `look` returns as soon as it is something; fail with `what` otherwise."""
    deadline = time.monotonic() + timeout
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.5)


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs; `image_tag` is the tag of the collector's image that is loaded."""

    kubeconfig: str
    image_tag: str

    @cached_property
    def environment(self) -> dict[str, str]:
        cache = Path(self.kubeconfig).parent / "discovery"
        return {"KUBECONFIG": self.kubeconfig, "KUBECACHEDIR": str(cache)}

    @cached_property
    def _kubectl(self) -> str:
        return tool("kubectl")

    @cached_property
    def _helm(self) -> str:
        return tool("helm")

    def kubectl(self, *args: str, timeout: float = 120, check: bool = True, input: str = "") -> str:  # noqa: A002
        done = run(
            self._kubectl,
            *args,
            env=self.environment,
            timeout=timeout,
            check=check,
            input=input or None,
        )
        return done.stdout if check else done.stdout + done.stderr

    def get(self, *args: str) -> Any:
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def helm(self, *args: str, timeout: float = 300, check: bool = True) -> Any:
        return run(self._helm, *args, env=self.environment, timeout=timeout, check=check)


@dataclass
class Release:
    """One release of the chart in a namespace of its own, reached at 127.0.0.1:`port`."""

    cluster: Cluster
    namespace: str
    port: int
    name: str = "rel"

    @property
    def fullname(self) -> str:
        return f"{self.name}-docker-registry"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def create_namespace(self, *, enforce: str = "restricted") -> None:
        self.cluster.kubectl("create", "namespace", self.namespace)
        self.cluster.kubectl(
            "label", "namespace", self.namespace, f"pod-security.kubernetes.io/enforce={enforce}"
        )

    def values(self, given: Mapping[str, str]) -> list[str]:
        chosen = {
            "service.type": "NodePort",
            "service.nodePort": str(self.port),
            "image.tag": "3.1.1",
            "garbageCollect.image.tag": self.cluster.image_tag,
            **QUICK,
            **given,
        }
        return [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]

    def install(
        self, given: Mapping[str, str] | None = None, *args: str, timeout: str = "3m"
    ) -> Any:
        return self.cluster.helm(
            "upgrade",
            "--install",
            self.name,
            str(CHART),
            "--namespace",
            self.namespace,
            "--wait",
            "--timeout",
            timeout,
            *self.values(given or {}),
            *args,
        )

    def uninstall(self) -> None:
        self.cluster.helm("uninstall", self.name, "--namespace", self.namespace, "--wait")

    def pods(self) -> list[dict[str, Any]]:
        found = self.cluster.get(
            "pods", "-n", self.namespace, "-l", f"app=docker-registry,release={self.name}"
        )
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    def pod(self) -> dict[str, Any]:
        pods = self.pods()
        assert len(pods) == 1, [pod["metadata"]["name"] for pod in pods]
        return pods[0]

    def restarts(self) -> int:
        """Return how often the kubelet has started the registry again in its pod."""
        statuses = self.pod()["status"]["containerStatuses"]
        return next(s["restartCount"] for s in statuses if s["name"] == "docker-registry")

    def python(self, code: str, *args: str) -> str:
        """Run Python in the collector's container, which sees the registry's volume."""
        return self.cluster.kubectl(
            "exec",
            "-n",
            self.namespace,
            self.pod()["metadata"]["name"],
            "-c",
            "gc",
            "--",
            "python3",
            "-c",
            code,
            *args,
        )

    def files(self) -> list[str]:
        """Return every file and folder of the registry's on its volume."""
        return self.python(
            "import pathlib; [print(p) for p in "
            "sorted(pathlib.Path('/var/lib/registry/docker/registry/v2').rglob('*'))]"
        ).splitlines()

    def start_job(self, name: str = "collect") -> None:
        """Do what a person does to collect now."""
        cronjob = self.cluster.get("cronjobs", "-n", self.namespace)["items"][0]["metadata"]["name"]
        self.cluster.kubectl(
            "create", "job", name, f"--from=cronjob/{cronjob}", "-n", self.namespace
        )

    def job_logs(self, name: str = "collect", timeout: float = 180) -> tuple[bool, str]:
        """Wait for a job to end; return whether it succeeded, and what it printed."""

        def ended() -> str | None:
            conditions = self.cluster.get("job", name, "-n", self.namespace)["status"].get(
                "conditions", []
            )
            done = [c["type"] for c in conditions if c["status"] == "True"]
            return next((t for t in done if t in ("Complete", "Failed")), None)

        result = wait_until(f"job {name} ends", ended, timeout)
        logs = self.cluster.kubectl("logs", f"job/{name}", "-n", self.namespace, check=False)
        return result == "Complete", logs

    def collect(self, name: str = "collect") -> str:
        """Run the CronJob's job; return its report, failing unless it succeeded."""
        self.start_job(name)
        succeeded, logs = self.job_logs(name)
        assert succeeded, logs
        return logs

    def restart_registry(self) -> None:
        """Give the registry new pods, and wait until one of them answers."""
        old = {pod["metadata"]["uid"] for pod in self.pods()}
        self.cluster.kubectl("rollout", "restart", f"deployment/{self.fullname}", "-n", self.namespace)
        self.cluster.kubectl(
            "rollout", "status", f"deployment/{self.fullname}", "-n", self.namespace
        )
        wait_until("new pods", lambda: not old & {pod["metadata"]["uid"] for pod in self.pods()})

    def describe(self) -> str:
        """Return pods, events and logs: what a failed test shows."""
        kubectl = self.cluster.kubectl
        parts = [
            kubectl("get", "all,pvc", "-n", self.namespace, "-o", "wide", check=False),
            kubectl("get", "events", "-n", self.namespace, "--sort-by=.lastTimestamp", check=False),
        ]
        names = kubectl("get", "pods", "-n", self.namespace, "-o", "name", check=False).split()
        for name in [name for name in names if name.startswith("pod/")]:
            for previous in ([], ["--previous"]):
                logs = kubectl(
                    "logs",
                    name,
                    "-n",
                    self.namespace,
                    "--all-containers",
                    "--prefix",
                    "--tail=60",
                    *previous,
                    check=False,
                )
                parts.append(f"--- {name} {' '.join(previous)}\n{logs}")
        return "\n".join(parts)


def cluster_from_environment() -> Cluster:
    """Start or find the cluster, with the images of this checkout loaded."""
    up = run("python3", ROOT / "ci/cluster.py", "up", timeout=5000)
    images = run("python3", ROOT / "ci/cluster.py", "images", timeout=3000)
    tags = [line.split(":")[-1] for line in images.stdout.split() if "registry-gc:" in line]
    return Cluster(up.stdout.split()[-1], os.environ.get("REGISTRY_GC_TAG") or tags[-1])
