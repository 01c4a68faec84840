"""The script that says where the registry is: it keeps the RegistryEndpoint and what belongs to it.

Run once after each install and upgrade, then every few minutes: nodes come and go, a load balancer
gets its address late, certificates end. Each run looks at everything anew and remembers nothing.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from registry_gc import certificate_secrets, hosting
from registry_gc.certificate_rollout import Rollout, take_effect
from registry_gc.certificate_secrets import content
from registry_gc.endpoint_object import (
    KIND,
    MANAGER,
    PLURAL,
    VERSION,
    Observed,
    applied,
    collection_of,
    is_being_removed,
    spec_of,
    status_of,
)
from registry_gc.endpoint_settings import EndpointSettings
from registry_gc.errors import CollectorError, StorageError
from registry_gc.events import Events
from registry_gc.exposure import (
    ROUTE_PENDING,
    Outside,
    Scheme,
    Seen,
    for_nodes,
    for_pods,
    hosts_to_certify,
    outside,
)
from registry_gc.health import Health, ask
from registry_gc.kube_api import (
    Api,
    ApiConflictError,
    ApiDeniedError,
    KindMissingError,
    Object,
    path_of,
)
from registry_gc.read_only import Switch
from registry_gc.release_pods import Pod, pods
from registry_gc.sidecars import Sidecar
from registry_gc.trust_content import certificates_in

NOTHING = "the registry's address was not published"

_NODES = path_of("v1", "nodes")
# Seconds for the API, in all: Helm waits, and by default not for more than five minutes.
_NOW = 90.0
_LOOKS, _BETWEEN_LOOKS = 5, 2.0  # seconds
_STARTS = 45.0  # seconds for a registry that is just being started
_ATTEMPTS = 3  # another run may write at the same time; the second sees what the first made

_REMOVED = "the release is being uninstalled: nothing was made"
_PASSING = (StorageError, ApiConflictError)  # an API that is away; somebody who writes just now

Echo = Callable[[str], object]
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Published:
    """What was seen, the RegistryEndpoint as it was, and its status now."""

    observed: Observed
    before: Mapping[str, Any]
    status: Mapping[str, Any]


def look(api: Api, settings: EndpointSettings, echo: Echo) -> Seen:
    """Return what the cluster has of the release. Raises CollectorError."""
    namespace = settings.namespace
    service = _get(api, "v1", "services", namespace, settings.service)
    return Seen(
        namespace=namespace,
        service=service,
        ingress=_get(api, "networking.k8s.io/v1", "ingresses", namespace, settings.ingress),
        route=_get(api, "gateway.networking.k8s.io/v1", "httproutes", namespace, settings.route),
        nodes=_nodes(api, settings, echo),
        serving=frozenset(each.node for each in _pods(api, settings) if each.phase == "Running"),
        pod_scheme="https" if settings.tls_secret or settings.pod_scheme == "https" else "http",
        pod_secret=settings.tls_secret,
    )


def keep_certificate(api: Api, settings: EndpointSettings, seen: Seen, echo: Echo) -> None:
    """See that the release's own certificate covers what was seen. Raises CollectorError."""
    if settings.certificate is None:
        return
    found = hosts_to_certify(settings.wanted, seen)
    renewal = certificate_secrets.keep(api, settings.certificate, found, echo)
    events = Events(api, settings.namespace, settings.about, echo)
    if renewal.why_authority:
        events.normal("AuthorityMade", f"a new authority: {renewal.why_authority}")
    if renewal.why_certificate:
        events.normal("CertificateRenewed", f"a new certificate: {renewal.why_certificate}")


def publish(
    api: Api,
    settings: EndpointSettings,
    seen: Seen,
    echo: Echo,
    may_be_made: Callable[[Object | None], bool] = lambda _found: True,
) -> None:
    """Bring the RegistryEndpoint and the ConfigMap up to date. Raises CollectorError."""
    if published := _published(api, settings, seen, echo, may_be_made):
        _say(api, settings, published, echo)


def _published(
    api: Api,
    settings: EndpointSettings,
    seen: Seen,
    echo: Echo,
    may_be_made: Callable[[Object | None], bool] = lambda _found: True,
) -> _Published | None:
    if not settings.name:
        return None
    api = replace(api, consequence=NOTHING)
    for attempt in range(_ATTEMPTS):
        before = api.get(_path(settings))
        settings.owner.check(before, KIND, "remove it, or give the release another name")
        if not may_be_made(before):
            echo(_REMOVED)
            return None
        try:
            found = _apply(api, settings, before)
            break
        except ApiConflictError:
            if attempt == _ATTEMPTS - 1:
                raise
    else:
        raise AssertionError  # the loop breaks, returns or raises
    observed = _observe(api, settings, seen, echo)
    status = status_of(observed, found)
    body = {"apiVersion": VERSION, "kind": KIND, "status": status}
    api.apply(f"{_path(settings)}/status", body, MANAGER)
    if settings.hosting:
        hosting.keep(api, settings.owner, status, MANAGER, echo)
    return _Published(observed, before or {}, status)


