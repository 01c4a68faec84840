{{- /* docker-registry.contradictions.reach (root context): a line `- sentence` each, about the ways that lead to it. */}}
{{- define "docker-registry.contradictions.reach" -}}
{{- with .Values.service }}
{{- if and .create (eq .type "ExternalName") }}
- service.type is ExternalName, which is a name for something outside the cluster and leads to no registry. Set ClusterIP, NodePort or LoadBalancer; or set service.create: false and write that Service in extraObjects.
{{- else if and .create (not (has .type (list "ClusterIP" "NodePort" "LoadBalancer"))) }}
- service.type is {{ .type }}. Set ClusterIP, NodePort or LoadBalancer.
{{- end }}
{{- end }}
{{- with include "docker-registry.service.portHolder" . }}
{{- $service := include "docker-registry.service.name" $ }}
- service.nodePort {{ include "docker-registry.text" $.Values.service.nodePort }} belongs to the Service {{ . }} of this release, and Helm makes the Service {{ $service }} before it removes {{ . }}. Set service.nameOverride: {{ . }}, or delete it first: kubectl delete service {{ . }} -n {{ include "docker-registry.namespace" $ }}.
{{- end }}
{{- if not (has .Values.networking.type (list "" "gateway" "ingress" "none")) }}
- networking.type is {{ .Values.networking.type }}. Set gateway, ingress or none; or remove it, and ingress.enabled and httproute.enabled decide.
{{- end }}
{{- include "docker-registry.contradictions.ports" . }}
{{- if eq (include "docker-registry.ingress.exists" .) "true" }}
{{- include "docker-registry.contradictions.ingress" .Values.ingress }}
{{- end }}
{{- end }}

{{- define "docker-registry.contradictions.ports" -}}
{{- $ports := dict "service.port" .Values.service.port "service.nodePort" .Values.service.nodePort
  "service.healthCheckNodePort" .Values.service.healthCheckNodePort "metrics.port" .Values.metrics.port
  "configData.http.addr" (include "docker-registry.port" .) }}
{{- range $name, $port := $ports }}
{{- $text := include "docker-registry.text" $port }}
{{- if and $text (or (gt (len $text) 5) (lt (int $text) 1) (gt (int $text) 65535)) }}
- {{ $name }} is {{ $text }}, which is no port. Set a number from 1 to 65535.
{{- end }}
{{- end }}
{{- $debug := include "docker-registry.debugPort" . }}
{{- $serves := or .Values.metrics.enabled (include "docker-registry.configured" (list . "http" "debug" "addr")) }}
{{- if and $serves (eq $debug (include "docker-registry.port" .)) }}
- configData.http.addr and the metrics both have the port {{ $debug }}, which one program cannot listen on twice. Set another one in configData.http.debug.addr, or metrics.port.
{{- end }}
{{- end }}

{{- /*
docker-registry.contradictions.ingress (the values of ingress). Clients ask for /v2/ of a host. A path with a
pattern in it may be rewritten to that; any other alone leads them nowhere.
*/}}
{{- define "docker-registry.contradictions.ingress" -}}
{{- include "docker-registry.contradictions.paths" (list "ingress.path" (list .path)) }}
{{- range $at, $host := .hosts }}
{{- if kindIs "map" $host }}
{{- if not $host.host }}
- ingress.hosts[{{ $at }}] has no host. Write it as a text, or as a map with host and paths.
{{- end }}
{{- $paths := list }}
{{- range kindIs "slice" $host.paths | ternary $host.paths (list $host.paths | compact) }}
{{- $paths = append $paths (kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "path") .) }}
{{- end }}
{{- include "docker-registry.contradictions.paths" (list (printf "ingress.hosts[%d].paths" $at) $paths) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* docker-registry.contradictions.paths (list NAME PATHS): of one host. */}}
{{- define "docker-registry.contradictions.paths" -}}
{{- $name := index . 0 }}
{{- $useful := empty (index . 1) }}
{{- $texts := list }}
{{- range index . 1 }}
{{- $text := include "docker-registry.text" . }}
{{- $texts = append $texts $text }}
{{- $useful = or $useful (not (regexMatch "^/[A-Za-z0-9._~/-]+$" $text)) (hasPrefix "/v2" $text) }}
{{- if and $text (not (hasPrefix "/" $text)) }}
- {{ $name }} is {{ quote $text }}, which does not begin with a slash. Set it to /.
{{- end }}
{{- end }}
{{- if not $useful }}
- {{ $name }} is {{ join " and " $texts }}, but clients ask for /v2/ of a host and cannot use a sub-path. Set it to /, and give the registry a host name of its own.
{{- end }}
{{- end }}
