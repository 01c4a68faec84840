from pathlib import Path

import pytest

from helm_chart_test.fixtures import Renderer

_FILES = {
    "Chart.yaml": "apiVersion: v2\nname: tiny\nversion: 0.1.0\n",
    "values.yaml": "replicas: 1\ntext: hello\nextra: {}\n",
    "templates/deployment.yaml": """\
{{- if not .Values.text }}
{{- fail "text is empty: set it" }}
{{- end }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: tiny}
  template:
    metadata:
      labels: {app: tiny}
    spec:
      containers:
        - name: tiny
          image: tiny:1
          env:
            - name: TEXT
              value: {{ .Values.text | quote }}
          {{- with .Values.extra }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
""",
    "templates/configmap.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  found: {{ dig "data" "a" "" (lookup "v1" "Secret" .Release.Namespace "there") | quote }}
  kubeVersion: {{ .Capabilities.KubeVersion.Version | quote }}
  monitoring: {{ .Capabilities.APIVersions.Has "example.com/v1" | quote }}
  upgrade: {{ .Release.IsUpgrade | quote }}
""",
    "templates/NOTES.txt": "The text is {{ .Values.text }}.\n",
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, helm_paths: list[Path]) -> Renderer:
    """Render a chart that this file writes, with the newest Helm."""
    chart = tmp_path_factory.mktemp("tiny")
    for name, text in _FILES.items():
        file = chart / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return Renderer(chart, helm_paths[0])
