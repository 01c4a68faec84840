"""Requests to the sidecars of a release, pod by pod."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from registry_gc.environment import is_in_cluster
from registry_gc.errors import ConfigurationError, StorageError
from registry_gc.release_pods import Pod

_PAUSE = 1.0  # seconds between two attempts
_LONGEST_PAUSE = 15.0  # seconds
_PATIENCE = 120.0  # seconds without an answer from a sidecar that had answered
_PATIENCE_OUTSIDE = 15.0  # seconds: outside of the cluster it hardly ever will
_FROM_INSIDE = "see `kubectl logs -c gc`; a NetworkPolicy must let this job reach that port"
_FROM_OUTSIDE = (
    "pods are hardly ever reached from outside of their cluster: run it in a Job, such as `kubectl "
    "create job --from=cronjob/…`"
)


class SidecarSilentError(StorageError):
    """The sidecar cannot be reached, or no longer."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the sidecars of a release are reached; `consequence` begins every error."""

    token_file: Path
    port: int = 5002
    consequence: str = "nothing was collected"


@dataclass(slots=True)
class Sidecar:
    """The sidecar of one pod; after `deadline`, on the monotonic clock, nothing is tried again."""

    access: Access
    pod: Pod
    deadline: float

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Return status and JSON of one answer. Raises SidecarSilentError."""
        host = f"[{self.pod.address}]" if ":" in self.pod.address else self.pod.address
        try:
            answer = urllib3.request(
                method,
                f"http://{host}:{self.access.port}{path}",
                body=body,
                headers={"Authorization": f"Bearer {self._token()}"},
                timeout=10,
                retries=False,
            )
            return answer.status, _object(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise SidecarSilentError(
                f"the sidecar of {self.pod.name} does not answer at {host}:{self.access.port}",
                why=str(error),
                next_step=_FROM_INSIDE if is_in_cluster() else _FROM_OUTSIDE,
            ) from error

    def patiently(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Ask until there is an answer, for as long as `_PATIENCE`."""
        patience = _PATIENCE if is_in_cluster() else min(_PATIENCE, _PATIENCE_OUTSIDE)
        until = time.monotonic() + patience
        pause = _PAUSE
        while True:
            try:
                return self.request(method, path, body)
            except SidecarSilentError:
                if time.monotonic() > min(until, self.deadline):
                    raise
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _token(self) -> str:
        path = self.access.token_file
        try:
            token = path.read_bytes().strip()
        except OSError as error:
            raise self._no_token("cannot be read", f"{path}: {error.strerror}") from error
        # Here, because the error of the HTTP library quotes the header that it cannot send.
        if not token or not all(32 <= byte < 127 for byte in token):
            raise self._no_token("is none", f"{path} is not one line of ASCII")
        return token.decode("ascii")

    def _no_token(self, what: str, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.access.consequence}: the token for the sidecar {what}",
            why=why,
            next_step="mount the release's Secret that ends in -gc there, as the chart does",
        )


def _object(content: bytes) -> dict[str, Any]:
    """Return a JSON object, empty for no content. Raises ValueError for everything else."""
    said = json.loads(content or b"{}")
    if not isinstance(said, dict):
        raise ValueError("what answers there is no sidecar")  # noqa: TRY004 - as json's own
    return said
