"""What registry 2 read in its configuration and registry 3 reads elsewhere still means the same."""

from typing import Any

import pytest

from helm_chart_test import merged
from helm_chart_test.fixtures import Renderer

AT_STABLE: dict[str, Any] = {
    "configData": {
        "storage": {"cache": {"blobdescriptor": "redis"}},
        "redis": {"addr": "redis-master.redis:6379", "db": 1, "pool": {"maxidle": 16}},
    }
}
ADDRS = "REGISTRY_REDIS_ADDRS"
AUTHORITIES = "REGISTRY_REDIS_TLS_ROOTCAS"


def variables(render: Renderer, *values: dict[str, Any]) -> dict[str, Any]:
    """Return the registry's environment, with these values over stable's."""
    rendered = render(merged(AT_STABLE, *values))
    (deployment,) = (thing for thing in rendered if thing["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def redis(**section: Any) -> dict[str, Any]:
    return {"configData": {"redis": section}}


def test_the_address_of_redis_is_given_where_registry_3_looks(each_helm: Renderer) -> None:
    """Registry 3 ends with `redis configuration required` where it finds no `addrs`.

    Seen to fail: `configData` alone; the test of ../e2e/test_peer_values.py too, on a cluster.
    """
    assert variables(each_helm)[ADDRS] == '["redis-master.redis:6379"]'


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"image": {"tag": "2.8.3"}}, id="registry 2"),
        pytest.param(redis(addrs=["other:6379"]), id="addrs beside it"),
        pytest.param(redis(addr=None), id="no address"),
    ],
)
def test_it_is_given_only_where_it_is_missing(render: Renderer, values: dict[str, Any]) -> None:
    """Seen to fail: without the condition on `addrs`."""
    assert ADDRS not in variables(render, values)


def test_our_own_value_counts_more(render: Renderer) -> None:
    """Seen to fail: both given; server-side apply refuses a name that is there twice."""
    assert variables(render, {"redis": {"addrs": ["mine:6379"]}})[ADDRS] == '["mine:6379"]'


def test_redis_over_tls_stays_over_tls(render: Renderer) -> None:
    """Seen to fail: without it registry 3 sends the password in the clear."""
    asked = redis(tls={"enabled": True})
    assert variables(render, asked)[AUTHORITIES] == '["/etc/ssl/certs/ca-certificates.crt"]'
    assert AUTHORITIES not in variables(render)
    own = variables(render, asked, {"redis": {"tls": {"enabled": True, "caSecret": "mine"}}})
    assert own[AUTHORITIES] == '["/etc/docker-registry/redis-ca/ca.crt"]'
