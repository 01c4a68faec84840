{{- /*
What a schema cannot say: values that cannot work, alone or together, each in a sentence that names them
as people write them and says how to go on. NOTES.txt fails with all of them at once. The other templates
survive every one of them: Helm renders NOTES.txt last.

Refused is only what cannot work. What did nothing, or little, at the charts that people come from must not
break their upgrade: NOTES.txt names it.
*/}}

{{- /* docker-registry.refusal (root context): the text to fail with, or nothing. */}}
{{- define "docker-registry.refusal" -}}
{{- with include "docker-registry.contradictions" . | fromJsonArray }}
{{- printf "\n\nThe cluster was not changed: these values cannot work as they are.\n- %s\n" (join "\n- " .) }}
{{- end }}
{{- end }}

{{- /* docker-registry.contradictions (root context): a JSON list of the sentences. */}}
{{- define "docker-registry.contradictions" -}}
{{- $lines := list }}
{{- range $topic := list "names" "store" "pods" "credentials" "reach" "tls" "gc" "endpoint" "nodeTrust" }}
{{- range splitList "\n- " (include (printf "docker-registry.contradictions.%s" $topic) $) }}
{{- if trim . }}
{{- $lines = append $lines (trim .) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson (concat $lines (include "docker-registry.extraObjects.problems" . | fromJsonArray)) }}
{{- end }}

{{- /*
docker-registry.shown (a value): as a sentence shows it: a text in quotes, so that an empty one and one of
several lines can be read.
*/}}
{{- define "docker-registry.shown" -}}
{{- include "docker-registry.text" . | quote }}
{{- end }}

{{- /*
docker-registry.duration (list NAME VALUE FORMS): a sentence, or nothing if VALUE is a duration. FORMS:
`seconds` also takes a bare number, `empty` also nothing.
*/}}
{{- define "docker-registry.duration" -}}
{{- $text := include "docker-registry.text" (index . 1) }}
{{- $forms := slice . 2 }}
{{- $bare := and (regexMatch "^0*[1-9][0-9]*$" $text) (not (has "seconds" $forms)) }}
{{- $missing := and (not $text) (not (has "empty" $forms)) }}
{{- if or $missing (and $text (or $bare (eq (include "docker-registry.seconds" $text) ""))) }}
- {{ index . 0 }}: {{ quote $text }} is not a duration like 90s, 15m, 1h, 7d{{ if has "seconds" $forms }}, or a number of seconds{{ end }}.
{{- end }}
{{- end }}

{{- /* docker-registry.imageMajor (root context): the registry's first version number, or nothing if the tag has none. */}}
{{- define "docker-registry.imageMajor" -}}
{{- $tag := include "docker-registry.text" .Values.image.tag | default .Chart.AppVersion }}
{{- regexReplaceAll "^v?([0-9]+)([.-].*)?$" (regexFind "^v?[0-9]+([.-].*)?$" $tag) "${1}" }}
{{- end }}

{{- /* docker-registry.mapAt (list MAP KEY KEY …): the map that is there as YAML; an empty one where there is none. */}}
{{- define "docker-registry.mapAt" -}}
{{- $at := index . 0 }}
{{- range rest . }}
{{- $at = kindIs "map" $at | ternary (get (kindIs "map" $at | ternary $at dict) .) dict }}
{{- end }}
{{- kindIs "map" $at | ternary $at dict | toYaml }}
{{- end }}
