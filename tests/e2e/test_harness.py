"""The harness's own releases on a real cluster: what its own tests have a script play."""

from pathlib import Path

import pytest

from helm_chart_test.installing import Cluster as HarnessCluster
from helm_chart_test.installing import Release as HarnessRelease
from helm_chart_test.installing import namespace_report
from support.chart import HELMS, helm_of
from support.checkout import tool
from support.cluster import Cluster

_SECRET = "never-to-be-shown"
_FILES = {
    "Chart.yaml": "apiVersion: v2\nname: tiny\nversion: 0.1.0\n",
    "values.yaml": "image: none\ntext: first\n",
    "templates/objects.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: told}
data: {text: {{ .Values.text | quote }}}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {word: never-to-be-shown}
---
apiVersion: v1
kind: Pod
metadata:
  name: look
  annotations: {helm.sh/hook: test}
spec:
  restartPolicy: Never
  containers:
    - name: look
      image: {{ .Values.image }}
      command: [python3, -c, "import os; print('it says', os.environ['WORD'])"]
      env: [{name: WORD, valueFrom: {secretKeyRef: {name: hidden, key: word}}}]
""",
}


@pytest.mark.parametrize("helm", HELMS)
def test_a_release_goes_forth_and_back_and_its_report_hides_what_is_secret(
    cluster: Cluster, tmp_path: Path, helm: str
) -> None:
    """Seen to fail: namespace_report without without_secrets."""
    chart = tmp_path / "tiny"
    for name, text in _FILES.items():
        (chart / name).parent.mkdir(parents=True, exist_ok=True)
        (chart / name).write_text(text, "utf-8")
    ours = HarnessCluster(Path(cluster.kubeconfig), tool("kubectl"))
    values = {"image": f"registry-gc:{cluster.image_tag}"}

    with ours.namespace("harness") as namespace:
        release = HarnessRelease(
            ours, namespace, chart, helm_of("helm3" if helm == "helm3" else "helm")
        )
        release.install(values)
        release.upgrade({**values, "text": "second"})
        assert ours.get("configmap", "told", "-n", namespace)["data"]["text"] == "second"
        release.rollback(1)
        assert ours.get("configmap", "told", "-n", namespace)["data"]["text"] == "first"
        assert len(release.history()) == 3
        assert _SECRET in release.test()

        report = namespace_report(ours, namespace)
        assert "it says <hidden: word>" in report
        assert _SECRET not in report
        release.uninstall()
        assert "told" not in ours.kubectl("get", "configmaps", "-n", namespace)
