"""The Kubernetes API for a pod on every node: only in the cluster, without the large client.

The client's package alone takes 20 MiB, which a DaemonSet would take on each node.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import urllib3

from registry_gc.errors import ConfigurationError
from registry_gc.kube_api import Api, Reply, UnreachableError, seconds

_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = 20  # seconds for one answer


def api(consequence: str, folder: Path = _FOLDER) -> Api:
    """Return the API as this pod's service account. Raises ConfigurationError outside of a pod."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port or not (folder / "token").exists():
        raise ConfigurationError(
            f"{consequence}: no Kubernetes API is known",
            why="this does not run in a pod with a service account",
            next_step="run the DaemonSet of the chart",
        )
    host = f"[{host}]" if ":" in host else host
    return Api(_ByToken(f"https://{host}:{port}", folder), consequence)


class _ByToken:
    """A transport. The token is read at each request, because the kubelet renews it."""

    def __init__(self, server: str, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._pool = urllib3.PoolManager(ca_certs=str(folder / "ca.crt"), retries=False)

    def __call__(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, media_type: str
    ) -> Reply:
        try:
            token = (self._folder / "token").read_text(encoding="ascii").strip()
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
            if body is not None:
                headers["Content-Type"] = media_type
            url = self._server + path
            if query:
                url += "?" + urlencode(query)
            answer = self._pool.request(method, url, body=body, headers=headers, timeout=_TIMEOUT)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise UnreachableError(str(error)) from error
        return Reply(answer.status, answer.data, seconds(answer.headers.get("Retry-After")))
