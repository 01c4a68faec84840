{{- /*
docker-registry.unknownKeys (root context): a JSON list of the values that this chart does not know, by
their paths, each with the name that was perhaps meant: `persistance (persistence?)`. NOTES.txt names
them: the sections that older charts have are open, because refusing a value that did nothing there would
break an upgrade. Maps whose keys are the user's are not looked into, nor what a parent chart shares.
*/}}
{{- define "docker-registry.unknownKeys" -}}
{{- $known := .Files.Get "defaults.yaml" | fromYaml }}
{{- $given := omit .Values "global" "exports" "defaultsUsed" }}
{{- include "docker-registry.unknownKeys.in" (list $given $known "") | fromJsonArray | sortAlpha | toJson }}
{{- end }}

{{- /* docker-registry.unknownKeys.in (list GIVEN KNOWN PREFIX): the same of one section and below. */}}
{{- define "docker-registry.unknownKeys.in" -}}
{{- $known := index . 1 }}
{{- $prefix := index . 2 }}
{{- $free := list "configData" "containerSecurityContext" "redis" "resources" "securityContext" }}
{{- $found := list }}
{{- range $key, $value := index . 0 }}
{{- $path := printf "%s%s" $prefix $key }}
{{- if not (hasKey $known $key) }}
{{- $found = append $found (printf "%s%s" $path (include "docker-registry.similarKey" (list $key $known))) }}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $known $key)) (get $known $key) (not (has $key $free)) }}
{{- $below := include "docker-registry.unknownKeys.in" (list $value (get $known $key) (printf "%s." $path)) }}
{{- $found = concat $found ($below | fromJsonArray) }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- /*
docker-registry.similarKey (list KEY KNOWN): ` (name?)`, a known key that differs in capitals alone, or
begins with the same three letters and has about as many; nothing where there is none.
*/}}
{{- define "docker-registry.similarKey" -}}
{{- $key := index . 0 | lower }}
{{- $start := trunc 3 $key }}
{{- $best := "" }}
{{- range $name, $_ := index . 1 }}
{{- $other := lower $name }}
{{- $longer := sub (len $other) (len $key) }}
{{- if eq $other $key }}
{{- $best = $name }}
{{- else if and (not $best) (gt (len $key) 3) (hasPrefix $start $other) (le $longer 2) (ge $longer -2) }}
{{- $best = $name }}
{{- end }}
{{- end }}
{{- with $best }} ({{ . }}?){{ end }}
{{- end }}
