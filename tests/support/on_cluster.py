"""What several tests on the cluster do with a release beyond installing and pushing."""

import json
from collections.abc import Mapping
from typing import Any

from support.client import Refused
from support.cluster import Release
from support.waiting import until


def install_with(
    release: Release,
    values: Mapping[str, Any],
    *args: str,
    given: Mapping[str, str] | None = None,
    timeout: str = "3m",
) -> None:
    """Install or upgrade with values that `--set` would have to escape.

    `given` goes by `--set`, which counts more than they do, and says what else than QUICK.
    """
    path = release.scratch / "values.json"
    path.write_text(json.dumps(values))
    release.install(given, "--values", str(path), *args, timeout=timeout)


def challenge(release: Release) -> str:
    """Wait until the registry refuses who says nothing; return what it then asks for."""

    def refused() -> str:
        try:
            answer = release.client().request("GET", "/v2/")
        except Refused:
            return ""
        return answer.headers["www-authenticate"] if answer.status == 401 else ""

    return until(refused, what="the registry asks who we are", timeout=60, pause=0.2)


def give_login(release: Release, user: str, password: str) -> None:
    """Let the namespace's pods pull with a password, as `imagePullSecrets` of its account."""
    login = {"auths": {release.address: {"username": user, "password": password}}}
    release.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "login"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(login)},
        }
    )
    patch = json.dumps({"imagePullSecrets": [{"name": "login"}]})
    release.cluster.kubectl(
        "patch", "serviceaccount", "default", "-n", release.namespace, "--patch", patch
    )


def events(release: Release, about: str) -> str:
    """Return what the cluster says of an object by its name."""
    return release.cluster.kubectl(
        "get", "events", "-n", release.namespace, "--field-selector",
        f"involvedObject.name={about}", "-o", "jsonpath={range .items[*]}{.message}{'\\n'}{end}",
    )  # fmt: skip


def install_values(release: Release, values: Mapping[str, Any], *args: str) -> None:
    """Install or upgrade with these values and none of the tests' own."""
    path = release.scratch / "values.json"
    path.write_text(json.dumps(values))
    release.cluster.helm(
        "upgrade", "--install", release.name, str(release.chart), "-n", release.namespace,
        "--wait", "--timeout", "3m", "--values", str(path), *args,
    )  # fmt: skip
