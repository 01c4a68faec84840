{{- /*
docker-registry.useDefaults (root context): give every value that is missing its default.

`helm upgrade --reuse-values` renders with the values of the chart that was installed before, which
knows nothing of what is new here, and a `null` removes a default. So no template may rely on
values.yaml alone: each begins with this line. It changes .Values in place and writes nothing.
*/}}
{{- define "docker-registry.useDefaults" -}}
{{- /* Once a render: all templates of a chart see the same .Values. Without the mark it only takes longer. */}}
{{- if not (hasKey .Values "defaultsUsed") }}
{{- $defaults := .Files.Get "defaults.yaml" | fromYaml }}
{{- include "docker-registry.fill" (list .Values $defaults) -}}
{{- include "docker-registry.asMeant" (list .Values $defaults) -}}
{{- $_ := set .Values "defaultsUsed" true -}}
{{- end -}}
{{- end }}

{{- /*
docker-registry.fill (list INTO FROM): copy what INTO lacks, map by map.

Not `merge`, which takes `false` and 0 for missing. The sections in $whole are one answer each: who
removes `runAsUser` (OpenShift chooses it) or `debug` must not get it back. The values in $left mean
something when they are `null`.
*/}}
{{- define "docker-registry.fill" -}}
{{- $whole := list "configData" "configSecret" "containerSecurityContext" "securityContext" "resources" }}
{{- $left := list "className" "targetCPUUtilizationPercentage" "targetMemoryUtilizationPercentage" }}
{{- $into := index . 0 }}
{{- range $key, $default := index . 1 }}
{{- $given := index $into $key }}
{{- if and (kindIs "invalid" $given) (not (has $key $left)) }}
{{- $_ := set $into $key (index (deepCopy (dict "value" $default)) "value") }}
{{- else if and (kindIs "map" $default) (kindIs "map" $given) (not (has $key $whole)) }}
{{- include "docker-registry.fill" (list $given $default) }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.seconds (a duration): whole seconds of `90s`, `15m`, `1h30m`, `7d`, `0` or of a bare
number of seconds, rounded up. Nothing for anything else.
*/}}
{{- define "docker-registry.seconds" -}}
{{- $text := include "docker-registry.text" . }}
{{- if regexMatch "^[0-9]+$" $text }}
{{- $text }}
{{- else if regexMatch "^([0-9]+([.][0-9]+)?(ms|s|m|h|d))+$" $text }}
{{- $seconds := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 }}
{{- $sum := 0.0 }}
{{- range regexFindAll "[0-9.]+(ms|s|m|h|d)" $text -1 }}
{{- $sum = addf $sum (mulf (regexFind "^[0-9.]+" . | float64) (get $seconds (regexFind "[a-z]+$" .))) }}
{{- end }}
{{- ceil $sum | int64 }}
{{- end }}
{{- end }}

{{- /*
docker-registry.text (a scalar): as people wrote it. Helm holds each number as a float, which prints
1000000 as 1e+06.
*/}}
{{- define "docker-registry.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}
{{- else if not (kindIs "invalid" .) }}{{ . }}
{{- end }}
{{- end }}

{{- /*
docker-registry.pruned (a map): the map without what is empty; 0 and false are answers and stay.
*/}}
{{- define "docker-registry.pruned" -}}
{{- $kept := dict }}
{{- range $key, $value := . }}
{{- if or (kindIs "bool" $value) (kindIs "float64" $value) (kindIs "int64" $value) (kindIs "int" $value) $value }}
{{- $_ := set $kept $key $value }}
{{- end }}
{{- end }}
{{- toYaml $kept }}
{{- end }}

{{- /*
docker-registry.rendered (list ROOT VALUE): VALUE as YAML, each text in it filled in as
docker-registry.renderedText does. Keys stay as they are.
*/}}
{{- define "docker-registry.rendered" -}}
{{- if contains "{{" (toYaml (index . 1)) }}
{{- toYaml (index (include "docker-registry.rendered.json" . | fromJson) "value") }}
{{- else }}
{{- toYaml (index . 1) }}
{{- end }}
{{- end }}

{{- define "docker-registry.rendered.json" -}}
{{- $root := index . 0 }}
{{- $value := index . 1 }}
{{- if kindIs "map" $value }}
{{- $new := dict }}
{{- range $key, $each := $value }}
{{- $_ := set $new $key (index (include "docker-registry.rendered.json" (list $root $each) | fromJson) "value") }}
{{- end }}
{{- $value = $new }}
{{- else if kindIs "slice" $value }}
{{- $new := list }}
{{- range $value }}
{{- $new = append $new (index (include "docker-registry.rendered.json" (list $root .) | fromJson) "value") }}
{{- end }}
{{- $value = $new }}
{{- else if kindIs "string" $value }}
{{- $value = include "docker-registry.renderedText" (list $root $value) }}
{{- end }}
{{- toJson (dict "value" $value) }}
{{- end }}

{{- /*
docker-registry.renderedText (list ROOT TEXT): a text that speaks of the release (.Release, .Values,
.Chart, .Capabilities, .Template, include) through `tpl`. Any other stays: an annotation may hold a
template that is somebody else's, such as Vault's.
*/}}
{{- define "docker-registry.renderedText" -}}
{{- $text := include "docker-registry.text" (index . 1) }}
{{- $closed := not (contains "{{" (regexReplaceAll "\\{\\{[^{}]*\\}\\}" $text "")) }}
{{- if and $closed (regexMatch "\\{\\{[^}]*([.](Release|Values|Chart|Capabilities|Template)\\b|\\binclude )" $text) }}
{{- tpl $text (index . 0) }}
{{- else }}
{{- $text }}
{{- end }}
{{- end }}

{{- /*
docker-registry.scalar (a scalar): the text that the registry reads back as this value. It takes each
`REGISTRY_*` variable for YAML, so a bucket called 007 would be a number, and a password like `*a` the
end of it. What is quoted already stays, and so do the booleans of `--set-string`.
*/}}
{{- define "docker-registry.scalar" -}}
{{- $text := include "docker-registry.text" . }}
{{- if and (kindIs "string" .) $text (not (has $text (list "true" "false"))) }}
{{- $read := get (printf "text: %s" $text | fromYaml) "text" }}
{{- if not (kindIs "string" $read) }}
{{- $text = toJson $text }}
{{- else if and (ne $read $text) (not (regexMatch "^['\"]" $text)) }}
{{- $text = toJson $text }}
{{- end }}
{{- end }}
{{- $text }}
{{- end }}
