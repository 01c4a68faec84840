{{- /*
docker-registry.contradictions.nodeTrust (root context): a line `- sentence` each, about nodes that could not trust
what they are told to.
*/}}
{{- define "docker-registry.contradictions.nodeTrust" -}}
{{- $trust := .Values.nodeTrust }}
{{- if $trust.enabled }}
{{- if not .Values.endpoint.enabled }}
- nodeTrust.enabled is true, but endpoint.enabled is false, and the nodes read their addresses and certificates from the RegistryEndpoint. Set endpoint.enabled: true.
{{- end }}
{{- $host := include "docker-registry.renderedText" (list . $trust.host) }}
{{- if $host }}
{{- include "docker-registry.contradictions.address" (list "nodeTrust.host" $host) }}
{{- if regexMatch "^(localhost|127[.][0-9.]+|\\[::1\\])(:[0-9]+)?$" $host }}
- nodeTrust.host is {{ $host }}, which container runtimes trust as it is. Remove it, and pull 127.0.0.1:NODEPORT/NAME; or write a name such as registry.lan:5000.
{{- end }}
{{- $service := .Values.service }}
{{- $onNodes := or (not $service.create) (has $service.type (list "NodePort" "LoadBalancer")) }}
{{- if and (has $trust.via (list "Loopback" "NodeAddress")) (not $onNodes) }}
- nodeTrust.host is reached by the NodePort on each node (nodeTrust.via: {{ $trust.via }}), but service.type is {{ $service.type }}, which has none. Set service.type: NodePort, or nodeTrust.via: Clients.
{{- end }}
{{- end }}
{{- $folder := include "docker-registry.nodeTrust.hostFolder" . }}
{{- if regexMatch "/certs[.]d$" $folder }}
- nodeTrust.hostFolder is {{ $folder }}, below which certs.d/certs.d would be written, where no runtime looks. Write {{ trimSuffix "/certs.d" $folder }}.
{{- else if or (not (regexMatch "^(/[A-Za-z0-9_.-]+)+$" $folder)) (regexMatch "/[.][.]?(/|$)" $folder) (eq $folder "/etc") }}
- nodeTrust.hostFolder: {{ include "docker-registry.shown" $trust.hostFolder }} is not the folder of a container runtime on the nodes, such as /etc/containerd.
{{- end }}
{{- range $name := list "interval" "removeTimeout" }}
{{- $value := get $trust $name }}
{{- include "docker-registry.duration" (list (printf "nodeTrust.%s" $name) $value) }}
{{- if eq (include "docker-registry.seconds" $value) "0" }}
- nodeTrust.{{ $name }} is {{ include "docker-registry.text" $value }}, {{ eq $name "interval" | ternary "and each node would ask the API without a pause. Set 30s" "in which no node can answer. Set 2m" }}.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
