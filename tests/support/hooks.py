"""The hook's Jobs on a cluster, held, followed and killed; and a collection frozen in a phase."""

import re
import select
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.checkout import tool
from support.cluster import Release
from support.collector import PHASES
from support.run import run
from support.waiting import until

# In place of the entry point, so that a test can prepare what the command is to meet.
_WHEN_TOLD = """
import os, sys, time
while not os.path.exists("/tmp/go"):
    time.sleep(0.05)
os.execvp("registry-gc", ["registry-gc", *sys.argv[1:]])
"""

# In the collector's container: stops the process that collects in the first of some phases that it
# reaches, and lets it go on at the next line, or after so many seconds. Some phases last for
# milliseconds. So it is let go in steps of microseconds, and looked at while it stands: when others
# take the processor from this one, then most likely while it stands.
_FREEZE = """
import glob, json, os, select, signal, sys
def progress():
    for path in glob.glob("/tmp/registry-gc-*/progress.json"):
        try:
            with open(path) as file:
                return json.load(file)
        except (OSError, ValueError):
            pass
    return {"run": "", "phase": ""}
def collecting():
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\\0")
        except (OSError, ValueError):
            continue
        if b"registry_gc" in words and b"collect" in words:
            return int(name)
def told(seconds):
    return bool(select.select([sys.stdin], [], [], seconds)[0])
before = progress()["run"]
print("ready", flush=True)
while (found := collecting()) is None or progress()["run"] == before:
    if told(0 if found else 0.01):
        sys.exit()
os.kill(found, signal.SIGSTOP)
while progress()["phase"] not in sys.argv[1].split():
    os.kill(found, signal.SIGCONT)
    os.kill(found, signal.SIGSTOP)
    if told(0):
        break
try:
    print(progress()["phase"], flush=True)
    told(float(sys.argv[2]))
finally:
    os.kill(found, signal.SIGCONT)
"""


def on_node(node: str, *command: str, check: bool = True) -> str:
    """Run a command on a node of the kind cluster, which is a container."""
    return run("docker", "exec", node, *command, check=check).stdout


