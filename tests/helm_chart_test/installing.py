"""Install charts into a real cluster, and say what a namespace looks like when a test fails."""

import base64
import binascii
import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from helm_chart_test.rendering import Values, values_text


class CommandError(AssertionError):
    """A command against the cluster failed: what was called and all that it said."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs, and the kubectl that speaks to it."""

    kubeconfig: Path
    kubectl_path: Path = Path("kubectl")

    def run(
        self,
        program: Path,
        *args: str | Path,
        input: str = "",  # noqa: A002 - the name that subprocess gives it
        check: bool = True,
        timeout: float = 300,
    ) -> str:
        """Run a program against this cluster; return what it printed, errors too unless `check`.

        Raises CommandError.
        """
        cache = self.kubeconfig.parent / "discovery"
        environment = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(cache)}
        done = subprocess.run(
            [str(program), *(str(arg) for arg in args)],
            env={**os.environ, **environment},
            input=input or None,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise CommandError(
                f"{program.name} {' '.join(str(arg) for arg in args)}: exit {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout if check else done.stdout + done.stderr

    def kubectl(
        self,
        *args: str,
        input: str = "",  # noqa: A002 - see run
        check: bool = True,
        timeout: float = 120,
    ) -> str:
        """Run kubectl; see `run`."""
        return self.run(self.kubectl_path, *args, input=input, check=check, timeout=timeout)

    def get(self, *args: str) -> Any:
        """Return what `kubectl get` finds, as plain objects."""
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def apply(self, namespace: str, *things: Mapping[str, Any]) -> None:
        """Make objects, or change them to what is given."""
        text = "\n---\n".join(json.dumps(thing) for thing in things)
        self.kubectl("apply", "-n", namespace, "-f", "-", input=text)

    @contextmanager
    def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """Make a namespace for one test, `name` and something random, and remove it at the end."""
        full = f"{name[:40].strip('-')}-{uuid.uuid4().hex[:5]}"
        self.kubectl("create", "namespace", full)
        try:
            if labels:
                pairs = [f"{key}={value}" for key, value in labels.items()]
                self.kubectl("label", "namespace", full, *pairs)
            yield full
        finally:
            self.kubectl("delete", "namespace", full, "--wait=false", check=False)


@dataclass(frozen=True)
class Release:
    """One release of a chart. `using` gives the same one with another Helm or another chart."""

    cluster: Cluster
    namespace: str
    chart: Path
    helm_path: Path
    name: str = "rel"

    def using(self, *, helm: Path | None = None, chart: Path | None = None) -> "Release":
        """Return this release as another Helm sees it, or with another chart to install."""
        return replace(self, helm_path=helm or self.helm_path, chart=chart or self.chart)

    def helm(self, *args: str | Path, input: str = "", check: bool = True) -> str:  # noqa: A002 - see run
        """Run Helm in the release's namespace; see `Cluster.run`."""
        return self.cluster.run(
            self.helm_path, *args, "--namespace", self.namespace, input=input, check=check
        )

    def install(self, values: Values, *args: str, timeout: str = "3m") -> str:
        """Install the release and wait until all of it is ready."""
        return self._applied("install", values, args, timeout)

    def upgrade(self, values: Values, *args: str, timeout: str = "3m") -> str:
        """Upgrade the release, or install it, and wait until all of it is ready."""
        return self._applied("upgrade", values, ("--install", *args), timeout)

    def _applied(self, verb: str, values: Values, args: Sequence[str], timeout: str) -> str:
        return self.helm(
            verb, self.name, self.chart, "--wait", "--timeout", timeout, "--values", "-", *args,
            input=values_text(values),
        )  # fmt: skip

    def rollback(self, revision: int = 0, *args: str, timeout: str = "3m") -> str:
        """Go back to a revision, 0 for the one before, and wait."""
        return self.helm(
            "rollback", self.name, str(revision), "--wait", "--timeout", timeout, *args
        )

    def uninstall(self, *args: str, check: bool = True) -> str:
        """Remove the release and wait until its objects are gone."""
        return self.helm("uninstall", self.name, "--wait", *args, check=check)

    def test(self, *args: str, timeout: str = "3m") -> str:
        """Run the chart's own tests (`helm test`); return what they logged. Raises CommandError."""
        return self.helm("test", self.name, "--logs", "--timeout", timeout, *args)

    def history(self) -> list[dict[str, Any]]:
        """Return the revisions, oldest first."""
        found: list[dict[str, Any]] = json.loads(
            self.helm("history", self.name, "--output", "json")
        )
        return found

    def manifest(self) -> str:
        """Return what Helm says that it installed."""
        return self.helm("get", "manifest", self.name)


def namespace_report(cluster: Cluster, namespace: str) -> str:
    """Return what people look at first: nodes, events, objects, pods, logs, also of those before.

    What the namespace's Secrets hold is replaced by the Secret's and the key's name. Never raises:
    it is called when something has gone wrong already.
    """
    here = ("-n", namespace)
    asked = [
        ("get", "nodes", "-o", "wide"),
        ("get", "events", *here, "--sort-by=.lastTimestamp"),
        ("get", "all,pvc,ingress", *here, "-o", "wide"),
        ("describe", "pods", *here),
    ]
    names = _said(cluster, "get", "pods", *here, "-o", "name").split()
    for name in (name for name in names if name.startswith("pod/")):
        logs = ("logs", name, *here, "--all-containers", "--prefix", "--tail=80")
        asked += [logs, (*logs, "--previous")]
    text = "\n".join(f"--- kubectl {' '.join(args)}\n{_said(cluster, *args)}" for args in asked)
    return without_secrets(text, _secrets(cluster, namespace))


def _said(cluster: Cluster, *args: str) -> str:
    try:
        return cluster.kubectl(*args, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"(no answer: {error})"


def _secrets(cluster: Cluster, namespace: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(_said(cluster, "get", "secrets", "-n", namespace, "-o", "json"))
    except ValueError:
        return []
    items: list[Mapping[str, Any]] = found["items"]
    # A release is kept in a Secret too; its text is all of the chart.
    return [item for item in items if item.get("type") != "helm.sh/release.v1"]


def without_secrets(text: str, secrets: Sequence[Mapping[str, Any]]) -> str:
    """Return the text with each line that a Secret holds replaced, in clear and as base64.

    Shorter than four characters is no secret, and would be found in every other word.
    """
    words: dict[str, str] = {}
    for secret in secrets:
        for key, encoded in (secret.get("data") or {}).items():
            name = f"<{secret['metadata']['name']}: {key}>"
            try:
                clear = base64.b64decode(encoded).decode(errors="replace")
            except binascii.Error:
                clear = ""
            words |= {part.strip(): name for part in [encoded, clear, *clear.splitlines()]}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= 4:
            text = text.replace(word, words[word])
    return text
