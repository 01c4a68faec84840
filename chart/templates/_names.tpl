{{- /*
The names of stable 1.9 and twuni 3.0: an upgrade from there finds its objects by them.
All helpers take the root context where they do not say another.
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

{{- /*
docker-registry.name.fitting (list NAME MOST): a name of at most so many characters; what is cut is told from
another's by five more, a dash and a part of its checksum.
*/}}
{{- define "docker-registry.name.fitting" -}}
{{- $name := index . 0 }}
{{- $most := index . 1 }}
{{- if gt (len $name) $most }}
{{- $name = printf "%s-%s" (trunc (sub $most 5 | int) $name | trimSuffix "-") (sha256sum $name | trunc 4) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "docker-registry.namespace" -}}
{{- .Values.namespace | default .Release.Namespace }}
{{- end }}

{{- /*
docker-registry.service.name (root context): `service.name` never renames, because it is the default
`registry` at two charts and was ignored at one. Who comes from the one where it counted has a Service
of that name, and keeps its address. Where the chart makes none (`service.create: false`), it is the
name of the one that others made, as there.
*/}}
{{- define "docker-registry.service.name" -}}
{{- $name := include "docker-registry.fullname" . }}
{{- with .Values.service.nameOverride }}
{{- $name = . }}
{{- else }}
{{- with .Values.service.name }}
{{- if not $.Values.service.create }}
{{- $name = . }}
{{- else if eq (include "docker-registry.service.isOurs" (list $ (lookup "v1" "Service" (include "docker-registry.namespace" $) .))) "true" }}
{{- $name = . }}
{{- end }}
{{- end }}
{{- end }}
{{- $name }}
{{- end }}

{{- /*
docker-registry.service.isOurs (list ROOT SERVICE): whether a Service that the cluster has is the one
of this release for clients. In a parent chart the whole release has one name, hence the selector: a
Service called `registry` there may be somebody else's.
*/}}
{{- define "docker-registry.service.isOurs" -}}
{{- $root := index . 0 }}
{{- $found := index . 1 | default dict }}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" $found }}
{{- $home := dig "metadata" "annotations" "meta.helm.sh/release-namespace" "" $found }}
{{- $selector := include "docker-registry.selector" $root | fromYaml }}
{{- $selects := dig "spec" "selector" $selector $found }}
{{- and (eq $owner $root.Release.Name) (eq $home $root.Release.Namespace) (eq (toJson $selects) (toJson $selector)) }}
{{- end }}

{{- /*
docker-registry.service.portHolder (root context): the Service of this release that holds
`service.nodePort` under another name. Helm makes the new Service before it removes the old one, and
the cluster would refuse it.
*/}}
{{- define "docker-registry.service.portHolder" -}}
{{- $wanted := include "docker-registry.text" .Values.service.nodePort }}
{{- if and $wanted .Values.service.create .Release.IsUpgrade (has .Values.service.type (list "NodePort" "LoadBalancer")) }}
{{- $name := include "docker-registry.service.name" . }}
{{- /* By name, not by a list of all, which fewer people may read. */}}
{{- range list (include "docker-registry.fullname" .) .Values.service.name | uniq | compact }}
{{- $found := ternary dict (lookup "v1" "Service" (include "docker-registry.namespace" $) .) (eq . $name) }}
{{- if eq (include "docker-registry.service.isOurs" (list $ $found)) "true" }}
{{- $holder := . }}
{{- range dig "spec" "ports" list $found }}
{{- if eq (include "docker-registry.text" .nodePort) $wanted }}{{ $holder }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A Service's name: at most 63 characters, 8 of them the suffix. */}}
{{- define "docker-registry.metrics.service.name" -}}
{{- include "docker-registry.fullname" . | trunc 55 | trimSuffix "-" }}-metrics
{{- end }}

{{- define "docker-registry.serviceAccount.name" -}}
{{- $own := .Values.serviceAccount.create | ternary (include "docker-registry.fullname" .) "" }}
{{- .Values.serviceAccount.name | default $own }}
{{- end }}

{{- define "docker-registry.claim.name" -}}
{{- include "docker-registry.renderedText" (list . .Values.persistence.existingClaim) | default (include "docker-registry.fullname" .) }}
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
{{- include "docker-registry.name.fitting" (list (include "docker-registry.fullname" .) 34) }}-garbage-collector
{{- end }}

{{- /* A Job's name becomes a label of its pods: at most 63 characters, 10 of them the suffix. */}}
{{- define "docker-registry.preflight.name" -}}
{{- include "docker-registry.fullname" . | trunc 53 | trimSuffix "-" }}-preflight
{{- end }}

{{- /*
docker-registry.gc.mode.name: the ConfigMap by which a registry is switched to read-only. It is made and
removed by the scripts alone; Helm knows nothing of it.
*/}}
{{- define "docker-registry.gc.mode.name" -}}
{{- include "docker-registry.fullname" . }}-gc-mode
{{- end }}

{{- /*
docker-registry.nodeTrust.name: the DaemonSet's and its account's. In another namespace than the release's it
says whose it is: releases of the same name may share that one. At most 63 characters, 11 of them the suffix.
*/}}
{{- define "docker-registry.nodeTrust.name" -}}
{{- $name := include "docker-registry.fullname" . }}
{{- $home := include "docker-registry.namespace" . }}
{{- if ne (include "docker-registry.nodeTrust.namespace" .) $home }}
{{- $name = printf "%s-%s" $home $name }}
{{- end }}
{{- include "docker-registry.name.fitting" (list $name 52) }}-node-trust
{{- end }}

{{- /* docker-registry.nodeTrust.namespace: of that DaemonSet. */}}
{{- define "docker-registry.nodeTrust.namespace" -}}
{{- include "docker-registry.renderedText" (list . (dig "namespace" "" (.Values.nodeTrust | default dict))) | default (include "docker-registry.namespace" .) }}
{{- end }}

{{- /* docker-registry.endpoint.name: its service account's and its Role's. */}}
{{- define "docker-registry.endpoint.name" -}}
{{- include "docker-registry.fullname" . }}-endpoint
{{- end }}

{{- /* docker-registry.endpoint.abroad: a Role's name where other releases have theirs, and the ClusterRole's. */}}
{{- define "docker-registry.endpoint.abroad" -}}
{{- include "docker-registry.namespace" . }}-{{ include "docker-registry.endpoint.name" . }}
{{- end }}

{{- /*
docker-registry.endpoint.cronJob.name: at most 52 characters, 9 of them the suffix, as of the collector's.
*/}}
{{- define "docker-registry.endpoint.cronJob.name" -}}
{{- include "docker-registry.name.fitting" (list (include "docker-registry.fullname" .) 43) }}-endpoint
{{- end }}

{{- /* docker-registry.endpoint.job.name (list ROOT SUFFIX): at most 63 characters, which its pods have as a label. */}}
{{- define "docker-registry.endpoint.job.name" -}}
{{- $suffix := printf "-endpoint-%s" (index . 1) }}
{{- $name := include "docker-registry.fullname" (index . 0) }}
{{- include "docker-registry.name.fitting" (list $name (sub 63 (len $suffix) | int)) }}{{ $suffix }}
{{- end }}

{{- /* docker-registry.tls.job.name: at most 63 characters, 13 of them the suffix. */}}
{{- define "docker-registry.tls.job.name" -}}
{{- include "docker-registry.name.fitting" (list (include "docker-registry.fullname" .) 50) }}-certificates
{{- end }}
