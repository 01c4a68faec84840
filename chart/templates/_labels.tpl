{{- /*
docker-registry.selector (root context): what the Service, the Deployment, the budget and the
autoscaler select. It is immutable and as old as stable 1.9. No other pod may carry both labels.
*/}}
{{- define "docker-registry.selector" -}}
app: {{ include "docker-registry.name" . | quote }}
release: {{ .Release.Name | quote }}
{{- end }}

{{- /* docker-registry.labels (root context): of the objects that twuni's chart had. */}}
{{- define "docker-registry.labels" -}}
{{ include "docker-registry.selector" . }}
chart: {{ include "docker-registry.chart" . | quote }}
heritage: {{ .Release.Service | quote }}
{{ include "docker-registry.componentLabels" (list . "registry") }}
{{- end }}

{{- /*
docker-registry.componentLabels (list ROOT COMPONENT): of objects that are new in this chart, and of
pods. No version: a pod whose label changes is restarted.
*/}}
{{- define "docker-registry.componentLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "docker-registry.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service | quote }}
{{- end }}

{{- /* docker-registry.newLabels (list ROOT COMPONENT): the same and the chart, for objects. */}}
{{- define "docker-registry.newLabels" -}}
{{ include "docker-registry.componentLabels" . }}
helm.sh/chart: {{ include "docker-registry.chart" (index . 0) | quote }}
{{- end }}

{{- /* A label's value has no `+`, which a version may have. */}}
{{- define "docker-registry.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /*
docker-registry.podLabels (list ROOT COMPONENT LABELS): LABELS are the user's. The chart's own win,
and a pod that is not the registry's gets neither `app` nor `release`, or the Service would send it
the registry's traffic.
*/}}
{{- define "docker-registry.podLabels" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $labels := omit (index . 2 | default dict) "app" "release" }}
{{- $own := include "docker-registry.componentLabels" (list $root $component) | fromYaml }}
{{- if eq $component "registry" }}
{{- $own = merge $own (include "docker-registry.selector" $root | fromYaml) }}
{{- end }}
{{- toYaml (merge $own $labels) }}
{{- end }}
