"""Under which addresses a registry is reached: from outside, from pods, by the nodes' runtime.

Rules, and nothing else: objects of the API in, addresses out. The first way that a release has
counts, because an object with two schemes would leave the choice to its reader:

1. addresses that the values name; 2. the Ingress's hosts; 3. the HTTPRoute's hostnames;
4. the load balancer's addresses; 5. the nodes' addresses with the Service's NodePort;
6. none: only pods reach a ClusterIP.

Of nodes those count that would get a load balancer's traffic: ready, not being deleted, without the
label `node.kubernetes.io/exclude-from-external-load-balancers`, which kubeadm gives to control
planes; cordoned ones answer too. If no node is ready all count: then it is the API that has lost
sight of them; if all have the label, it says nothing. With `externalTrafficPolicy: Local` only
nodes that run a registry. Each by its ExternalIP, or else its InternalIP, of the Service's first IP
family. The oldest node first, so that the address that people have copied stays the first one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from registry_gc.addresses import Address, ip, unique
from registry_gc.errors import ConfigurationError

Object = Mapping[str, Any]
Scheme = Literal["http", "https"]
Via = Literal["Loopback", "NodeAddress", "Clients"]
Trust = Literal["Clients", "Pods"]

ROUTE_PENDING = "HTTPRoutePending"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
_MOST_NODES = 32  # in a status: more are of no use to anybody who looks for an address


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the values say. `scheme` is that of outside, empty where the objects say it.

    `node_host` is one name under which every node finds the registry, `via` how; `loopback` whether
    127.0.0.1 with the NodePort is offered: kube-proxy serves it there in its iptables mode only.
    """

    addresses: tuple[Address, ...] = ()
    scheme: str = ""
    secret: str = ""
    node_host: Address | None = None
    via: Via = "Loopback"
    loopback: bool = True
    address_type: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the cluster has; None for what is not there, or not ours to see.

    `serving` are the names of nodes that run a registry; `pod_scheme` is what the pod speaks.
    """

    namespace: str
    service: Object | None = None
    ingress: Object | None = None
    route: Object | None = None
    nodes: Sequence[Object] | None = None
    serving: frozenset[str] = frozenset()
    pod_scheme: Scheme = "http"
    pod_secret: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """How clients reach the registry. `secret` is the Secret whose ca.crt they trust, if any.

    `pending` says why there are no addresses (yet), with `reason` as one word for programs.
    """

    reason: str
    addresses: tuple[Address, ...] = ()
    scheme: Scheme = "http"
    secret: str = ""
    pending: str = ""


@dataclass(frozen=True, slots=True)
class NodeHost:
    """What an image's name may begin with on a node, and what is asked then.

    `server` instead of the host itself; with `node_port` alone the node's own address is meant.
    `trust` is whose certificate is met there: the pod's own, or that of clients outside.
    """

    host: Address
    scheme: Scheme
    trust: Trust
    server: Address | None = None
    node_port: int = 0


def outside(wanted: Wanted, seen: Seen) -> Outside:
    """Return how clients outside of the cluster reach the registry."""
    if wanted.addresses:
        scheme = _scheme(wanted.scheme, seen.pod_scheme)
        return Outside("Addresses", wanted.addresses, scheme, wanted.secret or seen.pod_secret)
    if seen.ingress is not None:
        return _by_ingress(wanted, seen, seen.ingress)
    if seen.route is not None:
        return _by_route(wanted, seen.route)
    kind = _spec(seen.service).get("type", "ClusterIP")
    if seen.service is not None and kind == "LoadBalancer":
        return _by_load_balancer(seen, seen.service)
    if seen.service is not None and kind == "NodePort":
        return _by_node_port(wanted, seen, seen.service)
    return Outside("ClusterIP", scheme=seen.pod_scheme, secret=seen.pod_secret)


def for_pods(seen: Seen) -> tuple[Address, ...]:
    """Return the addresses that work in every pod of the cluster."""
    if seen.service is None:
        return ()
    name = seen.service["metadata"]["name"]
    return (Address(f"{name}.{seen.namespace}.svc", _port_of(seen.service)["port"]),)


def for_nodes(wanted: Wanted, seen: Seen, clients: Outside) -> tuple[NodeHost, ...]:
    """Return what image names may begin with in a pod's spec, the best one first."""
    node_port = _node_port(seen.service)
    # An edge has a certificate of its own; everything else leads straight to the pod.
    straight = clients.reason in ("LoadBalancer", "NodePort", "ClusterIP") or (
        clients.reason == "Addresses" and clients.secret == seen.pod_secret
    )
    trust: Trust = "Pods" if straight else "Clients"
    found = []
    if wanted.node_host is not None:
        if node_port and wanted.via == "NodeAddress":
            found.append(NodeHost(wanted.node_host, seen.pod_scheme, "Pods", node_port=node_port))
        elif node_port and wanted.via == "Loopback":
            server = Address("127.0.0.1", node_port)
            found.append(NodeHost(wanted.node_host, seen.pod_scheme, "Pods", server))
        elif clients.addresses:
            first = clients.addresses[0]
            found.append(NodeHost(wanted.node_host, clients.scheme, trust, first))
    if node_port and wanted.loopback:
        found.append(NodeHost(Address("127.0.0.1", node_port), seen.pod_scheme, "Pods"))
    found += [NodeHost(each, clients.scheme, trust) for each in clients.addresses]
    return tuple({each.host: each for each in reversed(found)}.values())[::-1]


