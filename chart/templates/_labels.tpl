{{- /*
docker-registry.selector (root context): what the Service, the Deployment, the budget and the
autoscaler select. It is immutable and as old as stable 1.9. No other pod may carry both labels, and
`commonLabels` have no place in it: who changes them could not upgrade.
*/}}
{{- define "docker-registry.selector" -}}
app: {{ include "docker-registry.name" . | quote }}
release: {{ .Release.Name | quote }}
{{- end }}

{{- /* docker-registry.labels (root context): of the objects that twuni's chart had. */}}
{{- define "docker-registry.labels" -}}
{{- include "docker-registry.labelsAnd" (list . dict) }}
{{- end }}

{{- /*
docker-registry.labelsAnd (list ROOT LABELS): the same and the user's LABELS for this object. The
chart's own win, then LABELS, then `commonLabels`.
*/}}
{{- define "docker-registry.labelsAnd" -}}
{{- $root := index . 0 }}
{{- $own := include "docker-registry.componentLabels" (list $root "registry") | fromYaml }}
{{- $own = merge $own (include "docker-registry.selector" $root | fromYaml) }}
{{- $own = merge $own (dict "chart" (include "docker-registry.chart" $root) "heritage" $root.Release.Service) }}
{{- include "docker-registry.labelled" (list $root (index . 1) $own) }}
{{- end }}

{{- /*
docker-registry.componentLabels (list ROOT COMPONENT): what every object and pod of this chart has,
and what finds them. No version: a pod whose label changes is restarted.
*/}}
{{- define "docker-registry.componentLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "docker-registry.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service | quote }}
{{- end }}

{{- /*
docker-registry.finder (list ROOT COMPONENT): what finds the pods or objects of one component, and
nothing of another release.
*/}}
{{- define "docker-registry.finder" -}}
{{- toYaml (omit (include "docker-registry.componentLabels" . | fromYaml) "app.kubernetes.io/managed-by") }}
{{- end }}

{{- /* docker-registry.newLabels (list ROOT COMPONENT): of objects that are new in this chart. */}}
{{- define "docker-registry.newLabels" -}}
{{- include "docker-registry.newLabelsAnd" (list (index . 0) (index . 1) dict) }}
{{- end }}

{{- /* docker-registry.newLabelsAnd (list ROOT COMPONENT LABELS): the same and the user's LABELS. */}}
{{- define "docker-registry.newLabelsAnd" -}}
{{- $root := index . 0 }}
{{- $own := include "docker-registry.componentLabels" (list $root (index . 1)) | fromYaml }}
{{- $own = merge $own (dict "helm.sh/chart" (include "docker-registry.chart" $root)) }}
{{- include "docker-registry.labelled" (list $root (index . 2) $own) }}
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
{{- $own := include "docker-registry.componentLabels" (list $root $component) | fromYaml }}
{{- if eq $component "registry" }}
{{- $own = merge $own (include "docker-registry.selector" $root | fromYaml) }}
{{- end }}
{{- $all := include "docker-registry.labelled" (list $root (index . 2) $own) | fromYaml }}
{{- if ne $component "registry" }}
{{- $all = omit $all "app" "release" }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{- /* docker-registry.labelled (list ROOT LABELS OWN): all labels of one object, each once. */}}
{{- define "docker-registry.labelled" -}}
{{- include "docker-registry.texts" (list (index . 0).Values.commonLabels (index . 1) (index . 2)) }}
{{- end }}

{{- /*
docker-registry.annotations (list ROOT ANNOTATIONS): the whole block `annotations:` of an object: its
own, and `commonAnnotations` where those say nothing. Nothing at all where both are empty, hence

  {{- with include "docker-registry.annotations" (list . .Values.deployment.annotations) }}
  {{- . | nindent 2 }}
  {{- end }}
*/}}
{{- define "docker-registry.annotations" -}}
{{- with include "docker-registry.texts" (list (index . 0).Values.commonAnnotations (index . 1)) | fromYaml }}
{{- toYaml (dict "annotations" .) }}
{{- end }}
{{- end }}

{{- /*
docker-registry.texts (a list of maps): one map, in which the later ones win. Each value is a text, as
labels and annotations must be: `true` and 5 are what people write. An empty text is an answer, which
is why this is no `merge`; a `null` is none.
*/}}
{{- define "docker-registry.texts" -}}
{{- $texts := dict }}
{{- range . }}
{{- if kindIs "map" . }}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{- $_ := set $texts $key (include "docker-registry.text" $value) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $texts }}
{{- end }}
