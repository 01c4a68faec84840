"""The pytest plugin: fixtures that render, validate, compare and install the chart of a project.

Where the chart, its scenarios and the Helms are is said in the project's pytest configuration; see
README.md. Each fixture can be replaced by one of the same name in a conftest.py.
"""

import shlex
import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from helm_chart_test.comparing import differences
from helm_chart_test.custom import CustomSchemas
from helm_chart_test.fixtures import Renderer, helm_binary
from helm_chart_test.installing import Cluster, Release, namespace_report
from helm_chart_test.objects import Object
from helm_chart_test.rendering import merged
from helm_chart_test.validating import kubernetes_versions, problems

_RELEASES = pytest.StashKey[list[Release]]()

Problems = Callable[..., list[str]]
Differences = Callable[[Sequence[Object], Sequence[Object]], list[str]]
Install = Callable[..., Release]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what a project says once."""
    parser.addini("helm_chart", "the chart's folder, from the root directory", default="chart")
    parser.addini(
        "helm_programs",
        "the Helms to test with, one a line: VARIABLE or VARIABLE = command that prints the path",
        type="linelist",
        default=["HELM"],
    )
    parser.addini("helm_scenarios", "patterns of values files", type="args", default=[])
    parser.addini("helm_kube_versions", "such as `1.29 newest`", type="args", default=["newest"])
    parser.addini("helm_crds", "a command that prints a folder of definitions", default="")
    parser.addini("helm_api_versions", "what a cluster serves besides", type="args", default=[])
    group = parser.getgroup("helm chart")
    group.addoption("--helm-chart", help="test this chart in place of the configured one")
    group.addoption(
        "--helm-kubeconfig", help="the cluster that `helm_install` uses; without one it skips"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each Helm, version of Kubernetes and scenario that a test asks for."""
    config = metafunc.config
    if "helm_render_each" in metafunc.fixturenames:
        names = [name for name, _ in _programs(config)]
        metafunc.parametrize("helm_render_each", names, indirect=True, scope="session")
    if "helm_kube_version" in metafunc.fixturenames:
        metafunc.parametrize("helm_kube_version", kube_versions(config))
    if "helm_scenario_file" in metafunc.fixturenames:
        found = scenarios(config)
        metafunc.parametrize("helm_scenario_file", found.values(), ids=found.keys())


def scenarios(config: pytest.Config) -> dict[str, Path]:
    """Return the values files that the project names, by their path below the pattern's folder.

    Raises UsageError if there are none: a loop over no scenarios would pass.
    """
    found = {}
    for pattern in config.getini("helm_scenarios"):
        fixed = takewhile(lambda part: not set(part) & set("*?["), Path(pattern).parts)
        folder = config.rootpath.joinpath(*fixed)
        for path in sorted(config.rootpath.glob(pattern)):
            found[path.relative_to(folder).with_suffix("").as_posix()] = path
    if not found:
        raise pytest.UsageError(f"helm_scenarios finds nothing: {config.getini('helm_scenarios')}")
    return found


def kube_versions(config: pytest.Config) -> list[str]:
    """Return the versions of Kubernetes that the project names, `newest` replaced by its number."""
    named = config.getini("helm_kube_versions")
    return [kubernetes_versions()[-1] if version == "newest" else version for version in named]


def _programs(config: pytest.Config) -> list[tuple[str, str]]:
    lines = [line.partition("=") for line in config.getini("helm_programs")]
    return [(name.strip(), command.strip()) for name, _, command in lines]


def _renderer(config: pytest.Config, chart: Path, name: str) -> Renderer:
    helm = helm_binary(name, dict(_programs(config))[name], config.rootpath)
    return Renderer(chart, helm, tuple(config.getini("helm_api_versions")))


@pytest.fixture(scope="session")
def helm_chart(pytestconfig: pytest.Config) -> Path:
    """Return the chart's folder."""
    given = pytestconfig.getoption("--helm-chart")
    return Path(given or pytestconfig.rootpath / pytestconfig.getini("helm_chart"))


@pytest.fixture(scope="session")
def helm_paths(pytestconfig: pytest.Config) -> list[Path]:
    """Return the paths of all Helms, in the order in which the project names them."""
    folder = pytestconfig.rootpath
    return [helm_binary(name, command, folder) for name, command in _programs(pytestconfig)]


