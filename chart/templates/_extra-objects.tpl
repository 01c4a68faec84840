{{- /*
docker-registry.extraObjects (root context): a JSON list of {at, text}: the documents of `extraObjects`,
filled in. A text is a template as a whole and may hold several documents; in a map each text that
speaks of the release is one (docker-registry.renderedText), so that the braces of an alert or of a
dashboard stay.
*/}}
{{- define "docker-registry.extraObjects" -}}
{{- $documents := list }}
{{- range $at, $given := .Values.extraObjects }}
{{- if kindIs "string" $given }}
{{- range regexSplit "(?m)^---.*$" (tpl $given $) -1 }}
{{- if trim . }}
{{- $documents = append $documents (dict "at" $at "text" (trim .)) }}
{{- end }}
{{- end }}
{{- else }}
{{- $documents = append $documents (dict "at" $at "text" (include "docker-registry.rendered" (list $ $given))) }}
{{- end }}
{{- end }}
{{- toJson $documents }}
{{- end }}

{{- /*
docker-registry.extraObjects.problem (a document): what is wrong with it, or nothing. Helm's own words
for it name a line of a template that its user has never seen.
*/}}
{{- define "docker-registry.extraObjects.problem" -}}
{{- $read := fromYaml . }}
{{- $texts := and (kindIs "string" $read.apiVersion) (kindIs "string" $read.kind) }}
{{- if hasKey $read "Error" }}it is no YAML map ({{ $read.Error | replace "\n" " " | trunc 200 }})
{{- else if not (and $texts $read.apiVersion $read.kind) }}it has no apiVersion or no kind
{{- else if not (kindIs "map" $read.metadata) }}it has no metadata.name
{{- else if not (kindIs "string" ($read.metadata.name | default $read.metadata.generateName)) }}it has no metadata.name that is a text
{{- else if not (kindIs "map" ($read.metadata.annotations | default dict)) }}its metadata.annotations are no map
{{- else }}
{{- range $key, $value := $read.metadata.annotations }}
{{- if not (kindIs "string" $value) }}its annotation {{ $key }} is no text; put it between quotes{{ break }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* docker-registry.extraObjects.problems (root context): a JSON list of sentences, for the contradictions. */}}
{{- define "docker-registry.extraObjects.problems" -}}
{{- $sentences := list }}
{{- range include "docker-registry.extraObjects" . | fromJsonArray }}
{{- $at := .at | int }}
{{- with include "docker-registry.extraObjects.problem" .text }}
{{- $sentences = append $sentences (printf "extraObjects[%d]: %s. Write a whole Kubernetes object, as a map or as a text." $at .) }}
{{- end }}
{{- end }}
{{- toJson $sentences }}
{{- end }}
