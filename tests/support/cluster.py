"""The kind cluster of the e2e tests: releases of the chart, their pods, and what they say."""

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from support.chart import Helm, helm_of
from support.checkout import ROOT, tool
from support.client import Client, Refused
from support.collector import PHASES
from support.run import run
from support.waiting import until

CHART = Path(os.environ.get("CHART") or ROOT / "chart")  # CHART: a packaged one, say

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


_ASK_STATUS = """
import pathlib, urllib.error, urllib.request
token = pathlib.Path("/var/run/secrets/docker-registry-gc/token").read_text().strip()
request = urllib.request.Request("http://127.0.0.1:5002/status")
request.add_header("Authorization", f"Bearer {token}")
try:
    print(urllib.request.urlopen(request).read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
"""


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
    def _kubectl(self) -> Path:
        return tool("kubectl")

    def kubectl(self, *args: str, timeout: float = 120, check: bool = True, input: str = "") -> str:  # noqa: A002 - see run
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

    def helm(
        self, *args: str, timeout: float = 300, check: bool = True, version: Helm = "helm"
    ) -> Any:
        """Run Helm 4, or Helm 3 with `version="helm3"`."""
        return run(helm_of(version), *args, env=self.environment, timeout=timeout, check=check)


@dataclass
class Release:
    """One release of the chart in a namespace of its own, reached at 127.0.0.1:`port`."""

    cluster: Cluster
    namespace: str
    port: int
    name: str = "rel"
    chart: Path = CHART
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="release-")))
    _clients: list[Client] = field(default_factory=list)

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
            str(self.chart),
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
        return [pod for pod in self._all_pods() if "deletionTimestamp" not in pod["metadata"]]

    def _all_pods(self) -> list[dict[str, Any]]:
        found = self.cluster.get(
            "pods", "-n", self.namespace, "-l", f"app=docker-registry,release={self.name}"
        )
        items: list[dict[str, Any]] = found["items"]
        return items

    def wait_for_the_end_of_pods(self) -> None:
        """Wait until no pod of the registry is about to end: Helm does not."""
        until(
            lambda: len(self._all_pods()) == len(self.pods()),
            what="the old pods are gone",
            timeout=180,
        )

    def pod(self) -> dict[str, Any]:
        pods = self.pods()
        assert len(pods) == 1, [pod["metadata"]["name"] for pod in pods]
        return pods[0]

    def restarts(self) -> int:
        """Return how often the kubelet has started the registry again in its pod."""
        statuses = self.pod()["status"]["containerStatuses"]
        return int(next(s["restartCount"] for s in statuses if s["name"] == "docker-registry"))

    def execute(self, *command: str, container: str = "gc", check: bool = True) -> str:
        """Run a command in a container of the registry's pod; return what it printed."""
        pod = self.pod()["metadata"]["name"]
        return self.cluster.kubectl(
            "exec", "-n", self.namespace, pod, "-c", container, "--", *command, check=check
        )

    def python(self, code: str) -> str:
        """Run Python in the collector's container, which sees the registry's volume."""
        return self.execute("python3", "-c", code)

    def files(self) -> list[str]:
        """Return every file and folder of the registry's on its volume."""
        return self.python(
            "import pathlib; [print(p) for p in "
            "sorted(pathlib.Path('/var/lib/registry/docker/registry/v2').rglob('*'))]"
        ).splitlines()

    def start_job(self, name: str = "collect") -> None:
        """Do what a person does to collect now."""
        # The other one looks after the endpoint.
        selector = f"app.kubernetes.io/component=gc-hook,app.kubernetes.io/instance={self.name}"
        found = self.cluster.get("cronjobs", "-n", self.namespace, "-l", selector)["items"]
        cronjob = found[0]["metadata"]["name"]
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

        result = until(ended, what=f"job {name} ends", timeout=timeout, pause=0.5)
        logs = self.cluster.kubectl("logs", f"job/{name}", "-n", self.namespace, check=False)
        return result == "Complete", logs

    def collect(self, name: str = "collect") -> str:
        """Run the CronJob's job; return its report, failing unless it succeeded."""
        self.start_job(name)
        succeeded, logs = self.job_logs(name)
        assert succeeded, logs
        return logs

    def status(self) -> dict[str, Any]:
        """Return what the sidecar says of its current or last run; `none` before the first."""
        found: dict[str, Any] = json.loads(self.python(_ASK_STATUS))
        return {"phase": "none", "state": "none", **found}

    def wait_for_phase(self, phase: str) -> None:
        """Wait until the sidecar's run is in a phase, or past it: some last a moment only."""
        wanted = PHASES[PHASES.index(phase) :]
        until(
            lambda: (said := self.status())["phase"] in wanted or said["state"] == "done",
            what=f"phase {phase}",
            timeout=120,
        )

    def make_claim(self, name: str = "data", size: str = "1Gi") -> None:
        """Make a claim that no release owns."""
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": size}},
                },
            }
        )

    def apply(self, document: dict[str, Any]) -> None:
        self.cluster.kubectl("apply", "-n", self.namespace, "-f", "-", input=json.dumps(document))

    def run_pod(self, name: str, image: str, *command: str, claim: str = "") -> str:
        """Run a pod to its end in the restricted profile; return what it printed."""
        container: dict[str, Any] = {
            "name": "main",
            "image": image,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        if command:
            container["command"] = list(command)
        spec: dict[str, Any] = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        if claim:
            container["volumeMounts"] = [{"name": "data", "mountPath": "/var/lib/registry"}]
            spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})

        def phase() -> str | None:
            found = str(self.cluster.get("pod", name, "-n", self.namespace)["status"]["phase"])
            return found if found in ("Succeeded", "Failed") else None

        ended = until(phase, what=f"pod {name} ends", timeout=120, pause=0.5)
        logs = self.cluster.kubectl("logs", name, "-n", self.namespace, check=False)
        assert ended == "Succeeded", logs
        self.cluster.kubectl("delete", "pod", name, "-n", self.namespace, "--wait=false")
        return logs

    def taken_files(self, claim: str = "data") -> list[str]:
        """Return what a collection took from a claim and has not put back."""
        return self.run_pod(
            f"look-{uuid.uuid4().hex[:5]}",
            f"registry-gc:{self.cluster.image_tag}",
            "python3",
            "-c",
            "import pathlib; [print(p) for p in "
            "pathlib.Path('/var/lib/registry/docker/registry-gc/taken').rglob('*') if p.is_file()]",
            claim=claim,
        ).splitlines()

    def restart_registry(self) -> None:
        """Give the registry new pods, and wait until one of them answers."""
        old = {pod["metadata"]["uid"] for pod in self.pods()}
        self.cluster.kubectl(
            "rollout", "restart", f"deployment/{self.fullname}", "-n", self.namespace
        )
        self.cluster.kubectl(
            "rollout", "status", f"deployment/{self.fullname}", "-n", self.namespace
        )
        until(
            lambda: not old & {pod["metadata"]["uid"] for pod in self.pods()},
            what="only new pods",
            pause=0.5,
        )
        self.wait_until_it_answers()

    def client(self) -> Client:
        """Return a new client, for one thread; `close` closes it."""
        client = Client(f"http://{self.address}")
        self._clients.append(client)
        return client

    def close(self) -> None:
        while self._clients:
            self._clients.pop().close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def answers(self) -> bool:
        client = Client(f"http://{self.address}")
        try:
            return client.request("GET", "/v2/").status == 200
        except (OSError, Refused):
            return False
        finally:
            client.close()

    def wait_until_it_answers(self) -> None:
        """Wait for the NodePort, which follows the pod a second or two later."""
        until(self.answers, what=f"an answer at {self.address}", timeout=60, pause=0.2)

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