def _publish_patiently(
    api: Api,
    settings: EndpointSettings,
    seen: Seen,
    echo: Echo,
    may_be_made: Callable[[Object | None], bool] = lambda _found: True,
) -> None:
    """Publish at once, and again if the registry, which may only just start, answers soon."""
    published = _published(api, settings, seen, echo, may_be_made)
    if published is None:
        return
    before, inside = published.before, for_pods(seen)
    until = time.monotonic() + _STARTS
    while (
        published.observed.health.reason == "NoAnswer"
        and settings.service
        and time.monotonic() < until
    ):
        api.sleep(_BETWEEN_LOOKS)
        health = _health(inside, seen.pod_scheme, published.observed.pod_bundle)
        if health.reason != "NoAnswer":
            published = _published(api, settings, seen, echo, may_be_made) or published
            break
    _say(api, settings, replace(published, before=before), echo)


def _apply(api: Api, settings: EndpointSettings, before: Object | None) -> Object:
    """Write the object, if it is as it was read: an uninstall may have begun since."""
    body = applied(settings.owner, settings.name, spec_of(settings.wanted, settings.service))
    if before is not None and (before.get("spec") or {}).get("withdrawn"):
        # An editor's would stay: what we do not apply is not ours. Nodes would trust no more.
        body["spec"]["withdrawn"] = False
    if before is not None:
        body["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
    return api.apply(_path(settings), body, MANAGER)


def run(api: Api, settings: EndpointSettings, echo: Echo) -> None:
    """Bring everything up to date, by the schedule: read-only that a dead run left, the
    certificate and what serves it, the address.

    Each part is tried whatever became of the others; then the first failure is raised as a
    CollectorError.
    """
    before = None
    if settings.name:
        # What `publish` will say; it is no reason not to renew a certificate.
        with suppress(KindMissingError, ApiDeniedError):
            before = replace(api, consequence=NOTHING).get(_path(settings))
    was_there = before is not None

    def may_be_made(found: Object | None) -> bool:
        return not is_being_removed(found) and (found is not None or not was_there)

    if not may_be_made(before):
        # In the middle of an uninstall: what was removed must not come back.
        echo(_REMOVED)
        return
    events = Events(api, settings.namespace, settings.about, echo)
    failures = _Failures(events)
    # First: it needs nothing of the others, and what serves a certificate may take its time.
    failures.of(lambda: _take_back(api, settings, events, echo))
    if seen := failures.of(lambda: look(replace(api, consequence=NOTHING), settings, echo)):
        failures.of(lambda: keep_certificate(api, settings, seen, echo))
        # Before a renewed certificate is served: whom to trust for it is published here.
        failures.of(lambda: publish(api, settings, seen, echo, may_be_made))
        if failures.of(lambda: _take_effect(api, settings, events, echo)):
            # Its Service leads to it again only once the kubelet has found it ready.
            failures.of(lambda: _publish_patiently(api, settings, seen, echo, may_be_made))
    if failures.found:
        raise failures.found[0]


def run_now(api: Api, settings: EndpointSettings, echo: Echo) -> None:
    """Bring the certificate and the address up to date while an install or upgrade waits for it.

    Without what may take its time, and also after an uninstall that was given up. What may pass by
    itself is said and left to the schedule; what somebody has to mend is raised as a
    CollectorError.
    """
    api = replace(api, ends=time.monotonic() + _NOW)
    failures = _Failures(Events(api, settings.namespace, settings.about, echo))
    if seen := failures.of(lambda: _look_now(replace(api, consequence=NOTHING), settings, echo)):
        failures.of(lambda: keep_certificate(api, settings, seen, echo))
        failures.of(lambda: _publish_patiently(api, settings, seen, echo))
    lasting = [each for each in failures.found if not isinstance(each, _PASSING)]
    if lasting:
        raise lasting[0]
    for error in failures.found:
        echo(f"{error.what} ({error.why}); the schedule tries again")


def _look_now(api: Api, settings: EndpointSettings, echo: Echo) -> Seen:
    """Look, and give a Gateway's controller a moment for a route that was just made."""
    for _ in range(_LOOKS):
        seen = look(api, settings, echo)
        if outside(settings.wanted, seen).reason != ROUTE_PENDING:
            return seen
        api.sleep(_BETWEEN_LOOKS)
    return look(api, settings, echo)


class _Failures:
    """Tries one part after another; an Event tells of each that fails."""

    def __init__(self, events: Events) -> None:
        self.found: list[CollectorError] = []
        self._events = events

    def of(self, part: Callable[[], _Result]) -> _Result | None:
        """Do a part; return what it returned, None if it failed."""
        try:
            return part()
        except CollectorError as error:
            self.found.append(error)
            self._events.failure("NotUpToDate", error)
            return None


def _take_effect(api: Api, settings: EndpointSettings, events: Events, echo: Echo) -> int:
    """Return how many registries were started anew for a renewed certificate."""
    if not settings.restart or not settings.tls_secret or not settings.selector:
        return 0
    rollout = Rollout(
        namespace=settings.namespace,
        secret=settings.tls_secret,
        selector=settings.selector,
        access=settings.access,
        workload=settings.workload,
        port=settings.registry_port,
    )
    if count := take_effect(api, rollout, echo):
        events.normal("CertificateTookEffect", f"{count} registries were started anew for it")
    return count


def _take_back(api: Api, settings: EndpointSettings, events: Events, echo: Echo) -> None:
    if settings.switch is not None and Switch(api, settings.switch, echo).settle():
        events.warning("ReadOnlyTakenBack", "a dead run had left the registry read-only")


def _observe(api: Api, settings: EndpointSettings, seen: Seen, echo: Echo) -> Observed:
    clients = outside(settings.wanted, seen)
    inside = for_pods(seen)
    secrets = {clients.secret, seen.pod_secret}
    bundles = {name: _bundle(api, settings, name, echo) for name in secrets}
    return Observed(
        clients=clients,
        pods=tuple(map(str, inside)),
        pod_scheme=seen.pod_scheme,
        nodes=for_nodes(settings.wanted, seen, clients),
        health=_health(inside, seen.pod_scheme, bundles[seen.pod_secret]),
        bundle=bundles[clients.secret],
        pod_bundle=bundles[seen.pod_secret],
        read_only=_is_read_only(api, settings),
        collection=_last_collection(api, settings),
    )


def _health(inside: tuple[Any, ...], scheme: Scheme, bundle: str) -> Health:
    if not inside:
        return Health("NoService", "the release has no Service that could be asked")
    return ask(inside[0], scheme, bundle)


def _bundle(api: Api, settings: EndpointSettings, secret: str, echo: Echo) -> str:
    """Return the ca.crt of a Secret, empty where the system's own trust has to do."""
    if not secret:
        return ""
    found = api.get(path_of("v1", "secrets", settings.namespace, secret))
    try:
        # Certificates alone: people write comments above them, and one could be a key.
        return certificates_in(content(found, "ca.crt").decode("ascii", errors="replace")).strip()
    except ValueError as error:
        echo(f"the ca.crt of the Secret {secret} is left out: {error}")
        return ""


def _is_read_only(api: Api, settings: EndpointSettings) -> bool:
    if not settings.mode:
        return False
    found = api.get(path_of("v1", "configmaps", settings.namespace, settings.mode))
    return bool(((found or {}).get("data") or {}).get("readOnly"))


def _last_collection(api: Api, settings: EndpointSettings) -> dict[str, Any] | None:
    """Return the latest collection that a replica reports; a silent one has nothing to say."""
    if settings.access is None:
        return None
    found = []
    for pod in _pods(api, settings):
        if not pod.ready:
            continue
        with suppress(CollectorError):
            code, status = Sidecar(settings.access, pod, 0.0).request("GET", "/status")
            report = status.get("report")
            if code == 200 and isinstance(report, dict) and (told := collection_of(report)):
                found.append(told)
    return max(found, key=lambda each: str(each["finished"]), default=None)


def _say(api: Api, settings: EndpointSettings, published: _Published, echo: Echo) -> None:
    """Print what was published; an Event tells of what has become better or worse."""
    observed = published.observed
    ready = _ready(published.status)
    echo(f"{KIND} {settings.name}: {_line(observed.clients)}; {observed.health.message}")
    old = _ready(published.before.get("status") or {})
    is_as_before = old.get("status") == ready["status"] and old.get("reason") == ready["reason"]
    if is_as_before or ready["status"] == "Unknown":
        return
    events = Events(api, settings.namespace, settings.about, echo)
    if ready["status"] == "True":
        events.normal("Reachable", ready["message"])
    else:
        events.warning(ready["reason"], ready["message"])


def _ready(status: Mapping[str, Any]) -> Mapping[str, Any]:
    conditions = status.get("conditions") or []
    return next((each for each in conditions if each.get("type") == "Ready"), {})


def _line(clients: Outside) -> str:
    if clients.pending:
        return clients.pending
    if not clients.addresses:
        return "only pods of this cluster reach it"
    return f"{clients.scheme}://{clients.addresses[0]} ({clients.reason})"


def _nodes(api: Api, settings: EndpointSettings, echo: Echo) -> list[Object] | None:
    if not settings.nodes:
        return None
    try:
        return api.items(_NODES)
    except ApiDeniedError as error:
        # The rest is known without them; what is missing stands in the status.
        echo(f"nodes may not be listed ({error.why}): see endpoint.nodeAddresses")
        return None


def _pods(api: Api, settings: EndpointSettings) -> list[Pod]:
    return pods(api, settings.namespace, settings.selector) if settings.selector else []


def _get(api: Api, version: str, plural: str, namespace: str, name: str) -> Object | None:
    return api.get(path_of(version, plural, namespace, name)) if name else None


def _path(settings: EndpointSettings) -> str:
    return path_of(VERSION, PLURAL, settings.namespace, settings.name)
