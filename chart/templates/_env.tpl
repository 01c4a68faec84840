{{- /*
The environment of the registry, and with it of the collector.
*/}}

{{- /*
docker-registry.env (list ROOT SECRET): the registry's environment, credentials from that Secret. Of
variables with one name the last one counts, and the user's come last: given twice, server-side apply
refuses them.

SECRET may be a copy for a check that runs before the release is there; then what is in other Secrets
may be missing, because it may come with the release.
*/}}
{{- define "docker-registry.env" -}}
{{- $root := index . 0 }}
{{- $secret := index . 1 }}
{{- $all := include "docker-registry.ownEnv" . | fromYamlArray }}
{{- $all = concat $all (include "docker-registry.extraEnvVars" $root | fromYamlArray) }}
{{- $last := dict }}
{{- range $index, $each := $all }}
{{- $_ := set $last $each.name $index }}
{{- end }}
{{- $copied := ne $secret (include "docker-registry.secret.name" $root) }}
{{- $env := list }}
{{- range $index, $each := $all }}
{{- if eq $index (get $last $each.name) }}
{{- if and $copied (kindIs "map" $each.valueFrom) }}
{{- range $kind := list "secretKeyRef" "configMapKeyRef" }}
{{- $ref := get $each.valueFrom $kind }}
{{- if and (kindIs "map" $ref) (ne (get (kindIs "map" $ref | ternary $ref dict) "name" | toString) $secret) }}
{{- $_ := set $ref "optional" true }}
{{- end }}
{{- end }}
{{- end }}
{{- $env = append $env $each }}
{{- end }}
{{- end }}
{{- toYaml $env }}
{{- end }}

{{- /*
docker-registry.extraEnvVars (root context): the user's own, through `tpl`; names and values are texts,
as they must be in a pod. One without a name is none.
*/}}
{{- define "docker-registry.extraEnvVars" -}}
{{- $found := list }}
{{- range include "docker-registry.rendered" (list . (.Values.extraEnvVars | default list)) | fromYamlArray }}
{{- $each := . }}
{{- with include "docker-registry.text" .name }}
{{- $_ := set $each "name" . }}
{{- if hasKey $each "value" }}
{{- $_ := set $each "value" (include "docker-registry.text" $each.value) }}
{{- end }}
{{- $found = append $found $each }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{- /* docker-registry.extraValues (root context): the same as a map of names to values, empty for a reference. */}}
{{- define "docker-registry.extraValues" -}}
{{- $values := dict }}
{{- range include "docker-registry.extraEnvVars" . | fromYamlArray }}
{{- $_ := set $values .name (.value | default "") }}
{{- end }}
{{- toYaml $values }}
{{- end }}

{{- /* docker-registry.envFrom (root context): whole Secrets and ConfigMaps of the user. A variable of `env` counts more. */}}
{{- define "docker-registry.envFrom" -}}
{{- include "docker-registry.rendered" (list . (.Values.envFrom | default list)) }}
{{- end }}

{{- /* docker-registry.envFrom.optional (root context): the same, each of which may be missing. */}}
{{- define "docker-registry.envFrom.optional" -}}
{{- $sources := include "docker-registry.envFrom" . | fromYamlArray }}
{{- range $sources }}
{{- range list .secretRef .configMapRef }}
{{- if kindIs "map" . }}
{{- $_ := set . "optional" true }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $sources }}
{{- end }}

{{- define "docker-registry.ownEnv" -}}
{{- $root := index . 0 }}
{{- $secret := index . 1 }}
- {name: REGISTRY_HTTP_SECRET, valueFrom: {secretKeyRef: {{ include "docker-registry.sharedSecretRef" . | fromYaml | toJson }}}}
{{- /* Registry 3 sends traces to localhost:4318 and logs each refusal, unless told not to. */}}
{{- if not (include "docker-registry.tracing" $root) }}
- {name: OTEL_TRACES_EXPORTER, value: "none"}
{{- end }}
{{- if not (include "docker-registry.configured" (list $root "http" "draintimeout")) }}
- {name: REGISTRY_HTTP_DRAINTIMEOUT, value: "10s"}
{{- end }}
{{- include "docker-registry.authEnv" $root }}
{{- include "docker-registry.tlsEnv" $root }}
{{- include "docker-registry.metricsEnv" $root }}
{{- if $root.Values.persistence.deleteEnabled }}
- {name: REGISTRY_STORAGE_DELETE_ENABLED, value: "true"}
{{- end }}
{{- with include "docker-registry.storageEnv" $root | fromYamlArray }}
{{ toYaml . }}
{{- end }}
{{- with include "docker-registry.credentialsEnv" . | fromYamlArray }}
{{ toYaml . }}
{{- end }}
{{- include "docker-registry.proxyEnv" $root }}
{{- include "docker-registry.redisEnv" $root }}
{{- end }}

{{- /* docker-registry.tracing (root context): true where the user says where traces go. */}}
{{- define "docker-registry.tracing" -}}
{{- range $name, $value := include "docker-registry.extraValues" . | fromYaml }}
{{- if hasPrefix "OTEL_EXPORTER_OTLP_" $name }}true{{ end }}
{{- end }}
{{- end }}

{{- define "docker-registry.metricsEnv" -}}
{{- if .Values.metrics.enabled }}
{{- if not (include "docker-registry.configured" (list . "http" "debug" "addr")) }}
- {name: REGISTRY_HTTP_DEBUG_ADDR, value: {{ printf ":%s" (include "docker-registry.debugPort" .) | quote }}}
{{- end }}
{{- if ne (include "docker-registry.configured" (list . "http" "debug" "prometheus" "enabled")) "true" }}
- {name: REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED, value: "true"}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.proxyEnv (root context). How long things are kept is written in seconds: the registry
knows no days, and takes a bare number for nanoseconds.
*/}}
{{- define "docker-registry.proxyEnv" -}}
{{- with .Values.proxy }}
{{- if .enabled }}
- {name: REGISTRY_PROXY_REMOTEURL, value: {{ include "docker-registry.scalar" .remoteurl | quote }}}
{{- $ttl := include "docker-registry.text" .ttl }}
{{- if $ttl }}
{{- $seconds := include "docker-registry.seconds" .ttl }}
- {name: REGISTRY_PROXY_TTL, value: {{ ternary (printf "%ss" $seconds) $ttl (not (empty $seconds)) | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.env.withExtra (list ROOT ENV EXTRA): a script's variables and the user's own. Of two of one name
the user's counts: given twice, server-side apply refuses it.
*/}}
{{- define "docker-registry.env.withExtra" -}}
{{- $extra := include "docker-registry.rendered" (list (index . 0) (index . 2)) | fromYamlArray }}
{{- $taken := list }}
{{- range $extra }}
{{- $taken = append $taken .name }}
{{- end }}
{{- $env := list }}
{{- range index . 1 }}
{{- if not (has .name $taken) }}
{{- $env = append $env . }}
{{- end }}
{{- end }}
{{- toYaml (concat $env $extra) }}
{{- end }}
