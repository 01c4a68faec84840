"""The Kubernetes API through the `kubernetes` client: in the cluster, or by a person's kubeconfig.

The client's part is who we are: service accounts whose tokens are renewed, and everything that a
kubeconfig may say. Alone among the modules this one imports it.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import kubernetes
import urllib3
from kubernetes.config import ConfigException
from urllib3.util.ssl_ import create_urllib3_context

from registry_gc.environment import is_in_cluster
from registry_gc.errors import ConfigurationError
from registry_gc.kube_api import Api, Reply, UnreachableError, seconds

_config: Any = kubernetes.config  # it has no types
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_TIMEOUT = 20  # seconds for one answer


def api(consequence: str) -> Api:
    """Return the API; `consequence` begins its errors. Raises ConfigurationError."""
    return Api(_ByClient(_client(consequence)), consequence)


def own_namespace(consequence: str, variable: str = "GC_NAMESPACE") -> str:
    """Return the namespace that this pod runs in. Raises ConfigurationError outside of one."""
    try:
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        raise ConfigurationError(
            f"{consequence}: the release's namespace is not known",
            why=f"this does not run in a pod, and {variable} is not set",
            next_step=f"set {variable}, or run the chart's Job instead",
        ) from None


def _client(consequence: str) -> Any:
    configuration = kubernetes.client.Configuration()
    try:
        _config.load_incluster_config(configuration)
    except (ConfigException, OSError) as inside:
        try:
            _config.load_kube_config(client_configuration=configuration)
        except Exception as error:  # a file that is no kubeconfig ends the client in many ways
            raise ConfigurationError(
                f"{consequence}: no Kubernetes API is known",
                why=str(inside if is_in_cluster() else error),
                next_step="give this pod a service account's token"
                if is_in_cluster()
                else "run this in the release's cluster, or set KUBECONFIG to a file with which "
                "`kubectl get pods` works",
            ) from error
    # `Api` tries again itself, the same for every transport and with the server's Retry-After.
    configuration.retries = urllib3.Retry(total=0, redirect=0, raise_on_status=False)
    client = kubernetes.client.ApiClient(configuration)
    # As every other client of the API: Python 3.13 wants key identifiers, which some lack.
    context = create_urllib3_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    client.rest_client.pool_manager.connection_pool_kw["ssl_context"] = context
    return client


class _ByClient:
    """A transport. The token is asked for at each request: the client reads a renewed one."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __call__(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, media_type: str
    ) -> Reply:
        headers = {"Accept": "application/json", "User-Agent": "registry-gc"}
        if body is not None:
            headers["Content-Type"] = media_type
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        except (ConfigException, OSError) as error:  # a token that is being renewed, say
            raise UnreachableError(f"there is no token: {error}") from error
        url = self._client.configuration.host + path
        if query:
            url += "?" + urlencode(query)
        # Not `call_api`: it parses answers into objects, and asks for bodies in forms of its own.
        pool = self._client.rest_client.pool_manager
        try:
            answer = pool.request(method, url, body=body, headers=headers, timeout=_TIMEOUT)
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(str(error)) from error
        return Reply(answer.status, answer.data, seconds(answer.headers.get("Retry-After")))
