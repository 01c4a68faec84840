"""What the script that publishes a registry's address is told, by variables that begin with GC_.

Not with REGISTRY_: those are the registry's own, which reads every one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import get_args

from registry_gc.certificate_secrets import CertificateSettings
from registry_gc.environment import addresses, length, port, required, switch
from registry_gc.errors import ConfigurationError
from registry_gc.events import Subject
from registry_gc.exposure import Via, Wanted
from registry_gc.ownership import Owner
from registry_gc.read_only_settings import ReadOnlySettings
from registry_gc.sidecars import Access

_TYPES = ("", "ExternalIP", "InternalIP", "Hostname", "ExternalDNS", "InternalDNS")
_TOKEN = "/var/run/secrets/docker-registry-gc/token"  # noqa: S105 - a file's name


@dataclass(frozen=True)
class EndpointSettings:
    """Names of objects are empty where the release has none.

    `name` is the RegistryEndpoint's, `nodes` whether nodes may be listed, `hosting` whether the
    ConfigMap of KEP-1755 is kept, `mode` the ConfigMap that makes a registry read-only, `trust` the
    DaemonSet of nodes that trust, as NAMESPACE/NAME, `cron_job` what runs by the schedule,
    `restart` whether a renewed certificate takes effect by itself; `pod_scheme` is https where the
    pod speaks TLS by a certificate of which no Secret is known.
    """

    owner: Owner
    name: str = ""
    service: str = ""
    ingress: str = ""
    route: str = ""
    wanted: Wanted = field(default_factory=Wanted)
    tls_secret: str = ""
    nodes: bool = False
    hosting: bool = False
    selector: str = ""
    access: Access | None = None
    mode: str = ""
    trust: str = ""
    trust_timeout: timedelta = timedelta(minutes=2)
    certificate: CertificateSettings | None = None
    about: tuple[Subject, ...] = ()
    workload: Subject | None = None
    registry_port: int = 5000
    switch: ReadOnlySettings | None = None
    cron_job: str = ""
    restart: bool = True
    pod_scheme: str = ""

    @property
    def namespace(self) -> str:
        """The namespace of all objects."""
        return self.owner.namespace

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], consequence: str, own_namespace: str = ""
    ) -> "EndpointSettings":
        """Read GC_NAMESPACE, GC_RELEASE, GC_ENDPOINT, GC_SERVICE, GC_INGRESS, GC_HTTPROUTE,
        GC_ENDPOINT_*, GC_TLS_*, GC_NODE_ADDRESSES, GC_HOSTING, GC_SELECTOR, GC_TOKEN_FILE, GC_PORT,
        GC_MODE, GC_TRUST, GC_TRUST_TIMEOUT, GC_EVENTS_ABOUT, GC_WORKLOAD, GC_REGISTRY_PORT,
        GC_CRONJOB, GC_TLS_RESTART and GC_POD_SCHEME.

        Raises ConfigurationError, which names the variable.
        """
        release = required(environment, "GC_RELEASE", "the release's name", consequence)
        namespace = environment.get("GC_NAMESPACE", "").strip() or own_namespace
        owner = Owner(namespace, release)
        access = _access(environment, consequence)
        mode = environment.get("GC_MODE", "").strip()
        selector = environment.get("GC_SELECTOR", "").strip()
        workload = Subject.all_of(environment.get("GC_WORKLOAD", ""))
        switched = None
        if mode and access and selector:
            switched = ReadOnlySettings.from_environment(environment, owner, selector, access)
        return cls(
            owner=owner,
            name=environment.get("GC_ENDPOINT", "").strip(),
            service=environment.get("GC_SERVICE", "").strip(),
            ingress=environment.get("GC_INGRESS", "").strip(),
            route=environment.get("GC_HTTPROUTE", "").strip(),
            wanted=_wanted(environment),
            tls_secret=environment.get("GC_TLS_SECRET", "").strip(),
            nodes=switch(environment, "GC_NODE_ADDRESSES"),
            hosting=switch(environment, "GC_HOSTING"),
            selector=selector,
            access=access,
            mode=mode,
            trust=environment.get("GC_TRUST", "").strip(),
            trust_timeout=length(environment, "GC_TRUST_TIMEOUT", cls.trust_timeout),
            certificate=CertificateSettings.from_environment(environment, owner),
            about=Subject.all_of(environment.get("GC_EVENTS_ABOUT", "")),
            workload=workload[0] if workload else None,
            registry_port=port(environment, "GC_REGISTRY_PORT", cls.registry_port),
            switch=switched,
            cron_job=environment.get("GC_CRONJOB", "").strip(),
            restart=switch(environment, "GC_TLS_RESTART", default=True),
            pod_scheme=_one_of(environment, "GC_POD_SCHEME", ("", "http", "https")),
        )


def _access(environment: Mapping[str, str], consequence: str) -> Access | None:
    """Return how sidecars are reached; None where there are none, so no token is mounted."""
    token = Path(environment.get("GC_TOKEN_FILE") or _TOKEN)
    if not environment.get("GC_TOKEN_FILE") and not token.exists():
        return None
    return Access(token, port(environment, "GC_PORT", 5002), consequence)


def _wanted(environment: Mapping[str, str]) -> Wanted:
    node_host = addresses(environment, "GC_ENDPOINT_NODE_HOST")
    return Wanted(
        addresses=addresses(environment, "GC_ENDPOINT_ADDRESSES"),
        scheme=_one_of(environment, "GC_ENDPOINT_SCHEME", ("", "http", "https")),
        secret=environment.get("GC_ENDPOINT_CA_SECRET", "").strip(),
        node_host=node_host[0] if node_host else None,
        via=_via(_one_of(environment, "GC_ENDPOINT_NODE_VIA", ("", *get_args(Via)))),
        loopback=switch(environment, "GC_ENDPOINT_LOOPBACK", default=True),
        address_type=_one_of(environment, "GC_ENDPOINT_NODE_ADDRESS_TYPE", _TYPES),
    )


def _via(text: str) -> Via:
    return (
        "NodeAddress" if text == "NodeAddress" else "Clients" if text == "Clients" else "Loopback"
    )


def _one_of(environment: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    text = environment.get(name, "").strip()
    if text not in allowed:
        raise ConfigurationError(
            f"{name}: {text!r} is none of {', '.join(filter(None, allowed))}",
            why="it names a choice",
            next_step="write one of them, or nothing",
        )
    return text
