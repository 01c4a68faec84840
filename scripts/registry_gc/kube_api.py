"""Requests to the Kubernetes API in plain JSON: what is tried again, and what a no means.

How they travel is a `Transport`: the `kubernetes` client where a person's kubeconfig may be needed
(`kube_client`), a few lines where memory counts on every node (`in_cluster`).
"""

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from registry_gc.errors import CollectorError, ConfigurationError, GuardError, StorageError

Object = dict[str, Any]

_LATER = (429, 500, 502, 503, 504)  # an API server that starts, is throttled or loses its store
_FIRST_PAUSE = 0.5  # seconds
_LONGEST_PAUSE = 10.0  # seconds
_PAGE = 500  # objects a page: what the API server itself suggests


class ApiUnavailableError(StorageError):
    """The API did not answer, or said "later", for as long as was tried."""


class ApiDeniedError(ConfigurationError):
    """The API knows who asks, or does not, and says no: to ask again changes nothing."""


class ApiConflictError(GuardError):
    """Somebody else owns what was to be written, or wrote it meanwhile."""


class KindMissingError(ConfigurationError):
    """The API has no such kind: its CustomResourceDefinition is not installed."""


class UnreachableError(Exception):
    """A request got no answer; raised by transports with the reason as its text."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `retry_after` is what the server asked for, in seconds, if it did."""

    status: int
    body: bytes = b""
    retry_after: float | None = None


class Transport(Protocol):
    """Sends one request, with whatever proves who we are. Raises UnreachableError."""

    def __call__(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, media_type: str
    ) -> Reply:
        """Return the answer, whatever its status."""
        ...


def path_of(
    version: str, plural: str, namespace: str = "", name: str = "", subresource: str = ""
) -> str:
    """Return where the API has objects: `v1` or `apps/v1`, the plural, and what narrows it down."""
    parts = ["api" if "/" not in version else "apis", *version.split("/")]
    if namespace:
        parts += ["namespaces", namespace]
    parts += [part for part in (plural, name, subresource) if part]
    return "/" + "/".join(quote(part, safe="") for part in parts)


