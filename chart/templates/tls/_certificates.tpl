{{- /*
The Job that makes the release's own certificate. All helpers take the root context unless they say
otherwise.
*/}}

{{- /*
docker-registry.tls.job.annotations (list ROOT WEIGHT EVENTS): the block `annotations:` of a hook. What failed
stays, to be read; Helm 4 prints what its pod said.
*/}}
{{- define "docker-registry.tls.job.annotations" -}}
{{- include "docker-registry.annotations" (list (index . 0) (dict
  "helm.sh/hook" (index . 2)
  "helm.sh/hook-weight" (index . 1)
  "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded"
  "helm.sh/hook-output-log-policy" "hook-failed")) }}
{{- end }}

{{- /*
docker-registry.tls.job.events (no context): before all else, because the pod mounts what is made here, and
`--wait` waits for the pod. Before a rollback too: the revision that it goes back to may need what an upgrade
has removed.
*/}}
{{- define "docker-registry.tls.job.events" -}}
pre-install,pre-upgrade,pre-rollback
{{- end }}

{{- /*
docker-registry.tls.job.rules: what the Job may do and no more, as tests/support/rights.py has it.
`create` of a named object is server-side apply's, so that it can be granted by the name.
*/}}
{{- define "docker-registry.tls.job.rules" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    - {{ include "docker-registry.tlsSecret" . | quote }}
    - {{ include "docker-registry.tls.authoritySecret" . | quote }}
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [services]
  resourceNames: [{{ include "docker-registry.service.name" . | quote }}]
  verbs: [get]
{{ include "docker-registry.events.rules" . | trim }}
{{- end }}

{{- /*
docker-registry.tls.job.role (list ROOT KIND NAME RULES): a Role or ClusterRole, and its binding to the
Job's account.
*/}}
{{- define "docker-registry.tls.job.role" -}}
{{- $root := index . 0 }}
{{- $kind := index . 1 }}
{{- $name := index . 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
{{- include "docker-registry.tls.job.metadata" . | nindent 0 }}
rules:
  {{- index . 3 | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
{{- include "docker-registry.tls.job.metadata" . | nindent 0 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name | quote }}
subjects:
  - kind: ServiceAccount
    name: {{ include "docker-registry.tls.job.name" $root | quote }}
    namespace: {{ include "docker-registry.namespace" $root | quote }}
{{- end }}

{{- /*
docker-registry.tls.job.metadata (list ROOT KIND NAME …): of what the Job needs before it runs. Of the events
before an uninstall too, for the sake of their delete policies: Helm 3 leaves them behind when the Job fails.
*/}}
{{- define "docker-registry.tls.job.metadata" -}}
metadata:
  name: {{ index . 2 | quote }}
  {{- if ne (index . 1) "ClusterRole" }}
  namespace: {{ include "docker-registry.namespace" (index . 0) | quote }}
  {{- end }}
  labels:
    {{- include "docker-registry.newLabels" (list (index . 0) "certificates") | nindent 4 }}
  {{- $events := printf "%s,pre-delete" (include "docker-registry.tls.job.events" .) }}
  {{- include "docker-registry.tls.job.annotations" (list (index . 0) "-30" $events) | nindent 2 }}
{{- end }}
