"""The rules by which a registry's addresses are found: objects in, addresses out."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from registry_gc.addresses import Address
from registry_gc.exposure import (
    EXCLUDED,
    NodeHost,
    Seen,
    Wanted,
    for_nodes,
    for_pods,
    hosts_to_certify,
    node_addresses,
    outside,
)

NOBODY = Wanted()


def service(kind: str = "ClusterIP", **more: Any) -> dict[str, Any]:
    port = {"name": "https-5000", "port": 5000}
    if kind != "ClusterIP":
        port["nodePort"] = 30500
    spec = {"type": kind, "ports": [{"name": "metrics", "port": 5001}, port], **more}
    return {"metadata": {"name": "my-registry"}, "spec": spec}


def node(
    name: str,
    *addresses: tuple[str, str],
    ready: str = "True",
    made: str = "2026-01-01T00:00:00Z",
    **metadata: Any,
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": made, **metadata},
        "status": {
            "addresses": [{"type": kind, "address": value} for kind, value in addresses],
            "conditions": [{"type": "MemoryPressure", "status": "False"}]
            + ([{"type": "Ready", "status": ready}] if ready else []),
        },
    }


def internal(name: str, address: str, **more: Any) -> dict[str, Any]:
    return node(name, ("Hostname", name), ("InternalIP", address), **more)


def seen(found: dict[str, Any] | None = None, **more: Any) -> Seen:
    return Seen("registry", found, pod_scheme="https", pod_secret="one-tls", **more)


def texts(addresses: Iterable[Address]) -> list[str]:
    return [str(each) for each in addresses]


def of_nodes(
    nodes: list[dict[str, Any]],
    *,
    family: str = "IPv4",
    address_type: str = "",
    only: frozenset[str] | None = None,
) -> list[str]:
    return texts(node_addresses(nodes, family=family, address_type=address_type, only=only))


class TestNodes:
    def test_each_by_its_external_address_or_else_its_internal_one(self) -> None:
        """Seen to fail: the first address of whatever type."""
        both = node("a", ("Hostname", "a"), ("InternalIP", "10.0.0.1"), ("ExternalIP", "192.0.2.1"))

        assert of_nodes([both, internal("b", "10.0.0.2")]) == ["192.0.2.1", "10.0.0.2"]

    def test_only_one_type_if_the_values_say_so(self) -> None:
        both = node("a", ("InternalIP", "10.0.0.1"), ("ExternalIP", "192.0.2.1"))
        nodes = [both, node("b", ("ExternalIP", "192.0.2.2"))]

        assert of_nodes(nodes, address_type="InternalIP") == ["10.0.0.1"]
        assert of_nodes([internal("b.example", "10.0.0.2")], address_type="Hostname") == [
            "b.example"
        ]

    def test_one_that_is_not_ready_is_left_out(self) -> None:
        """Seen to fail: take all that are listed."""
        nodes = [internal("a", "10.0.0.1", ready="Unknown"), internal("b", "10.0.0.2")]

        assert of_nodes(nodes) == ["10.0.0.2"]

    def test_if_none_is_ready_all_count(self) -> None:
        """Then it is the API that does not see them. Seen to fail: return none."""
        nodes = [internal("a", "10.0.0.1", ready="Unknown"), internal("b", "10.0.0.2", ready="")]

        assert of_nodes(nodes) == ["10.0.0.1", "10.0.0.2"]

    def test_one_that_is_being_deleted_is_left_out(self) -> None:
        """Seen to fail: look at its conditions only."""
        nodes = [
            internal("a", "10.0.0.1", deletionTimestamp="2026-01-02T00:00:00Z"),
            internal("b", "10.0.0.2"),
        ]

        assert of_nodes(nodes) == ["10.0.0.2"]

    def test_one_that_load_balancers_leave_out_is_left_out(self) -> None:
        nodes = [internal("a", "10.0.0.1", labels={EXCLUDED: ""}), internal("b", "10.0.0.2")]

        assert of_nodes(nodes) == ["10.0.0.2"]

    def test_where_all_are_left_out_none_is(self) -> None:
        """A cluster of control planes, which kubeadm labels. Seen to fail: return none."""
        nodes = [internal(name, f"10.0.0.{at}", labels={EXCLUDED: ""}) for at, name in
                 enumerate("ab", 1)]  # fmt: skip

        assert of_nodes(nodes) == ["10.0.0.1", "10.0.0.2"]

    def test_a_cordoned_one_and_a_control_plane_answer_too(self) -> None:
        cordoned = internal("a", "10.0.0.1") | {"spec": {"unschedulable": True}}
        control = internal("b", "10.0.0.2", labels={"node-role.kubernetes.io/control-plane": ""})

        assert of_nodes([cordoned, control]) == ["10.0.0.1", "10.0.0.2"]

    def test_the_oldest_comes_first(self) -> None:
        """The address that people copied stays the first. Seen to fail: sort by name."""
        nodes = [
            internal("a", "10.0.0.9", made="2026-03-01T00:00:00Z"),
            internal("b", "10.0.0.2", made="2026-02-01T00:00:00Z"),
        ]

        assert of_nodes(nodes) == ["10.0.0.2", "10.0.0.9"]

    def test_of_the_services_family(self) -> None:
        """Seen to fail: any IP address."""
        both = node("a", ("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1"))

        assert of_nodes([both]) == ["10.0.0.1"]
        assert of_nodes([both], family="IPv6") == ["[fd00::1]"]

    def test_a_node_without_an_address_is_none(self) -> None:
        assert of_nodes([node("a"), {"metadata": {"name": "b"}}]) == []


class TestNodePort:
    NODES = (internal("a", "10.0.0.1"), internal("b", "10.0.0.2"))

    def test_every_node_with_the_port(self) -> None:
        found = outside(NOBODY, seen(service("NodePort"), nodes=self.NODES))

        assert texts(found.addresses) == ["10.0.0.1:30500", "10.0.0.2:30500"]
        assert (found.reason, found.scheme, found.secret) == ("NodePort", "https", "one-tls")

    def test_they_come_and_go(self) -> None:
        later = (*self.NODES[1:], internal("c", "10.0.0.3", made="2026-09-01T00:00:00Z"))
        found = outside(NOBODY, seen(service("NodePort"), nodes=later))

        assert texts(found.addresses) == ["10.0.0.2:30500", "10.0.0.3:30500"]

    def test_local_traffic_only_where_a_registry_runs(self) -> None:
        """Others drop it. Seen to fail: ignore the policy."""
        local = service("NodePort", externalTrafficPolicy="Local")
        found = outside(NOBODY, seen(local, nodes=self.NODES, serving=frozenset({"b"})))

        assert texts(found.addresses) == ["10.0.0.2:30500"]

    def test_ipv6_first(self) -> None:
        nodes = [node("a", ("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1"))]
        dual = service("NodePort", ipFamilies=["IPv6", "IPv4"])

        assert texts(outside(NOBODY, seen(dual, nodes=nodes)).addresses) == ["[fd00::1]:30500"]

    def test_without_the_right_to_list_nodes_it_says_what_to_set(self) -> None:
        found = outside(NOBODY, seen(service("NodePort"), nodes=None))

        assert (found.reason, found.addresses) == ("NodeAddressesUnknown", ())
        assert "endpoint.nodeAddresses: true" in found.pending
        assert "endpoint.addresses" in found.pending

    def test_no_node(self) -> None:
        assert outside(NOBODY, seen(service("NodePort"), nodes=[])).reason == "NoNodeAddresses"

    def test_a_thousand_nodes_are_not_a_status(self) -> None:
        """Seen to fail: list them all, which the CRD refuses."""
        nodes = [internal(f"n{i}", f"10.0.{i // 250}.{i % 250 + 1}") for i in range(1000)]
        found = outside(NOBODY, seen(service("NodePort"), nodes=nodes))

        assert len(found.addresses) == 32


class TestLoadBalancer:
    def test_pending_and_then_there(self) -> None:
        """Seen to fail: fall back to the NodePort, whose certificate and port are others."""
        waiting = service("LoadBalancer")
        found = outside(NOBODY, seen(waiting, nodes=TestNodePort.NODES))
        there = waiting | {
            "status": {
                "loadBalancer": {"ingress": [{"ip": "192.0.2.7"}, {"hostname": "LB.example"}]}
            }
        }

        assert (found.reason, found.addresses) == ("LoadBalancerPending", ())
        assert "no load balancer's address yet" in found.pending
        assert texts(outside(NOBODY, seen(there)).addresses) == [
            "192.0.2.7:5000",
            "lb.example:5000",
        ]


class TestIngress:
    def ingress(self, *hosts: str, tls: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        spec: dict[str, Any] = {"rules": [{"host": host} if host else {} for host in hosts]}
        return {"spec": spec | ({"tls": tls} if tls is not None else {})}

    def test_its_hosts_over_http_without_tls(self) -> None:
        found = outside(NOBODY, seen(service(), ingress=self.ingress("a.example", "b.example")))

        assert texts(found.addresses) == ["a.example", "b.example"]
        assert (found.reason, found.scheme) == ("Ingress", "http")

    def test_tls_is_the_edges_own(self) -> None:
        """Its certificate is not the pod's. Seen to fail: take the pod's bundle."""
        tls = [{"hosts": ["a.example"], "secretName": "edge"}]
        found = outside(NOBODY, seen(service(), ingress=self.ingress("a.example", tls=tls)))

        assert (found.scheme, found.secret) == ("https", "")

    def test_tls_with_the_pods_certificate(self) -> None:
        tls = [{"hosts": ["a.example"], "secretName": "one-tls"}]
        found = outside(NOBODY, seen(service(), ingress=self.ingress("a.example", tls=tls)))

        assert found.secret == "one-tls"

    def test_tls_for_another_host_is_not_ours(self) -> None:
        tls = [{"hosts": ["b.example"]}]

        assert outside(NOBODY, seen(ingress=self.ingress("a.example", tls=tls))).scheme == "http"

    def test_without_a_host_the_controllers_address(self) -> None:
        plain = self.ingress("")
        there = plain | {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}

        assert outside(NOBODY, seen(ingress=plain)).reason == "IngressPending"
        assert texts(outside(NOBODY, seen(ingress=there)).addresses) == ["192.0.2.7"]

    def test_the_values_say_whom_clients_trust(self) -> None:
        tls = [{"secretName": "edge"}]
        wanted = Wanted(secret="edge-ca")

        assert outside(wanted, seen(ingress=self.ingress("a", tls=tls))).secret == "edge-ca"


class TestHTTPRoute:
    def route(self, *hosts: str, port: int = 0, accepted: str = "True") -> dict[str, Any]:
        parent = {"name": "gateway", **({"port": port} if port else {})}
        condition = {"type": "Accepted", "status": accepted, "message": "no such listener"}
        return {
            "spec": {"hostnames": list(hosts), "parentRefs": [parent]},
            "status": {"parents": [{"conditions": [condition]}]},
        }

    @pytest.mark.parametrize(
        ("port", "scheme", "expected"),
        [
            (0, "https", "a.example"),
            (80, "http", "a.example"),
            (443, "https", "a.example"),
            (8443, "https", "a.example:8443"),
        ],
    )
    def test_its_hostnames(self, port: int, scheme: str, expected: str) -> None:
        found = outside(NOBODY, seen(route=self.route("a.example", port=port)))

        assert (found.scheme, texts(found.addresses)) == (scheme, [expected])

    def test_one_that_the_gateway_refuses(self) -> None:
        """Seen to fail: do not look at its status."""
        found = outside(NOBODY, seen(route=self.route("a.example", accepted="False")))

        assert (found.reason, found.addresses) == ("HTTPRouteNotAccepted", ())
        assert "no such listener" in found.pending

    @pytest.mark.parametrize("status", [{}, {"parents": []}, {"parents": [{"conditions": []}]}])
    def test_one_that_nobody_has_taken(self, status: dict[str, Any]) -> None:
        """Its Gateway is not there, say. Seen to fail: take silence for yes."""
        found = outside(NOBODY, seen(route={**self.route("a.example"), "status": status}))

        assert (found.reason, found.addresses) == ("HTTPRoutePending", ())

    def test_one_gateway_of_several_is_enough(self) -> None:
        """Seen to fail: want all of them."""
        route = self.route("a.example", accepted="False")
        route["status"]["parents"] += self.route("a.example")["status"]["parents"]

        assert outside(NOBODY, seen(route=route)).reason == "HTTPRoute"

    def test_what_was_said_of_an_older_route_says_nothing(self) -> None:
        """Right after an upgrade. Seen to fail: do not compare the generations."""
        route = self.route("a.example") | {"metadata": {"generation": 3}}
        condition = route["status"]["parents"][0]["conditions"][0]
        condition["observedGeneration"] = 2
        before = outside(NOBODY, seen(route=route)).reason
        condition["observedGeneration"] = 3

        assert (before, outside(NOBODY, seen(route=route)).reason) == (
            "HTTPRoutePending",
            "HTTPRoute",
        )

    @pytest.mark.parametrize("hosts", [[], ["*.example.com"]])
    def test_without_a_host_that_anybody_could_use(self, hosts: list[str]) -> None:
        assert outside(NOBODY, seen(route=self.route(*hosts))).reason == "HTTPRouteWithoutHost"


class TestWhichCounts:
    def test_the_values_win(self) -> None:
        wanted = Wanted((Address("r.example", 8443),), scheme="http")
        found = outside(
            wanted, seen(service("NodePort"), ingress=TestIngress().ingress("a"), nodes=[])
        )

        assert (found.reason, found.scheme) == ("Addresses", "http")
        assert texts(found.addresses) == ["r.example:8443"]

    def test_then_the_ingress_then_the_route_then_the_service(self) -> None:
        everything = seen(
            service("NodePort"),
            ingress=TestIngress().ingress("a"),
            route=TestHTTPRoute().route("b"),
            nodes=TestNodePort.NODES,
        )

        assert outside(NOBODY, everything).reason == "Ingress"
        assert outside(NOBODY, replace(everything, ingress=None)).reason == "HTTPRoute"
        without = replace(everything, ingress=None, route=None)
        assert outside(NOBODY, without).reason == "NodePort"

    @pytest.mark.parametrize("found", [None, service()])
    def test_a_cluster_ip_is_for_pods_only(self, found: dict[str, Any] | None) -> None:
        clients = outside(NOBODY, seen(found))

        assert (clients.reason, clients.addresses, clients.pending) == ("ClusterIP", (), "")

    def test_pods_use_the_service_and_its_own_port(self) -> None:
        """Not the metrics' port, which may stand first. Seen to fail: take the first port."""
        assert texts(for_pods(seen(service()))) == ["my-registry.registry.svc:5000"]
        assert for_pods(seen()) == ()