@dataclass(slots=True)
class Api:
    """The API; `consequence` begins every error: what did not happen because of it.

    `patience` is for how many seconds an API server that is away or throttled is asked again: more
    than the half minute that its restart takes. After `ends`, on the monotonic clock, nothing is
    asked again, whatever is left of that.
    """

    transport: Transport
    consequence: str = "nothing was changed"
    patience: float = 60.0
    ends: float = math.inf
    sleep: Callable[[float], object] = time.sleep

    def get(self, path: str) -> Object | None:
        """Return an object, None if there is none. Raises CollectorError."""
        reply = self._tried("GET", path, {}, None)
        if reply.status == 404:
            self._check_kind(reply, path)
            return None
        return self._object(reply, "read", path)

    def items(self, path: str, selector: str = "") -> list[Object]:
        """Return all objects that match, page by page. Raises CollectorError."""
        return [item for page in self._pages(path, selector) for item in page]

    def apply(
        self, path: str, body: Mapping[str, Any], manager: str, *, force: bool = True
    ) -> Object:
        """Write the fields that are given, and own them (server-side apply); return the object.

        Without `force`, fields of other managers are theirs: ApiConflictError. Raises
        CollectorError.
        """
        query = {"fieldManager": manager, "force": "true"} if force else {"fieldManager": manager}
        # JSON is YAML; the client's own serializer would need this object as a string anyway.
        reply = self._tried("PATCH", path, query, body, "application/apply-patch+yaml")
        return self._object(reply, "write", path)

    def merge(self, path: str, body: Mapping[str, Any], manager: str) -> Object:
        """Change only the fields that are given (RFC 7386). Raises CollectorError."""
        reply = self._tried(
            "PATCH", path, {"fieldManager": manager}, body, "application/merge-patch+json"
        )
        return self._object(reply, "change", path)

    def create(self, path: str, body: Mapping[str, Any]) -> bool:
        """Make an object; False if it was there already. Raises CollectorError."""
        reply = self._tried("POST", path, {}, body)
        if reply.status == 409:
            return False
        self._object(reply, "make", path)
        return True

    def delete(self, path: str, uid: str = "") -> bool:
        """Remove an object, only that of `uid` if given; False if there was none.

        Raises CollectorError.
        """
        body = {"preconditions": {"uid": uid}} if uid else None
        reply = self._tried("DELETE", path, {}, body)
        if reply.status == 404:
            self._check_kind(reply, path)
            return False
        self._object(reply, "remove", path)
        return True

    def _pages(self, path: str, selector: str) -> Iterator[list[Object]]:
        query = {"limit": str(_PAGE)}
        if selector:
            query["labelSelector"] = selector
        while True:
            reply = self._tried("GET", path, query, None)
            if reply.status == 404:
                self._check_kind(reply, path)
            content = self._object(reply, "list", path)
            items = content.get("items")
            if not isinstance(items, list):
                raise self._strange("its answer is no list")
            yield items
            metadata = content.get("metadata")
            following = metadata.get("continue") if isinstance(metadata, dict) else None
            if not following:
                return
            query["continue"] = following

    def _tried(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        media_type: str = "application/json",
    ) -> Reply:
        """Ask until there is an answer that is not "later". Raises ApiUnavailableError."""
        content = None if body is None else json.dumps(body).encode()
        until = min(time.monotonic() + self.patience, self.ends)
        pause = _FIRST_PAUSE
        while True:
            try:
                reply = self.transport(method, path, query, content, media_type)
                if reply.status not in _LATER:
                    return reply
                asked, why = reply.retry_after or 0.0, _said(reply)
            except UnreachableError as error:
                asked, why = 0.0, str(error)
            # Not all at once: many releases' CronJobs start at the same second. Jitter, no secret.
            wait = max(pause * random.uniform(0.5, 1.0), asked)  # noqa: S311
            if time.monotonic() + wait > until:
                raise self._unavailable(why)
            self.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _object(self, reply: Reply, doing: str, path: str) -> Object:
        if not 200 <= reply.status < 300:
            raise self._refused(reply, doing, path)
        try:
            content = json.loads(reply.body)
        except ValueError as error:
            raise self._strange(str(error)) from error
        if not isinstance(content, dict):
            raise self._strange("its answer is no object")
        return content

    def _check_kind(self, reply: Reply, path: str) -> None:
        """Raise KindMissingError if it is the kind that is not there, and not the object.

        Of a missing object the API says which one; of a kind that it does not know nothing.
        """
        try:
            details = json.loads(reply.body).get("details") or {}
        except (ValueError, AttributeError):
            details = {}
        if not details.get("name") and not details.get("kind"):
            raise KindMissingError(
                f"{self.consequence}: the Kubernetes API has no {_kind(path)}",
                why=f"404 at {path}",
                next_step="install its CustomResourceDefinition (RegistryEndpoint: `kubectl apply "
                "--server-side -f` the file in the chart's folder crds/), then try again",
            )

    def _refused(self, reply: Reply, doing: str, path: str) -> CollectorError:
        if reply.status == 401:
            return ApiDeniedError(
                f"{self.consequence}: the Kubernetes API does not know who asks",
                why=_said(reply),
                next_step="in a pod: see that its service account is still there; elsewhere: that "
                "`kubectl get pods` works with the same KUBECONFIG",
            )
        if reply.status == 403:
            return ApiDeniedError(
                f"{self.consequence}: the Kubernetes API does not let this pod {doing} "
                f"{_kind(path)}",
                why=_said(reply),
                next_step="let its service account do that; the chart makes such a Role unless it "
                "was changed",
            )
        if reply.status == 409:
            return ApiConflictError(
                f"{self.consequence}: somebody else writes {_kind(path)} too",
                why=_said(reply),
                next_step="see who: `kubectl get -o yaml --show-managed-fields`; the next run "
                "tries again",
            )
        if reply.status == 404:
            return KindMissingError(
                f"{self.consequence}: there is no place for {_kind(path)}",
                why=_said(reply),
                next_step="see that the namespace exists, and that the kind's "
                "CustomResourceDefinition is installed",
            )
        return ApiUnavailableError(
            f"{self.consequence}: the Kubernetes API refused to {doing} {_kind(path)}",
            why=_said(reply),
            next_step="look at the API server; the next run tries again",
        )

    def _unavailable(self, why: str) -> ApiUnavailableError:
        return ApiUnavailableError(
            f"{self.consequence}: the Kubernetes API does not answer",
            why=why,
            next_step="check the API server, and that a NetworkPolicy lets this pod reach it; the "
            "next run tries again",
        )

    def _strange(self, why: str) -> ApiUnavailableError:
        return self._unavailable(f"what answers there is no Kubernetes API: {why}")


def _kind(path: str) -> str:
    """Return what a path is about, for people: `secrets my-secret in default`."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    where = ""
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        where = f" in {parts[1]}"
        parts = parts[2:]
    return f"{' '.join(parts)}{where}"


def _said(reply: Reply) -> str:
    try:
        message = json.loads(reply.body).get("message")
    except (ValueError, AttributeError):
        message = None
    return f"{reply.status} {message}" if message else str(reply.status)


def seconds(text: str | None) -> float | None:
    """Return a Retry-After in seconds; the form with a date, which the API never uses, is none."""
    return float(text) if text is not None and text.isdecimal() else None
