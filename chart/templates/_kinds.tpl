{{- /*
docker-registry.asMeant (list INTO FROM): give the values in INTO the kinds of their defaults in FROM.

Helm's command line makes a text of `--set-string replicaCount=2` and a number of `--set image.tag=3`,
and to a template the text "false" is true. values.schema.json lets these forms through and refuses
what none of them could mean. In place, writes nothing; what is only in INTO is left as it is.
*/}}
{{- define "docker-registry.asMeant" -}}
{{- $into := index . 0 }}
{{- range $key, $default := index . 1 }}
{{- $given := index $into $key }}
{{- $number := or (kindIs "float64" $given) (kindIs "int64" $given) (kindIs "int" $given) }}
{{- if and (kindIs "map" $default) (kindIs "map" $given) }}
{{- if not (has $key (list "configData" "configSecret")) }}
{{- include "docker-registry.asMeant" (list $given $default) }}
{{- if and (not $default) (regexMatch "(?i)(annotations|labels|nodeselector)$" $key) }}
{{- include "docker-registry.asTexts" $given }}
{{- end }}
{{- end }}
{{- else if and (kindIs "bool" $default) (kindIs "string" $given) }}
{{- $_ := set $into $key (eq $given "true") }}
{{- else if and (kindIs "string" $default) $number }}
{{- $_ := set $into $key (include "docker-registry.text" $given) }}
{{- else if and (kindIs "float64" $default) (kindIs "string" $given) }}
{{- $_ := set $into $key (regexMatch "^[0-9]+$" $given | ternary (atoi $given) ($given | default $default)) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* docker-registry.asTexts (a map): labels and annotations are texts, also `true` and 1. In place. */}}
{{- define "docker-registry.asTexts" -}}
{{- $map := . }}
{{- range $key, $value := . }}
{{- if kindIs "invalid" $value }}
{{- $_ := unset $map $key }}
{{- else if not (or (kindIs "map" $value) (kindIs "slice" $value)) }}
{{- $_ := set $map $key (include "docker-registry.text" $value) }}
{{- end }}
{{- end }}
{{- end }}
