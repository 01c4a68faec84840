{{- /*
What `helm test` tries, and with what. All helpers take the root context.
*/}}

{{- /* A pod's name is its host name too: at most 63 characters, 5 of them the suffix. */}}
{{- define "docker-registry.tests.name" -}}
{{- include "docker-registry.fullname" . | trunc 58 | trimSuffix "-" }}-test
{{- end }}

{{- /*
docker-registry.tests.exists: true where there is a test. It has no certificate to show to a registry that
turns away who has none.
*/}}
{{- define "docker-registry.tests.exists" -}}
{{- if and .Values.tests.enabled .Values.service.create (not (include "docker-registry.tls.clientsMust" .)) }}true{{ else }}false{{ end }}
{{- end }}

{{- /*
docker-registry.tests.annotations (list ROOT WEIGHT): of a test hook. What succeeded goes; what failed
stays to be read until the next try.
*/}}
{{- define "docker-registry.tests.annotations" -}}
{{- include "docker-registry.annotations" (list (index . 0) (dict
  "helm.sh/hook" "test"
  "helm.sh/hook-weight" (index . 1)
  "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded")) }}
{{- end }}

{{- /* docker-registry.tests.secret: the Secret with the user to log in as, or nothing. */}}
{{- define "docker-registry.tests.secret" -}}
{{- $own := ternary (include "docker-registry.tests.name" .) "" (not (empty .Values.tests.username)) }}
{{- include "docker-registry.renderedText" (list . .Values.tests.secretRef) | default $own }}
{{- end }}

{{- /* docker-registry.tests.ownTls: true where configData has a certificate, which the chart then does not know. */}}
{{- define "docker-registry.tests.ownTls" -}}
{{- $named := list }}
{{- range .Values.extraEnvVars }}
{{- $named = append $named .name }}
{{- end }}
{{- $configured := include "docker-registry.configured" (list . "http" "tls" "certificate") }}
{{- $ordered := include "docker-registry.configured" (list . "http" "tls" "letsencrypt" "cachefile") }}
{{- if or $configured $ordered (has "REGISTRY_HTTP_TLS_CERTIFICATE" $named) }}true{{ end }}
{{- end }}

{{- /* docker-registry.tests.url: the Service, by the name that works in every namespace. */}}
{{- define "docker-registry.tests.url" -}}
{{- $scheme := ternary "https" "http" (not (empty (or (include "docker-registry.tlsSecret" .) (include "docker-registry.tests.ownTls" .)))) }}
{{- $host := printf "%s.%s.svc" (include "docker-registry.service.name" .) (include "docker-registry.namespace" .) }}
{{- $prefix := include "docker-registry.configured" (list . "http" "prefix") | trimSuffix "/" }}
{{- printf "%s://%s:%d%s" $scheme $host (int .Values.service.port) $prefix }}
{{- end }}

{{- /* docker-registry.tests.readOnly: true where nobody can push: a pull-through cache, a registry that is read-only. */}}
{{- define "docker-registry.tests.readOnly" -}}
{{- $proxy := or .Values.proxy.enabled (include "docker-registry.configured" (list . "proxy" "remoteurl")) }}
{{- $mode := include "docker-registry.configured" (list . "storage" "maintenance" "readonly" "enabled") }}
{{- range .Values.extraEnvVars }}
{{- if has .name (list "REGISTRY_PROXY_REMOTEURL" "REGISTRY_STORAGE_MAINTENANCE_READONLY") }}
{{- $mode = "true" }}
{{- end }}
{{- end }}
{{- if or $proxy (eq $mode "true") }}true{{ end }}
{{- end }}

{{- /* docker-registry.tests.arguments: of `registry-gc roundtrip`, as a YAML list. */}}
{{- define "docker-registry.tests.arguments" -}}
{{- $auth := include "docker-registry.auth" . }}
{{- $limit := include "docker-registry.seconds" .Values.tests.timeout | default "300" | int -}}
- roundtrip
- {{ include "docker-registry.tests.url" . | quote }}
{{- /* It gives up before its pod is ended, so that its sentence can be read. */}}
- --timeout
- {{ printf "%ds" (ternary (sub $limit 60) (div $limit 2) (gt $limit 120)) | quote }}
{{- if include "docker-registry.tlsSecret" . }}
- --tls-folder
- /tls
{{- else if include "docker-registry.tests.ownTls" . }}
- --any-certificate
{{- end }}
{{- if and $auth (not (include "docker-registry.tests.secret" .)) }}
- --expect-refusal
{{- else if include "docker-registry.tests.readOnly" . }}
- --push-nothing
{{- else if and .Values.persistence.deleteEnabled (ne $auth "token") }}
- --must-delete
{{- end }}
{{- end }}
