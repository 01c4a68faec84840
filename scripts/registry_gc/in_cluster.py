"""The Kubernetes API for a pod on every node: only in the cluster, without the large client.

The client's package alone takes 20 MiB, which a DaemonSet would take on each node.
"""

import os
import ssl
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
        self._pool: urllib3.PoolManager | None = None

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
            pool = self._pool = self._pool or self._trusting()
            answer = pool.request(method, url, body=body, headers=headers, timeout=_TIMEOUT)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self._pool = None  # the cluster's authority may have been renewed
            raise UnreachableError(str(error)) from error
        return Reply(answer.status, answer.data, seconds(answer.headers.get("Retry-After")))

    def _trusting(self) -> urllib3.PoolManager:
        """Return connections that believe the cluster's authority as it is now."""
        context = ssl.create_default_context(cafile=self._folder / "ca.crt")
        # As every other client of the API: Python 3.13 wants key identifiers, which some lack.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return urllib3.PoolManager(ssl_context=context, retries=False)
