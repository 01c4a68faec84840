{{- /*
What the objects of the Prometheus operator share. They say `enabled`; `enable` is what the charts
before documented.
*/}}

{{- /* docker-registry.monitor.exists (list ROOT SECTION): true where metrics are on and this section of them too. */}}
{{- define "docker-registry.monitor.exists" -}}
{{- $metrics := (index . 0).Values.metrics }}
{{- $section := index $metrics (index . 1) }}
{{- if and $metrics.enabled (or $section.enabled (eq (include "docker-registry.text" $section.enable) "true")) }}true{{ else }}false{{ end }}
{{- end }}

{{- /*
docker-registry.monitor.metadata (list ROOT SECTION NAME): the user's labels win, because a Prometheus
often selects by a `release` of its own.
*/}}
{{- define "docker-registry.monitor.metadata" -}}
{{- $root := index . 0 }}
{{- $section := index $root.Values.metrics (index . 1) }}
{{- $old := dict "app" (printf "%s-metrics" (include "docker-registry.name" $root | trunc 55)) "release" $root.Release.Name }}
{{- $own := include "docker-registry.newLabelsAnd" (list $root "monitoring" $old) | fromYaml -}}
name: {{ index . 2 | quote }}
namespace: {{ $section.namespace | default (include "docker-registry.namespace" $root) | quote }}
labels:
  {{- include "docker-registry.texts" (list $own $section.labels) | nindent 2 }}
{{- with include "docker-registry.annotations" (list $root $section.annotations) }}
{{ . }}
{{- end }}
{{- end }}

{{- /* docker-registry.monitor.endpoint (list ROOT SECTION): how the port http-metrics is scraped. */}}
{{- define "docker-registry.monitor.endpoint" -}}
{{- $root := index . 0 }}
{{- $section := index $root.Values.metrics (index . 1) -}}
port: http-metrics
path: {{ include "docker-registry.configured" (list $root "http" "debug" "prometheus" "path") | default "/metrics" | quote }}
{{- with $section.interval }}
interval: {{ . | quote }}
{{- end }}
{{- with $section.scrapeTimeout }}
scrapeTimeout: {{ . | quote }}
{{- end }}
{{- with $section.relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $section.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
