{{- /*
The names of stable 1.9 and twuni 3.0: an upgrade from there finds its objects by them.
All helpers take the root context.
*/}}

{{- define "docker-registry.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* At most 63 characters, because the Service has this name too. */}}
{{- define "docker-registry.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- $both := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $both | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "docker-registry.namespace" -}}
{{- .Values.namespace | default .Release.Namespace }}
{{- end }}

{{- /*
docker-registry.service.name: `service.name` never renames, because it is the default `registry` at
two charts and was ignored at one. Who comes from the one where it counted has a Service of that
name, and keeps its address.
*/}}
{{- define "docker-registry.service.name" -}}
{{- $name := include "docker-registry.fullname" . }}
{{- with .Values.service.nameOverride }}
{{- $name = . }}
{{- else }}
{{- with .Values.service.name }}
{{- $found := lookup "v1" "Service" (include "docker-registry.namespace" $) . }}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" $found }}
{{- $home := dig "metadata" "annotations" "meta.helm.sh/release-namespace" "" $found }}
{{- if and (eq $owner $.Release.Name) (eq $home $.Release.Namespace) }}
{{- $name = . }}
{{- end }}
{{- end }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "docker-registry.serviceAccount.name" -}}
{{- $own := .Values.serviceAccount.create | ternary (include "docker-registry.fullname" .) "" }}
{{- .Values.serviceAccount.name | default $own }}
{{- end }}

{{- define "docker-registry.claim.name" -}}
{{- .Values.persistence.existingClaim | default (include "docker-registry.fullname" .) }}
{{- end }}

{{- /* A volume's name is a label: at most 63 characters, 7 of them the suffix. */}}
{{- define "docker-registry.configVolume.name" -}}
{{- include "docker-registry.fullname" . | trunc 56 | trimSuffix "-" }}-config
{{- end }}

{{- define "docker-registry.gc.name" -}}
{{- include "docker-registry.fullname" . }}-gc
{{- end }}

{{- /* A Service's name: at most 63 characters, 9 of them the suffix. */}}
{{- define "docker-registry.gc.peers.name" -}}
{{- include "docker-registry.fullname" . | trunc 54 | trimSuffix "-" }}-gc-peers
{{- end }}

{{- /*
docker-registry.gc.cronJob.name: at most 52 characters, 18 of them the suffix: the controller appends
11 to name a Job, and a Job may have 63.
*/}}
{{- define "docker-registry.gc.cronJob.name" -}}
{{- include "docker-registry.fullname" . | trunc 34 | trimSuffix "-" }}-garbage-collector
{{- end }}

{{- /* A Job's name becomes a label of its pods: at most 63 characters, 10 of them the suffix. */}}
{{- define "docker-registry.preflight.name" -}}
{{- include "docker-registry.fullname" . | trunc 53 | trimSuffix "-" }}-preflight
{{- end }}
