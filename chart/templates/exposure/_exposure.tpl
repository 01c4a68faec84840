{{- /*
Which ways lead to the registry. `networking.type` is risadams' word for it: `ingress` and `gateway`
say the same as `ingress.enabled` and `httproute.enabled`, `none` turns both off.
*/}}

{{- /* docker-registry.ingress.exists (root context): true where there is an Ingress. */}}
{{- define "docker-registry.ingress.exists" -}}
{{- $type := .Values.networking.type }}
{{- if and (ne $type "none") (or .Values.ingress.enabled (eq $type "ingress")) }}true{{ else }}false{{ end }}
{{- end }}

{{- /*
docker-registry.httpRoute.exists (root context): without a Gateway to attach it to there is none, also
where it is asked for: that is the default of risadams.
*/}}
{{- define "docker-registry.httpRoute.exists" -}}
{{- $type := .Values.networking.type }}
{{- $asked := or .Values.httproute.enabled (eq $type "gateway") }}
{{- if and (ne $type "none") $asked .Values.httproute.parentRefs }}true{{ else }}false{{ end }}
{{- end }}

{{- /*
docker-registry.scheme (root context): what the registry itself speaks: https too where the user's own
configuration names a certificate.
*/}}
{{- define "docker-registry.scheme" -}}
{{- ternary "https" "http" (not (empty (or (include "docker-registry.tlsSecret" .) (include "docker-registry.tests.ownTls" .)))) }}
{{- end }}

{{- /*
docker-registry.ingress.className (root context): the IngressClass, or nothing.

`null` is no name: the Ingress that this release has keeps its class, so nobody's stops working who
comes from a chart with another default. A new one gets nginx, as at twuni; with risadams' switch
none, as there, and the cluster's default class takes it. The API refuses a class beside the old
annotation, and that was written on purpose.
*/}}
{{- define "docker-registry.ingress.className" -}}
{{- if not (hasKey (.Values.ingress.annotations | default dict) "kubernetes.io/ingress.class") }}
{{- if not (kindIs "invalid" .Values.ingress.className) }}
{{- include "docker-registry.renderedText" (list . .Values.ingress.className) }}
{{- else }}
{{- $found := lookup "networking.k8s.io/v1" "Ingress" (include "docker-registry.namespace" .) (include "docker-registry.fullname" .) }}
{{- if $found }}
{{- dig "spec" "ingressClassName" "" $found }}
{{- else if ne .Values.networking.type "ingress" }}nginx
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.ingress.annotations (root context): the user's, filled in. For ingress-nginx also what
a registry needs: layers of any size (its limit is 1 MiB, and a push ends in 413), and TLS towards a
registry that speaks it.
*/}}
{{- define "docker-registry.ingress.annotations" -}}
{{- $given := include "docker-registry.rendered" (list . (.Values.ingress.annotations | default dict)) | fromYaml }}
{{- $class := include "docker-registry.ingress.className" . | default (get $given "kubernetes.io/ingress.class") }}
{{- $own := dict }}
{{- if contains "nginx" (toString $class) }}
{{- with include "docker-registry.text" .Values.ingress.proxyBodySize }}
{{- $_ := set $own "nginx.ingress.kubernetes.io/proxy-body-size" . }}
{{- end }}
{{- if eq (include "docker-registry.scheme" .) "https" }}
{{- $_ := set $own "nginx.ingress.kubernetes.io/backend-protocol" "HTTPS" }}
{{- end }}
{{- end }}
{{- include "docker-registry.texts" (list $own $given) }}
{{- end }}

{{- /*
docker-registry.ingress.rules (root context): a JSON list of {host, paths: [{path, pathType}]}, from
texts and from maps. Without any host it is one rule for all.
*/}}
{{- define "docker-registry.ingress.rules" -}}
{{- $ingress := .Values.ingress }}
{{- $rules := list }}
{{- range $ingress.hosts | default (list "") }}
{{- $host := . }}
{{- $paths := list }}
{{- if kindIs "map" . }}
{{- $host = .host }}
{{- range ternary .paths (list .paths | compact) (kindIs "slice" .paths) }}
{{- $given := ternary . (dict "path" .) (kindIs "map" .) }}
{{- $paths = append $paths (dict "path" ($given.path | default $ingress.path) "pathType" ($given.pathType | default $ingress.pathType)) }}
{{- end }}
{{- end }}
{{- $paths = $paths | default (list (dict "path" $ingress.path "pathType" $ingress.pathType)) }}
{{- $rules = append $rules (dict "host" (include "docker-registry.renderedText" (list $ $host)) "paths" $paths) }}
{{- end }}
{{- toJson $rules }}
{{- end }}