def node_addresses(
    nodes: Iterable[Object], *, family: str, address_type: str, only: frozenset[str] | None
) -> tuple[Address, ...]:
    """Return one address of each node that counts, by the rule above; `only` are names, None all.

    `family` is IPv4 or IPv6; `address_type` is empty, or one type that alone counts.
    """
    there = [
        node
        for node in nodes
        if "deletionTimestamp" not in node["metadata"]
        and (only is None or node["metadata"]["name"] in only)
    ]
    alive = [
        node for node in there if EXCLUDED not in (node["metadata"].get("labels") or {})
    ] or there
    ready = [node for node in alive if _is_ready(node)]
    oldest_first = sorted(
        ready or alive,
        key=lambda node: (
            node["metadata"].get("creationTimestamp") or "",
            node["metadata"]["name"],
        ),
    )
    types = (address_type,) if address_type else ("ExternalIP", "InternalIP")
    found = (_address_of(node, types, family) for node in oldest_first)
    return unique(each for each in found if each is not None)


def hosts_to_certify(wanted: Wanted, seen: Seen) -> tuple[Address, ...]:
    """Return every address at which the pod's own certificate may be met.

    All nodes, ready or not: a node that comes back must not wait for a certificate.
    """
    found = [*wanted.addresses, *for_pods(seen)]
    found += [] if wanted.node_host is None else [wanted.node_host]
    found += _load_balancer(seen.service)
    for family in _families(seen.service):
        for address_type in {"ExternalIP", "InternalIP", wanted.address_type} - {""}:
            for node in seen.nodes or ():
                address = _address_of(node, (address_type,), family)
                found += [] if address is None else [address]
    return unique(Address(each.host) for each in found)


def _by_ingress(wanted: Wanted, seen: Seen, ingress: Object) -> Outside:
    spec = _spec(ingress)
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    tls = spec.get("tls") or []
    found = _addresses(hosts) or tuple(_load_balancer(ingress))
    is_tls = any(not each.get("hosts") or set(each["hosts"]) & set(hosts) for each in tls)
    scheme = _scheme(wanted.scheme, "https" if is_tls else "http")
    secrets = {each.get("secretName") for each in tls}
    secret = wanted.secret or (seen.pod_secret if seen.pod_secret in secrets else "")
    if not found:
        return Outside(
            "IngressPending",
            scheme=scheme,
            secret=secret,
            pending="the Ingress names no host and its controller has given it no address yet",
        )
    return Outside("Ingress", found, scheme, secret)


def _by_route(wanted: Wanted, route: Object) -> Outside:
    spec = _spec(route)
    ports = {parent.get("port") for parent in spec.get("parentRefs") or ()} - {None}
    port = ports.pop() if len(ports) == 1 else 0
    # A route does not say it; its Gateway does, in another namespace that is not ours to read.
    scheme = _scheme(wanted.scheme, "http" if port == 80 else "https")
    is_standard = port == (443 if scheme == "https" else 80)
    hosts = _addresses(spec.get("hostnames") or ())
    found = tuple(Address(each.host, 0 if is_standard else port) for each in hosts)
    said = list(_acceptances(route))
    if not any(each.get("status") == "True" for each in said):
        reason, pending = ROUTE_PENDING, "no Gateway has accepted the HTTPRoute yet"
        if refusal := next((each for each in said if each.get("status") == "False"), None):
            message = refusal.get("message") or refusal.get("reason")
            reason = "HTTPRouteNotAccepted"
            pending = f"the Gateway does not accept the HTTPRoute: {message}"
        return Outside(reason, scheme=scheme, secret=wanted.secret, pending=pending)
    if not found:
        return Outside(
            "HTTPRouteWithoutHost",
            scheme=scheme,
            secret=wanted.secret,
            pending="the HTTPRoute names no host; set endpoint.addresses",
        )
    return Outside("HTTPRoute", found, scheme, wanted.secret)


