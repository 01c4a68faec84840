{{- /*
What the script may do, and no more: the sets that tests/support/rights.py has. `create` of a named object is
server-side apply's, and can be granted by its name. All helpers take the root context.
*/}}

{{- /* docker-registry.endpoint.rules: of the CronJob and of the Job after an install, in the release's namespace. */}}
{{- define "docker-registry.endpoint.rules" -}}
{{- $name := include "docker-registry.fullname" . | quote }}
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [""]
  resources: [services]
  resourceNames: [{{ include "docker-registry.service.name" . | quote }}]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [apps]
  resources: [{{ include "docker-registry.workload.kind" . | lower }}s]
  resourceNames: [{{ $name }}]
  {{- /* A rollout for a renewed certificate: where a container beside the registry restarts it, nobody needs to. */}}
  {{- if and (eq (include "docker-registry.endpoint.restarts" .) "true") (ne (include "docker-registry.gc.inPod" .) "true") }}
  verbs: [get, patch]
  {{- else }}
  verbs: [get]
  {{- end }}
{{- if eq (include "docker-registry.ingress.exists" .) "true" }}
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  resourceNames: [{{ $name }}]
  verbs: [get]
{{- end }}
{{- if eq (include "docker-registry.httpRoute.exists" .) "true" }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  resourceNames: [{{ $name }}]
  verbs: [get]
{{- end }}
{{- if .Values.endpoint.enabled }}
- apiGroups: [docker-registry.dev]
  resources: [registryendpoints]
  resourceNames: [{{ $name }}]
  verbs: [get, create, patch]
- apiGroups: [docker-registry.dev]
  resources: [registryendpoints/status]
  resourceNames: [{{ $name }}]
  verbs: [patch]
{{- end }}
{{- $read := list (include "docker-registry.tlsSecret" .) (include "docker-registry.renderedText" (list . .Values.endpoint.caSecret)) | compact | uniq }}
{{- with $read }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- toYaml . | nindent 4 }}
  verbs: [get]
{{- end }}
{{- if eq (include "docker-registry.endpoint.readOnly" .) "true" }}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ include "docker-registry.gc.mode.name" . | quote }}]
  verbs: [get, delete]
{{- end }}
{{- end }}

{{- /* docker-registry.endpoint.removeRules: of the Job before an uninstall, in the release's namespace. */}}
{{- define "docker-registry.endpoint.removeRules" -}}
{{- if .Values.endpoint.enabled }}
- apiGroups: [docker-registry.dev]
  resources: [registryendpoints]
  resourceNames: [{{ include "docker-registry.fullname" . | quote }}]
  verbs: [get, patch, delete]
{{- end }}
{{- if eq (include "docker-registry.endpoint.readOnly" .) "true" }}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ include "docker-registry.gc.mode.name" . | quote }}]
  verbs: [get, delete]
{{- end }}
{{- end }}

{{- /* docker-registry.endpoint.hostingRules (list of VERBS): the ConfigMap of KEP-1755, in kube-public. */}}
{{- define "docker-registry.endpoint.hostingRules" -}}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [local-registry-hosting]
  verbs:
    {{- toYaml . | nindent 4 }}
{{- end }}

{{- /* docker-registry.endpoint.trustRules: whether nodes still trust, in the DaemonSet's namespace. */}}
{{- define "docker-registry.endpoint.trustRules" -}}
- apiGroups: [apps]
  resources: [daemonsets]
  resourceNames: [{{ include "docker-registry.nodeTrust.name" . | quote }}]
  verbs: [get]
{{- end }}

{{- /*
docker-registry.endpoint.role (list ROOT NAME NAMESPACE ACCOUNT RULES): a Role and its binding, nothing
where there are no rules. ACCOUNT is a service account of the release's own namespace.
*/}}
{{- define "docker-registry.endpoint.role" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- $namespace := index . 2 }}
{{- if index . 4 | trim }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name | quote }}
  namespace: {{ $namespace | quote }}
  labels:
    {{- include "docker-registry.newLabels" (list $root "endpoint") | nindent 4 }}
  {{- with include "docker-registry.annotations" (list $root dict) }}
  {{- . | nindent 2 }}
  {{- end }}
rules:
  {{- index . 4 | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name | quote }}
  namespace: {{ $namespace | quote }}
  labels:
    {{- include "docker-registry.newLabels" (list $root "endpoint") | nindent 4 }}
  {{- with include "docker-registry.annotations" (list $root dict) }}
  {{- . | nindent 2 }}
  {{- end }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name | quote }}
subjects:
  - kind: ServiceAccount
    name: {{ index . 3 | quote }}
    namespace: {{ include "docker-registry.namespace" $root | quote }}
{{- end }}
{{- end }}
