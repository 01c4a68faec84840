{{- /*
What the script may do, and no more: the sets that tests/support/rights.py has. `create` of a named object is
server-side apply's, and can be granted by its name. All helpers take the root context where they do not say
another.
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
  {{- if and (eq (include "docker-registry.tls.restarts" .) "true") (ne (include "docker-registry.gc.inPod" .) "true") }}
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
{{- $leaf := include "docker-registry.tlsSecret" . }}
{{- $authority := include "docker-registry.tls.authoritySecret" . }}
{{- $read := without (list $leaf (include "docker-registry.renderedText" (list . .Values.endpoint.caSecret)) | compact | uniq) (ternary $leaf "" (not (empty $authority))) }}
{{- with $read }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- toYaml . | nindent 4 }}
  verbs: [get]
{{- end }}
{{- with $authority }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ $leaf | quote }}, {{ . | quote }}]
  verbs: [get, create, patch]
{{- end }}
{{- if eq (include "docker-registry.gc.readOnly" .) "true" }}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ include "docker-registry.gc.mode.name" . | quote }}]
  verbs: [get, delete]
{{- end }}
{{- end }}

{{- /*
docker-registry.endpoint.removeRules (list MAP OPTION): in the release's namespace, of who removes the objects that
the GC_ variables of MAP name; with --withdraw the RegistryEndpoint stays.
*/}}
{{- define "docker-registry.endpoint.removeRules" -}}
{{- $withdraws := eq (index . 1) "--withdraw" }}
{{- with index . 0 }}
{{- if .GC_ENDPOINT }}
- apiGroups: [docker-registry.dev]
  resources: [registryendpoints]
  resourceNames: [{{ .GC_ENDPOINT | quote }}]
  verbs: [get, patch{{ if not $withdraws }}, delete{{ end }}]
{{- end }}
{{- if and .GC_CRONJOB (not $withdraws) }}
- apiGroups: [batch]
  resources: [cronjobs]
  resourceNames: [{{ .GC_CRONJOB | quote }}]
  verbs: [get, patch]
{{- end }}
{{- if and .GC_MODE (not $withdraws) }}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ .GC_MODE | quote }}]
  verbs: [get, delete]
{{- end }}
{{- if and .GC_TLS_AUTHORITY_SECRET (not $withdraws) }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ .GC_TLS_SECRET | quote }}, {{ .GC_TLS_AUTHORITY_SECRET | quote }}]
  verbs: [get, delete]
{{- end }}
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

{{- /* docker-registry.endpoint.trustRules (a name): whether nodes still trust, in the DaemonSet's namespace. */}}
{{- define "docker-registry.endpoint.trustRules" -}}
- apiGroups: [apps]
  resources: [daemonsets]
  resourceNames: [{{ . | quote }}]
  verbs: [get]
{{- end }}

{{- /*
docker-registry.endpoint.account (list ROOT NAME EVENTS): a service account, which is there only while Helm
does EVENTS where there are some.
*/}}
{{- define "docker-registry.endpoint.account" -}}
{{- $root := index . 0 }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ index . 1 | quote }}
  namespace: {{ include "docker-registry.namespace" $root | quote }}
  labels:
    {{- include "docker-registry.newLabels" (list $root "endpoint") | nindent 4 }}
  {{- with include "docker-registry.endpoint.hook" (list $root (index . 2) "-5") }}
  {{- . | nindent 2 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- /*
docker-registry.endpoint.role (list ROOT NAME NAMESPACE ACCOUNT RULES EVENTS): a Role and its binding, nothing
where there are no rules. ACCOUNT is a service account of the release's own namespace.
*/}}
{{- define "docker-registry.endpoint.role" -}}
{{- $root := index . 0 }}
{{- $name := index . 1 }}
{{- $namespace := index . 2 }}
{{- $hook := include "docker-registry.endpoint.hook" (list $root (index . 5) "-5") }}
{{- if index . 4 | trim }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name | quote }}
  namespace: {{ $namespace | quote }}
  labels:
    {{- include "docker-registry.newLabels" (list $root "endpoint") | nindent 4 }}
  {{- with $hook }}
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
  {{- with $hook }}
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
