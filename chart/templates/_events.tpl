{{- /*
What the scripts of a release tell of it, as Events. All helpers take the root context.
*/}}

{{- /* docker-registry.events.workload: what the registry's pods belong to, as the scripts name it. */}}
{{- define "docker-registry.events.workload" -}}
{{- include "docker-registry.workload.kind" . }}/{{ include "docker-registry.fullname" . }}
{{- end }}

{{- /* docker-registry.events.about: the objects that Events are about, with spaces between them. */}}
{{- define "docker-registry.events.about" -}}
{{- include "docker-registry.events.workload" . }}
{{- if .Values.endpoint.enabled }} RegistryEndpoint/{{ include "docker-registry.fullname" . }}{{ end }}
{{- end }}

{{- /*
docker-registry.events.rules: to write them, and to look at those objects: an Event carries the uid of what it is
about. Before an install there is nothing to look at, and nothing is written.
*/}}
{{- define "docker-registry.events.rules" -}}
{{- $fullname := include "docker-registry.fullname" . | quote }}
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [apps]
  resources: [{{ include "docker-registry.workload.kind" . | lower }}s]
  resourceNames: [{{ $fullname }}]
  verbs: [get]
{{- if .Values.endpoint.enabled }}
- apiGroups: [docker-registry.dev]
  resources: [registryendpoints]
  resourceNames: [{{ $fullname }}]
  verbs: [get]
{{- end }}
{{- end }}
