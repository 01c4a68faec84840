"""The plugin in a project of its own: what it makes of the project's configuration."""

from pathlib import Path

import pytest

from helm_chart_test.fixtures import Renderer

_INI = """\
[pytest]
helm_chart = {chart}
helm_scenarios = values/**/*.yaml
helm_kube_versions = 1.30 newest
helm_programs =
    HELM
    HELM_THREE
helm_crds = {crds}
"""


@pytest.fixture
def project(
    pytester: pytest.Pytester,
    tiny: Renderer,
    helm_paths: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> pytest.Pytester:
    """Return a folder with a chart, two scenarios and two Helms."""
    monkeypatch.setenv("HELM", str(helm_paths[0]))
    monkeypatch.setenv("HELM_THREE", str(helm_paths[-1]))
    pytester.makeini(_INI.format(chart=tiny.chart, crds=""))
    for name in ("first.yaml", "more/second.yaml"):
        path = pytester.path / "values" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text: {path.stem}\n", "utf-8")
    return pytester


def run(project: pytest.Pytester, *args: str) -> pytest.RunResult:
    return project.runpytest_inprocess(
        "-p", "helm_chart_test.plugin", "-p", "no:xdist", "-p", "no:cacheprovider", "-q", *args
    )


def test_each_scenario_helm_and_kubernetes_is_a_test(project: pytest.Pytester) -> None:
    """Seen to fail: pytest_generate_tests without the versions."""
    project.makepyfile(
        """
        def test_valid(helm_render_each, helm_scenario, helm_kube_version, helm_problems):
            objects = helm_render_each(helm_scenario, kube_version=helm_kube_version)
            assert helm_problems(objects, kube_version=helm_kube_version) == []
            assert helm_scenario["text"] in str(objects)
        """
    )
    result = run(project, "-vv")
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines_random(["*HELM_THREE*1.30*more/second*"])


def test_what_is_rendered_can_be_compared(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_same(helm_render, helm_differences, helm_chart):
            assert helm_render.chart == helm_chart
            first, second = helm_render({"replicas": 1}), helm_render({"replicas": 2})
            assert helm_differences(first, second) == ["Deployment/test: spec.replicas"]
        """
    )
    run(project).assert_outcomes(passed=1)


def test_another_chart_can_be_named(project: pytest.Pytester, tmp_path: Path) -> None:
    project.makepyfile(
        f"""
        def test_it(helm_chart):
            assert str(helm_chart) == {str(tmp_path)!r}
        """
    )
    run(project, f"--helm-chart={tmp_path}").assert_outcomes(passed=1)


def test_no_scenario_is_an_error(project: pytest.Pytester) -> None:
    """A test over no scenarios would pass. Seen to fail: without the UsageError."""
    project.makeini("[pytest]\nhelm_scenarios = nowhere/*.yaml\n")
    project.makepyfile("def test_it(helm_scenario): ...")
    result = run(project)
    assert result.ret != 0
    assert "helm_scenarios finds nothing" in result.stdout.str() + result.stderr.str()


def test_definitions_come_from_the_projects_command(project: pytest.Pytester) -> None:
    """Seen to fail: the command's folder not looked into."""
    folder = project.mkdir("definitions")
    (folder / "x.yaml").write_text("spec:\n  names:\n    kind: Thing\n", "utf-8")
    project.makeini(_INI.format(chart="chart", crds=f"echo {folder}"))
    project.makepyfile(
        """
        def test_known(helm_custom_schemas):
            assert helm_custom_schemas.knows("Thing") and not helm_custom_schemas.knows("Other")
        """
    )
    run(project).assert_outcomes(passed=1)


def test_a_command_without_definitions_is_an_error(project: pytest.Pytester) -> None:
    project.makeini(_INI.format(chart="chart", crds="echo ."))
    project.makepyfile("def test_it(helm_custom_schemas): ...")
    result = run(project)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*folder without definitions*"])


def test_without_a_cluster_an_install_is_skipped(project: pytest.Pytester) -> None:
    project.makepyfile("def test_it(helm_install): ...")
    run(project).assert_outcomes(skipped=1)


def test_what_a_cluster_serves_is_said_once(project: pytest.Pytester) -> None:
    """Seen to fail: a renderer without `served`; one that overrules a test's own `api_versions`."""
    ini = _INI.format(chart=project.path / "chart", crds="")
    chart = project.path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: asking\nversion: 1.0.0\n", "utf-8")
    (chart / "templates" / "it.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\n"
        'data: {served: {{ .Capabilities.APIVersions.Has "example.com/v1" | quote }}}\n',
        "utf-8",
    )
    project.makeini(f"{ini}helm_api_versions = example.com/v1\n")
    project.makepyfile(
        """
        def test_served(helm_render_each):
            (it,) = helm_render_each({})
            assert it["data"] == {"served": "true"}
            (it,) = helm_render_each({}, api_versions=())
            assert it["data"] == {"served": "false"}
        """
    )
    run(project).assert_outcomes(passed=2)
