{{- /*
docker-registry.notes.withoutEffect (root context): values that are accepted, because they come from a
chart where they were accepted too, and change nothing here: a line `- sentence` each.
*/}}
{{- define "docker-registry.notes.withoutEffect" -}}
{{- include "docker-registry.notes.withoutEffect.reach" . }}
{{- include "docker-registry.notes.withoutEffect.tls" . }}
{{- include "docker-registry.notes.withoutEffect.endpoint" . }}
{{- include "docker-registry.notes.withoutEffect.nodeTrust" . }}
{{- include "docker-registry.notes.withoutEffect.metrics" . }}
{{- include "docker-registry.notes.withoutEffect.credentials" . }}
{{- if .Values.garbageCollect.restartPolicy }}
- garbageCollect.restartPolicy: a collection that failed is not tried again at once, because its exit code is an answer. Remove it.
{{- end }}
{{- with include "docker-registry.unknownKeys" . | fromJsonArray }}
- This chart does not know {{ join ", " . }}. Look into `helm show values` for what it knows.
{{- end }}
{{- end }}

{{- define "docker-registry.notes.withoutEffect.reach" -}}
{{- $service := include "docker-registry.service.name" . }}
{{- with .Values.service }}
{{- if and .create .name (ne .name $service) (ne .name "registry") }}
- service.name: {{ .name }} renames nothing; the Service is {{ $service }}. Set service.nameOverride.
{{- end }}
{{- $type := ternary .type "" .create }}
{{- $unused := list }}
{{- range $key, $types := dict
  "clusterIP" (list "ClusterIP")
  "externalTrafficPolicy" (list "NodePort" "LoadBalancer")
  "healthCheckNodePort" (list "LoadBalancer")
  "loadBalancerClass" (list "LoadBalancer")
  "loadBalancerIP" (list "LoadBalancer")
  "loadBalancerSourceRanges" (list "LoadBalancer")
  "nodePort" (list "NodePort" "LoadBalancer") }}
{{- if and (get $.Values.service $key) (not (has $type $types)) (not (and (eq $key "externalTrafficPolicy") $.Values.service.externalIPs)) }}
{{- $unused = append $unused (printf "service.%s" $key) }}
{{- end }}
{{- end }}
{{- if $unused }}
- {{ join ", " $unused }}: {{ if .create }}service.type is {{ .type }}, which has no use for {{ ternary "it" "them" (eq (len $unused) 1) }}{{ else }}service.create is false{{ end }}.
{{- end }}
{{- if and .sessionAffinityConfig (ne .sessionAffinity "ClientIP") }}
- service.sessionAffinityConfig: it belongs to service.sessionAffinity: ClientIP.
{{- end }}
{{- end }}
{{- if and (eq .Values.networking.type "none") (or .Values.ingress.enabled .Values.httproute.enabled) }}
- ingress.enabled, httproute.enabled: networking.type is none. Remove it.
{{- end }}
{{- if and .Values.httproute.enabled (not .Values.httproute.parentRefs) }}
- httproute.enabled: httproute.parentRefs names no Gateway, so there is no HTTPRoute. Set it.
{{- end }}
{{- end }}

{{- define "docker-registry.notes.withoutEffect.metrics" -}}
{{- $metrics := .Values.metrics }}
{{- range $key := list "serviceMonitor" "podMonitor" "prometheusRule" }}
{{- $section := get $metrics $key }}
{{- $asked := or $section.enabled (eq (include "docker-registry.text" $section.enable) "true") }}
{{- if and $asked (not $metrics.enabled) }}
- metrics.{{ $key }}.enabled: metrics.enabled is false, so there is nothing to read. Set metrics.enabled: true.
{{- else if and $asked (eq $key "prometheusRule") (not $section.rules) }}
- metrics.prometheusRule.enabled: metrics.prometheusRule.rules is empty. Write a list of rules.
{{- end }}
{{- end }}
{{- if and $metrics.enabled .Release.IsUpgrade }}
{{- $found := lookup "v1" "Service" (include "docker-registry.namespace" .) (include "docker-registry.service.name" .) }}
{{- range dig "spec" "ports" list $found }}
{{- if eq (.name | default "") "http-metrics" }}
- The metrics are no longer on the Service {{ $found.metadata.name }}, which may be public, but on {{ include "docker-registry.metrics.service.name" $ }}. Let what reads them without a ServiceMonitor of this chart ask there.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "docker-registry.notes.withoutEffect.credentials" -}}
{{- if and .Values.tlsSecretName .Values.tls.crt }}
- tls.crt, tls.key: tlsSecretName is set. Remove one of the two.
{{- end }}
{{- $s3 := .Values.secrets.s3 | default dict }}
{{- if and (eq .Values.storage "s3") (not $s3.secretRef) (ne (empty $s3.accessKey) (empty $s3.secretKey)) }}
- secrets.s3.{{ ternary "secretKey" "accessKey" (empty $s3.accessKey) }}: one without the other is no credential, so the pod's own identity is used. Set both.
{{- end }}
{{- with include "docker-registry.existingSecret" . }}
{{- $given := list }}
{{- range $key := list "haSharedSecret" "htpasswd" }}
{{- if get $.Values.secrets $key }}
{{- $given = append $given (printf "secrets.%s" $key) }}
{{- end }}
{{- end }}
{{- if $given }}
- {{ join ", " $given }}: the Secret {{ . }} (existingSecret) counts instead. Remove one of the two.
{{- end }}
{{- end }}
{{- end }}