@pytest.fixture(scope="session")
def helm_render(pytestconfig: pytest.Config, helm_chart: Path) -> Renderer:
    """Render with the first Helm, for what does not depend on Helm's version."""
    return _renderer(pytestconfig, helm_chart, _programs(pytestconfig)[0][0])


@pytest.fixture(scope="session")
def helm_render_each(request: pytest.FixtureRequest, helm_chart: Path) -> Renderer:
    """Render with each Helm, one test a Helm."""
    return _renderer(request.config, helm_chart, request.param)


@pytest.fixture
def helm_scenario(helm_scenario_file: Path) -> dict[str, Any]:
    """Return the values of each scenario, one test a scenario."""
    return merged(helm_scenario_file)


@pytest.fixture(scope="session")
def helm_custom_schemas(pytestconfig: pytest.Config, helm_chart: Path) -> CustomSchemas:
    """Return the schemas of other projects' kinds, which `helm_crds` finds, and the chart's own."""
    return custom_schemas(pytestconfig.getini("helm_crds"), pytestconfig.rootpath, helm_chart)


def custom_schemas(command: str, folder: Path, chart: Path | None = None) -> CustomSchemas:
    """Return the definitions in the folder that a command prints, and those of a chart's `crds/`.

    None of the first without a command; none of the second for a packaged chart.
    """
    own = tuple(sorted((chart / "crds").glob("*.yaml"))) if chart else ()
    if not command:
        return CustomSchemas(own)
    done = subprocess.run(
        shlex.split(command), cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode != 0:
        raise RuntimeError(f"`{command}` found no definitions:\n{done.stdout}{done.stderr}")
    found = sorted(Path(done.stdout.strip().splitlines()[-1]).glob("*.yaml"))
    if not found:
        raise RuntimeError(f"`{command}` printed a folder without definitions: {done.stdout}")
    return CustomSchemas((*found, *own))


@pytest.fixture(scope="session")
def helm_problems(helm_custom_schemas: CustomSchemas) -> Problems:
    """Return `problems` with the schemas of `helm_crds`: objects and `kube_version=` in."""

    def found(objects: Iterable[Object], *, kube_version: str) -> list[str]:
        return problems(objects, kube_version=kube_version, custom=helm_custom_schemas)

    return found


@pytest.fixture(scope="session")
def helm_differences() -> Differences:
    """Return the function that names each place where two renders differ."""
    return differences


@pytest.fixture(scope="session")
def helm_cluster(pytestconfig: pytest.Config) -> Cluster:
    """Return the cluster of `--helm-kubeconfig`; skips without one."""
    given = pytestconfig.getoption("--helm-kubeconfig")
    if not given:
        pytest.skip("there is no cluster: give one by --helm-kubeconfig")
    return Cluster(Path(given))


@pytest.fixture
def helm_install(
    request: pytest.FixtureRequest, helm_cluster: Cluster, helm_render: Renderer
) -> Iterator[Install]:
    """Return a function that installs the chart into a namespace of its own and waits for it.

    Takes values, `labels=` of the namespace, and what `Release.install` takes; returns the Release.
    The release and the namespace go at the end. A failed test shows the namespace's report.
    """
    kept = request.node.stash.setdefault(_RELEASES, [])
    name = request.node.originalname.removeprefix("test_").replace("_", "-").lower()
    with ExitStack() as stack:

        def install(
            values: Any, *args: str, labels: dict[str, str] | None = None, **options: Any
        ) -> Release:
            namespace = stack.enter_context(helm_cluster.namespace(name, labels))
            release = Release(helm_cluster, namespace, helm_render.chart, helm_render.helm)
            kept.append(release)
            stack.callback(release.uninstall, check=False)
            release.install(values, *args, **options)
            return release

        yield install


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the namespaces that a failed test installed into."""
    report = yield
    if report.when != "teardown" and report.failed:
        for release in item.stash.get(_RELEASES, []):
            told = namespace_report(release.cluster, release.namespace)
            report.sections.append((f"the namespace {release.namespace}", told))
    return report