def _acceptances(route: Object) -> Iterator[Mapping[str, Any]]:
    """Yield what each Gateway's controller says of this route, as it is now."""
    generation = (route.get("metadata") or {}).get("generation", 0)
    for parent in (route.get("status") or {}).get("parents") or ():
        for condition in parent.get("conditions") or ():
            is_old = condition.get("observedGeneration", generation) < generation
            if condition.get("type") == "Accepted" and not is_old:
                yield condition


def _by_load_balancer(seen: Seen, service: Object) -> Outside:
    port = _port_of(service)["port"]
    found = tuple(Address(each.host, port) for each in _load_balancer(service))
    if not found:
        return Outside(
            "LoadBalancerPending",
            scheme=seen.pod_scheme,
            secret=seen.pod_secret,
            pending="the Service has no load balancer's address yet; in a cluster without such a "
            "controller it stays so",
        )
    return Outside("LoadBalancer", found, seen.pod_scheme, seen.pod_secret)


def _by_node_port(wanted: Wanted, seen: Seen, service: Object) -> Outside:
    port = _node_port(service)
    if seen.nodes is None:
        return Outside(
            "NodeAddressesUnknown",
            scheme=seen.pod_scheme,
            secret=seen.pod_secret,
            pending=f"the Service has the NodePort {port}, but nodes may not be listed; set "
            "endpoint.nodeAddresses: true, or name them in endpoint.addresses",
        )
    local = _spec(service).get("externalTrafficPolicy") == "Local"
    hosts = node_addresses(
        seen.nodes,
        family=_families(service)[0],
        address_type=wanted.address_type,
        only=seen.serving if local else None,
    )
    if not hosts:
        return Outside(
            "NoNodeAddresses",
            scheme=seen.pod_scheme,
            secret=seen.pod_secret,
            pending="no node that could serve the NodePort has such an address",
        )
    found = tuple(Address(each.host, port) for each in hosts[:_MOST_NODES])
    return Outside("NodePort", found, seen.pod_scheme, seen.pod_secret)


def _spec(found: Object | None) -> Mapping[str, Any]:
    return (found or {}).get("spec") or {}


def _port_of(service: Object) -> Mapping[str, Any]:
    """Return the registry's own port of its Service: http-5000 or https-5000, or the first."""
    ports: list[Mapping[str, Any]] = _spec(service).get("ports") or [{"port": 0}]
    named = (each for each in ports if str(each.get("name", "")).startswith("http"))
    return next(named, ports[0])


def _node_port(service: Object | None) -> int:
    if service is None or _spec(service).get("type") not in ("NodePort", "LoadBalancer"):
        return 0
    return int(_port_of(service).get("nodePort") or 0)


def _families(service: Object | None) -> list[str]:
    return list(_spec(service).get("ipFamilies") or ["IPv4"])


def _load_balancer(found: Object | None) -> Iterator[Address]:
    """Yield what a load balancer's or an Ingress's controller has written."""
    status = ((found or {}).get("status") or {}).get("loadBalancer") or {}
    for each in status.get("ingress") or ():
        if text := each.get("ip") or each.get("hostname"):
            yield from _addresses([text])


def _addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    """Return those that are addresses: a wildcard is none that anybody could use."""
    found = []
    for text in texts:
        try:
            found.append(Address.parse(text))
        except ConfigurationError:
            continue
    return unique(found)


def _is_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _address_of(node: Object, types: Sequence[str], family: str) -> Address | None:
    listed = (node.get("status") or {}).get("addresses") or ()
    for wanted in types:
        for each in listed:
            address = ip(str(each.get("address", "")))
            if each.get("type") != wanted:
                continue
            if address is None and wanted in ("Hostname", "ExternalDNS", "InternalDNS"):
                return next(iter(_addresses([each["address"]])), None)
            if address is not None and f"IPv{address.version}" == family:
                return Address(str(address))
    return None


def _scheme(wanted: str, otherwise: Scheme) -> Scheme:
    return "https" if wanted == "https" else "http" if wanted == "http" else otherwise
