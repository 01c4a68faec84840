{{- /*
Which images run, and with whose credentials they are pulled.
*/}}

{{- define "docker-registry.image" -}}
{{- include "docker-registry.imageReference" (list . .Values.image .Chart.AppVersion) }}
{{- end }}

{{- define "docker-registry.gc.image" -}}
{{- include "docker-registry.imageReference" (list . .Values.garbageCollect.image .Chart.Version) }}
{{- end }}

{{- /*
docker-registry.imageReference (list ROOT IMAGE TAG): TAG where the image names none. A registry,
global or its own, is put before the repository unless that begins with a host.
*/}}
{{- define "docker-registry.imageReference" -}}
{{- $image := index . 1 }}
{{- $repository := include "docker-registry.text" $image.repository }}
{{- $registry := (index . 0).Values.global.imageRegistry | default $image.registry }}
{{- $tag := include "docker-registry.text" $image.tag | default (index . 2) | replace "+" "_" }}
{{- if and $registry (not (regexMatch "^([^/]*[.:][^/]*|localhost)/" $repository)) }}
{{- trimSuffix "/" $registry }}/
{{- end }}
{{- $repository }}:{{ $tag }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /*
docker-registry.imagePullSecrets (root context): a list, of all pods, each Secret once. A global one
may be a name alone.
*/}}
{{- define "docker-registry.imagePullSecrets" -}}
{{- $found := list }}
{{- range concat (.Values.imagePullSecrets | default list) (.Values.global.imagePullSecrets | default list) }}
{{- $name := include "docker-registry.renderedText" (list $ (kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") .)) }}
{{- if not (has (dict "name" $name) $found) }}
{{- $found = append $found (dict "name" $name) }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}