@dataclass
class HookJob:
    """A Job of one of the release's CronJobs, whose command begins when it is told to `go`."""

    release: Release
    name: str

    @classmethod
    def of(
        cls,
        release: Release,
        name: str,
        *,
        role: str = "gc-hook",
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> "HookJob":
        """Make it, with other arguments and more variables if given, and wait until it runs."""
        cronjob = cronjob_of(release, role)
        spec = cronjob["spec"]["jobTemplate"]["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        container["command"] = ["python3", "-c", _WHEN_TOLD]
        container["args"] = list(args) or container["args"]
        for key, value in (env or {}).items():
            container["env"] = [each for each in container["env"] if each["name"] != key]
            container["env"].append({"name": key, "value": value})
        metadata = {"name": name, "labels": cronjob["spec"]["jobTemplate"]["metadata"]["labels"]}
        release.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
        job = cls(release, name)
        until(lambda: "running" in job._state(), what=f"{name} runs", timeout=60, pause=0.2)
        return job

    @classmethod
    def begun(cls, release: Release, name: str) -> "HookJob":
        """Make it as it is and let it go."""
        job = cls.of(release, name)
        job.go()
        return job

    def go(self) -> None:
        self.release.cluster.kubectl(
            "exec", self.pod["metadata"]["name"], "-n", self.release.namespace, "--",
            "python3", "-c", "open('/tmp/go', 'x').close()",  # the image has no `touch`
        )  # fmt: skip

    @property
    def pod(self) -> dict[str, Any]:
        found = self.release.cluster.get(
            "pods", "-n", self.release.namespace, "-l", f"batch.kubernetes.io/job-name={self.name}"
        )
        pods: list[dict[str, Any]] = found["items"]
        return pods[0] if pods else {}

    def _state(self) -> dict[str, Any]:
        statuses = self.pod.get("status", {}).get("containerStatuses") or [{}]
        state: dict[str, Any] = statuses[0].get("state", {})
        return state

    def kill(self, signal: str = "SIGKILL") -> None:
        """Send its process a signal; at this one nothing of it can say or undo anything."""
        pod = self.pod
        name = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        on_node(
            pod["spec"]["nodeName"],
            "ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", signal, name,
        )  # fmt: skip

    def end(self, timeout: float = 180) -> "Ended":
        """Wait for its end; return the exit code, what it printed, what `kubectl describe` says."""
        until(
            lambda: "terminated" in self._state(), what=f"{self.name} ends", timeout=timeout,
            pause=0.2,
        )  # fmt: skip
        ended = self._state()["terminated"]
        return Ended(int(ended["exitCode"]), self.logs(), ended.get("message", ""))

    def logs(self) -> str:
        return self.release.cluster.kubectl(
            "logs", f"job/{self.name}", "-n", self.release.namespace, check=False
        )

    def wait_for_log(self, words: str, timeout: float = 90) -> None:
        until(
            lambda: words in self.logs(), what=f"{self.name} says {words!r}", timeout=timeout,
            pause=0.2,
        )  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a Job's container ended; `message` is its termination message."""

    code: int
    logs: str
    message: str

    @property
    def deleted(self) -> int:
        """Return how many blobs its report says that went."""
        found = re.search(r"^Deleted (\d+) blobs", self.logs, re.MULTILINE)
        return int(found[1]) if found else 0

    @property
    def run(self) -> str:
        """Return the name of the run that it began or joined."""
        return next(
            line.split(": run ")[1].split()[0]
            for line in self.logs.splitlines()
            if ": run " in line
        )


def cronjob_of(release: Release, role: str) -> dict[str, Any]:
    """Return the release's CronJob of a role: gc-hook or endpoint."""
    labels = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component={role}"
    (found,) = release.cluster.get("cronjobs", "-n", release.namespace, "-l", labels)["items"]
    return dict(found)


@dataclass
class Frozen:
    """A collection that will be stopped, until the block that made this is left."""

    process: subprocess.Popen[bytes]

    def wait(self, timeout: float = 120) -> str:
        """Wait until it is stopped; return the phase that it is in."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], timeout)
        assert readable, f"after {timeout:g} s still no collection"
        phase = self.process.stdout.readline().decode().strip()
        assert phase in PHASES[:-1], f"stopped in {phase!r}"
        return phase


@contextmanager
def freezing(
    release: Release, phase: str, pod: str = "", *, at_most: float = 120
) -> Iterator[Frozen]:
    """Stop the release's next collection in a phase, or in a later one where that was too short.

    It goes on when the block is left, or after so many seconds: where the API cannot carry the
    word.
    """
    phases = " ".join(PHASES[PHASES.index(phase) : -1])
    process = subprocess.Popen(
        [
            str(tool("kubectl")), "exec", "-i", "-n", release.namespace,
            pod or release.pod()["metadata"]["name"], "-c", "gc", "--",
            "python3", "-c", _FREEZE, phases, str(at_most),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        env={"PATH": "/usr/bin:/bin", **release.cluster.environment},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield Frozen(process)
    finally:
        process.communicate(b"\n", timeout=60)


@contextmanager
def without_the_api(job: HookJob) -> Iterator[None]:
    """Cut a Job's pod off from the API server: its packets get lost on its node.

    What it has asked before gets no answer either. Others on the node notice nothing.
    """
    pod = job.pod
    # In front of the rules that send packets on, to another node (FORWARD) or to this one (INPUT).
    rules = [
        (chain, "--source", pod["status"]["podIP"], "--protocol", "tcp", "--dport", "6443",
         "--jump", "DROP")
        for chain in ("FORWARD", "INPUT")
    ]  # fmt: skip
    node = pod["spec"]["nodeName"]
    try:
        for rule in rules:
            on_node(node, "iptables", "--wait", "--insert", *rule)
        yield
    finally:
        for rule in rules:
            on_node(node, "iptables", "--wait", "--delete", *rule, check=False)


@contextmanager
def denied(release: Release) -> Iterator[None]:
    """Take the hook's rights away for a while."""
    pod = cronjob_of(release, "gc-hook")["spec"]["jobTemplate"]["spec"]["template"]
    name = pod["spec"]["serviceAccountName"]  # that of the Role and its binding too
    binding = release.cluster.get("rolebinding", name, "-n", release.namespace)
    release.cluster.kubectl("delete", "rolebinding", name, "-n", release.namespace)
    try:
        yield
    finally:
        kept = ("name", "labels", "annotations")
        binding["metadata"] = {key: binding["metadata"][key] for key in kept}
        release.apply(binding)


def told(release: Release, kind: str = "Deployment") -> list[tuple[str, str, str]]:
    """Return type, reason and message of each Event of ours about the release's workload, or
    another object of its name, the oldest first.
    """
    about = f"involvedObject.kind={kind},involvedObject.name={release.fullname}"
    found = release.cluster.get("events", "-n", release.namespace, "--field-selector", about)[
        "items"
    ]
    ours = [event for event in found if event["source"].get("component") == "registry-gc"]
    ours.sort(key=lambda event: str(event["metadata"]["creationTimestamp"]))
    return [(event["type"], event["reason"], event["message"]) for event in ours]
