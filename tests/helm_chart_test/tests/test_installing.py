"""Releases on a cluster: what is called, and what a failed test shows. The cluster is a script."""

import base64
import sys
from pathlib import Path

import pytest

from helm_chart_test.fixtures import Renderer
from helm_chart_test.installing import (
    Cluster,
    CommandError,
    Release,
    namespace_report,
    without_secrets,
)

# Writes down how it was called, and answers as kubectl or Helm would.
_PROGRAM = """\
#!{python}
import json, os, sys
args = sys.argv[1:]
with open({log!r}, "a") as log:
    told = "" if sys.stdin.isatty() or "-" not in args else sys.stdin.read()
    log.write(json.dumps([*args, told, os.environ["KUBECONFIG"]]) + "\\n")
if "secrets" in args:
    secret = {{"metadata": {{"name": "keys"}}, "data": {{"password": "aHVudGVyMg=="}}}}
    print(json.dumps({{"items": [secret]}}))
elif args[:2] == ["get", "pods"]:
    print("pod/main-0")
elif args[0] == "logs":
    print("I was told hunter2 by " + args[1])
elif args[0] in ("broken", "uninstall"):
    sys.exit("it does not work")
elif args[0] == "history":
    print('[{{"revision": 1}}]')
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture
def program(tmp_path: Path, log: Path) -> Path:
    path = tmp_path / "program"
    path.write_text(_PROGRAM.format(python=sys.executable, log=str(log)), "utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def release(program: Path, tmp_path: Path) -> Release:
    cluster = Cluster(tmp_path / "kubeconfig", program)
    return Release(cluster, "ns", tmp_path / "chart", program)


def calls(log: Path) -> str:
    return log.read_text("utf-8")


def test_a_release_waits_and_says_its_namespace(release: Release, log: Path) -> None:
    """Seen to fail: rollback without --wait: the test goes on with the pods of before."""
    release.install({"a": "1e3"})
    release.upgrade({"a": 1}, "--reset-values")
    release.rollback(1)
    assert release.history() == [{"revision": 1}]
    lines = calls(log).splitlines()
    assert [line.split('"')[1] for line in lines] == ["install", "upgrade", "rollback", "history"]
    for line in lines:
        assert '"--namespace", "ns"' in line
        assert str(release.cluster.kubeconfig) in line
        assert ('"--wait"' in line) == ("history" not in line)
    assert '{\\"a\\": \\"1e3\\"}' in lines[0]
    assert '"--install", "--reset-values"' in lines[1]


def test_another_helm_sees_the_same_release(release: Release, tmp_path: Path) -> None:
    other = release.using(helm=tmp_path / "helm3", chart=tmp_path / "older")
    assert (other.name, other.namespace) == (release.name, release.namespace)
    assert other.helm_path != release.helm_path
    assert other.chart == tmp_path / "older"


def test_a_failure_says_what_was_called(release: Release) -> None:
    with pytest.raises(CommandError, match=r"broken now.*exit 1\nit does not work"):
        release.cluster.kubectl("broken", "now")
    assert "it does not work" in release.cluster.kubectl("broken", check=False)


def test_the_report_has_what_people_look_at_and_no_secret(release: Release, log: Path) -> None:
    """Seen to fail: the text not put through without_secrets; no `--previous`."""
    report = namespace_report(release.cluster, "ns")
    asked = calls(log)
    for word in ("nodes", "events", "describe", "--previous"):
        assert word in asked
    assert "I was told <keys: password> by pod/main-0" in report
    assert "hunter2" not in report


def test_a_report_without_a_cluster_is_still_one(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "kubeconfig", tmp_path / "no-such-kubectl")
    assert "(no answer:" in namespace_report(cluster, "ns")


@pytest.mark.parametrize("said", ["s3cret-text", "two\nlines that are long"])
def test_each_line_of_a_secret_is_hidden(said: str) -> None:
    """In clear and as it stands in the Secret. Seen to fail: only the whole text looked for."""
    encoded = base64.b64encode(said.encode()).decode()
    secret = {"metadata": {"name": "s"}, "data": {"k": encoded}}
    text = f"before {said.splitlines()[-1]} after {encoded}"
    assert without_secrets(text, [secret]) == "before <s: k> after <s: k>"


def test_what_is_short_is_not_taken_for_a_secret() -> None:
    secret = {"metadata": {"name": "s"}, "data": {"k": base64.b64encode(b"yes").decode()}}
    assert without_secrets("yesterday", [secret]) == "yesterday"


def test_a_failed_test_shows_its_namespace_and_leaves_none(
    pytester: pytest.Pytester,
    program: Path,
    log: Path,
    tiny: Renderer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen to fail: the report made after the namespace was deleted."""
    monkeypatch.setenv("HELM", str(program))
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    program.with_name("kubectl").symlink_to(program)
    pytester.makeini(f"[pytest]\nhelm_chart = {tiny.chart}\n")
    pytester.makepyfile(
        """
        def test_it_works(helm_install):
            release = helm_install({"text": "x"}, labels={"a": "b"})
            assert release.namespace.startswith("it-works-")
            assert False
        """
    )
    result = pytester.runpytest_inprocess(
        "-p", "helm_chart_test.plugin", "-p", "no:xdist", "--helm-kubeconfig=/nowhere/config"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the namespace it-works-*", "*<keys: password>*"])
    order = [line.split('"')[1] for line in calls(log).splitlines()]
    assert order.index("describe") < order.index("uninstall") < order.index("delete")


def test_a_real_helm_reads_the_values(tiny: Renderer, tmp_path: Path) -> None:
    """`template` in place of a cluster: the values come in as `install` gives them."""
    release = Release(Cluster(tmp_path / "none"), "ns", tiny.chart, tiny.helm)
    assert 'value: "0123"' in release.helm(
        "template", "x", str(tiny.chart), "--values", "-", input='{"text": "0123"}'
    )
