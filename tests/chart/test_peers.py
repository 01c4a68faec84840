"""What people have set at the charts before this one renders here, unchanged.

`ci/values/peers` holds each peer's own defaults and realistic values of its users. All of them are
scenarios of every other test; here is what is particular to them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import merged
from helm_chart_test.fixtures import Renderer
from helm_chart_test.reading import mapping
from support.chart import PEER_DEFAULTS, PEERS, VALUES, problems

# Values that each peer's templates or README know and its defaults lack; a `*` takes all below it.
# Source: ../shared/reference/chart-peers.md, 1.1 and 1.3.
_COMMON = """
    nameOverride fullnameOverride namespace imagePullSecrets tlsSecretName
    service.sessionAffinity service.sessionAffinityConfig.* service.clusterIP service.nodePort
    service.loadBalancerIP service.loadBalancerSourceRanges
    persistence.storageClass persistence.existingClaim persistence.deleteEnabled
    secrets.azure.accountName secrets.azure.accountKey secrets.azure.container
    secrets.s3.secretRef secrets.s3.accessKey secrets.s3.secretKey
    secrets.swift.username secrets.swift.password
    s3.region s3.regionEndpoint s3.bucket s3.rootdirectory s3.encrypt s3.secure s3.forcepathstyle
    s3.skipverify swift.authurl swift.container
"""
_DOCUMENTED = {
    "stable": f"{_COMMON} haSharedSecret",
    "twuni": f"""{_COMMON} deployment.annotations.*
        metrics.serviceMonitor.annotations.* metrics.prometheusRule.annotations.*
        metrics.serviceMonitor.enable metrics.prometheusRule.enable""",
    "risadams": f"""{_COMMON} service.ipFamilyPolicy service.ipFamilies tls.crt tls.key
        persistence.volumeName livenessProbe.* readinessProbe.*""",
}
_FREE = {  # maps whose keys are the user's own
    "configData", "updateStrategy", "podAnnotations", "podLabels", "annotations", "labels",
    "resources", "nodeSelector", "affinity", "podDisruptionBudget", "behavior",
    "topologySpreadConstraints",
}  # fmt: skip

SCENARIOS = {
    f"{path.parent.name}/{path.stem}": path for path in sorted(VALUES.glob("peers/*/*.yaml"))
}


def paths(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield where each value stands; a map that is the user's own, or is empty, is one value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value and key not in _FREE:
            yield from paths(value, (*above, key))
        else:
            yield (*above, key)


def known(peer: str) -> set[tuple[str, ...]]:
    return {*paths(mapping(PEER_DEFAULTS[peer]))} | {
        tuple(word.split(".")) for word in _DOCUMENTED[peer].split()
    }


def is_known(path: tuple[str, ...], names: set[tuple[str, ...]]) -> bool:
    wild = [name[:-1] for name in names if name[-1] == "*"]
    return path in names or any(path[: len(prefix)] == prefix for prefix in wild)


@pytest.mark.parametrize("peer", _DOCUMENTED)
def test_each_peer_has_ten_scenarios_beside_its_defaults(peer: str) -> None:
    assert len([name for name in SCENARIOS if name.startswith(f"{peer}/")]) > 10


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_says_only_what_its_peer_knows(name: str) -> None:
    """Seen to fail: `garbageCollect.gracePeriod`, which is ours, in one of twuni's."""
    peer = name.partition("/")[0]
    names = known(peer)
    given = list(paths(mapping(SCENARIOS[name])))
    assert given
    assert [".".join(path) for path in given if not is_known(path, names)] == []


@pytest.mark.skipif(not PEERS.exists(), reason=f"the peers' own files are not at {PEERS}")
@pytest.mark.parametrize("peer", PEER_DEFAULTS)
def test_the_defaults_are_the_peers(peer: str) -> None:
    """The files here have no words. Seen to fail: a value changed in one of them."""
    (original,) = PEERS.glob(f"{peer}-*-values.yaml")
    assert mapping(PEER_DEFAULTS[peer]) == mapping(original)


@pytest.fixture(scope="session", params=PEER_DEFAULTS)
def reused(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, helm_chart: Path
) -> Path:
    """Return our chart with a peer's values in place of ours: all that --reuse-values brings."""
    chart = tmp_path_factory.mktemp(request.param) / "chart"
    copy_of(helm_chart, chart)
    (chart / "values.yaml").write_text(PEER_DEFAULTS[request.param].read_text("utf-8"), "utf-8")
    return chart


def copy_of(source: Path, target: Path) -> None:
    for file in sorted(source.rglob("*")):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())


def test_reuse_values_renders_whatever_was_set_there(reused: Path, each_helm: Renderer) -> None:
    """`helm upgrade --reuse-values` renders with the values of the chart before, and those alone.

    Seen to fail: `docker-registry.useDefaults` that does nothing.
    """
    peer = next(name for name in PEER_DEFAULTS if name in reused.parent.name)
    renderer = Renderer(reused, each_helm.helm)
    mine = [path for name, path in SCENARIOS.items() if name.startswith(f"{peer}/")]
    assert len(mine) > 10
    for path in mine:
        rendered = renderer(merged(path), upgrade=True)
        assert "ConfigMap" in {thing["kind"] for thing in rendered}, path.stem
        assert problems(rendered) == [], path.stem


def test_reuse_values_renders_what_is_new_here(reused: Path, each_helm: Renderer) -> None:
    """Who has moved over turns on what the chart before did not have.

    Seen to fail: a template that reads a new key's subkey without its default.
    """
    rendered = Renderer(reused, each_helm.helm)({"garbageCollect": {"enabled": True}})
    assert "CronJob" in {thing["kind"] for thing in rendered}
    assert problems(rendered) == []