class TestOnNodes:
    def hosts(self, wanted: Wanted, found: Seen) -> list[NodeHost]:
        return list(for_nodes(wanted, found, outside(wanted, found)))

    NODE_PORT = seen(service("NodePort"), nodes=TestNodePort.NODES)
    LOOPBACK = NodeHost(Address("127.0.0.1", 30500), "https", "Pods")

    def test_a_node_port_is_reached_by_loopback_and_by_each_nodes_address(self) -> None:
        assert self.hosts(NOBODY, self.NODE_PORT) == [
            self.LOOPBACK,
            NodeHost(Address("10.0.0.1", 30500), "https", "Pods"),
            NodeHost(Address("10.0.0.2", 30500), "https", "Pods"),
        ]

    def test_no_loopback_where_kube_proxy_does_not_serve_it(self) -> None:
        assert self.LOOPBACK not in self.hosts(Wanted(loopback=False), self.NODE_PORT)

    def test_one_name_for_all_nodes(self) -> None:
        """Seen to fail: ask the name itself, which no DNS knows."""
        name = Address("registry.lan", 5000)
        loopback = self.hosts(Wanted(node_host=name), self.NODE_PORT)[0]
        own = self.hosts(Wanted(node_host=name, via="NodeAddress"), self.NODE_PORT)[0]
        as_clients = self.hosts(Wanted(node_host=name, via="Clients"), self.NODE_PORT)[0]

        assert loopback == NodeHost(name, "https", "Pods", Address("127.0.0.1", 30500))
        assert own == NodeHost(name, "https", "Pods", node_port=30500)
        assert as_clients == NodeHost(name, "https", "Pods", Address("10.0.0.1", 30500))

    def test_behind_an_edge_it_is_the_edges_certificate(self) -> None:
        """The Service may have a NodePort besides. Seen to fail: one scheme for all."""
        behind = replace(
            self.NODE_PORT, ingress=TestIngress().ingress("a.example", tls=[{"secretName": "edge"}])
        )

        assert self.hosts(NOBODY, behind) == [
            self.LOOPBACK,
            NodeHost(Address("a.example"), "https", "Clients"),
        ]

    def test_an_address_stands_there_once(self) -> None:
        wanted = Wanted((Address("127.0.0.1", 30500),))

        assert len(self.hosts(wanted, self.NODE_PORT)) == 1


class TestCertified:
    def test_all_at_which_the_pods_certificate_may_be_met(self) -> None:
        """Also nodes that are not ready: one that comes back must not wait for a certificate.

        Seen to fail: certify what `outside` gives.
        """
        nodes = [
            internal("a", "10.0.0.1", ready="Unknown"),
            node("b", ("InternalIP", "10.0.0.2"), ("ExternalIP", "192.0.2.2")),
        ]
        balanced = service("LoadBalancer") | {
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
        }
        wanted = Wanted((Address("r.example", 8443),), node_host=Address("registry.lan", 5000))

        assert set(texts(hosts_to_certify(wanted, seen(balanced, nodes=nodes)))) == {
            "r.example",
            "my-registry.registry.svc",
            "registry.lan",
            "192.0.2.7",
            "10.0.0.1",
            "10.0.0.2",
            "192.0.2.2",
        }

    def test_before_the_install_there_is_nothing(self) -> None:
        assert hosts_to_certify(NOBODY, seen()) == ()
