{{- /*
What the release before this one has made by its script, and this one does not want any more. Helm knows
nothing of those objects, so nobody else would remove them. They are read from the CronJob that the cluster
still has; where Helm cannot look into the cluster (`helm template`, Argo CD), they stay. All helpers take the
root context where they do not say another.
*/}}

{{- /* docker-registry.endpoint.map (a list of {name, value}): a map; what has no plain value is left out. */}}
{{- define "docker-registry.endpoint.map" -}}
{{- $map := dict }}
{{- range . }}
{{- if and .name (hasKey . "value") }}
{{- $_ := set $map .name .value }}
{{- end }}
{{- end }}
{{- toYaml $map }}
{{- end }}

{{- /*
docker-registry.workload.annotations: of the Deployment or StatefulSet: the user's, and that there is a script.
Everybody who upgrades may read that object, and is asked for no CronJob where there never was one.
*/}}
{{- define "docker-registry.workload.annotations" -}}
{{- $own := dict }}
{{- if eq (include "docker-registry.endpoint.exists" .) "true" }}
{{- $own = dict "docker-registry.dev/script" (include "docker-registry.endpoint.cronJob.name" .) }}
{{- end }}
{{- toYaml (merge $own (include "docker-registry.rendered" (list . .Values.deployment.annotations) | fromYaml)) }}
{{- end }}

{{- /*
docker-registry.endpoint.namesBefore: a JSON list of what the objects may have been called: as now, or as without
a name in the values. After another name nobody can ask: Helm does not say what the values of before were.
*/}}
{{- define "docker-registry.endpoint.namesBefore" -}}
{{- $short := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) | trunc 63 | trimSuffix "-" }}
{{- list (include "docker-registry.fullname" .) $short | uniq | toJson }}
{{- end }}

{{- /* docker-registry.endpoint.before: a map: what the CronJob of the release before tells its script. */}}
{{- define "docker-registry.endpoint.before" -}}
{{- $env := list }}
{{- if .Release.IsUpgrade }}
{{- range $name := include "docker-registry.endpoint.namesBefore" . | fromJsonArray }}
{{- $workload := lookup "apps/v1" (include "docker-registry.workload.kind" $) (include "docker-registry.namespace" $) $name }}
{{- if and (not $env) (hasKey (dig "metadata" "annotations" dict $workload | default dict) "docker-registry.dev/script") }}
{{- $found := lookup "batch/v1" "CronJob" (include "docker-registry.namespace" $) (printf "%s-endpoint" (include "docker-registry.name.fitting" (list $name 43))) }}
{{- $notes := dig "metadata" "annotations" dict $found }}
{{- if and (eq (get $notes "meta.helm.sh/release-name") $.Release.Name) (eq (get $notes "meta.helm.sh/release-namespace") $.Release.Namespace) }}
{{- range dig "spec" "jobTemplate" "spec" "template" "spec" "containers" list $found }}
{{- $env = concat $env (.env | default list) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- include "docker-registry.endpoint.map" $env }}
{{- end }}

{{- /* docker-registry.endpoint.gone: a map: the variables that name what is to be removed; empty where nothing is. */}}
{{- define "docker-registry.endpoint.gone" -}}
{{- $before := include "docker-registry.endpoint.before" . | fromYaml }}
{{- $now := include "docker-registry.endpoint.map" (include "docker-registry.endpoint.madeEnv" . | fromYamlArray) | fromYaml }}
{{- $gone := dict }}
{{- range $name := list "GC_ENDPOINT" "GC_HOSTING" "GC_MODE" "GC_TLS_AUTHORITY_SECRET" }}
{{- $was := get $before $name }}
{{- if and $was (ne $was "false") (ne $was (get $now $name)) }}
{{- $_ := set $gone $name $was }}
{{- if eq $name "GC_TLS_AUTHORITY_SECRET" }}
{{- $_ := set $gone "GC_TLS_SECRET" (get $before "GC_TLS_SECRET") }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $gone }}
{{- end }}

{{- /*
docker-registry.endpoint.trustGone: true where the nodes trust by files that no new DaemonSet would find:
there is none any more, or it has another folder, or takes them for another registry's.
*/}}
{{- define "docker-registry.endpoint.trustGone" -}}
{{- $before := include "docker-registry.endpoint.before" . | fromYaml }}
{{- $gone := false }}
{{- with $before.GC_TRUST }}
{{- $gone = ne (include "docker-registry.nodeTrust.exists" $) "true" }}
{{- if not $gone }}
{{- $found := lookup "apps/v1" "DaemonSet" (splitList "/" . | first) (splitList "/" . | last) }}
{{- range dig "spec" "template" "spec" "volumes" list $found }}
{{- $folder := dig "hostPath" "path" "" . }}
{{- $wanted := printf "%s/" (include "docker-registry.nodeTrust.hostFolder" $) }}
{{- if and $folder (not (hasPrefix $wanted (printf "%s/" $folder))) }}
{{- $gone = true }}
{{- end }}
{{- end }}
{{- range dig "spec" "template" "spec" "containers" list $found }}
{{- range .env }}
{{- if and (eq .name "GC_TRUST_OWNER") (ne .value (include "docker-registry.nodeTrust.owner" $)) }}
{{- $gone = true }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $gone }}
{{- end }}
