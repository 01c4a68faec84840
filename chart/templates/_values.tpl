{{- /*
docker-registry.useDefaults (root context): give every value that is missing its default.

`helm upgrade --reuse-values` renders with the values of the chart that was installed before, which
knows nothing of what is new here, and a `null` removes a default. So no template may rely on
values.yaml alone: each begins with this line. It changes .Values in place and writes nothing.
*/}}
{{- define "docker-registry.useDefaults" -}}
{{- include "docker-registry.fill" (list .Values (.Files.Get "defaults.yaml" | fromYaml)) -}}
{{- end }}

{{- /*
docker-registry.fill (list INTO FROM): copy what INTO lacks, map by map.

Not `merge`, which takes `false` and 0 for missing. The sections in $whole are one answer each: who
removes `runAsUser` (OpenShift chooses it) or `debug` must not get it back. The values in $left mean
something when they are `null`.
*/}}
{{- define "docker-registry.fill" -}}
{{- $whole := list "configData" "containerSecurityContext" "securityContext" "resources" }}
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
docker-registry.configured (list ROOT KEY KEY …): the text of what configData has there. Nothing where
it has nothing, also where a section above is `null`: `dig` fails on that.
*/}}
{{- define "docker-registry.configured" -}}
{{- $at := (index . 0).Values.configData }}
{{- range rest . }}
{{- if kindIs "map" $at }}
{{- $at = index $at . }}
{{- else }}
{{- $at = "" }}
{{- end }}
{{- end }}
{{- include "docker-registry.text" $at }}
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
