{{- /*
What NOTES.txt says about the RegistryEndpoint. All helpers take the root context.
*/}}

{{- define "docker-registry.notes.endpoint" -}}
{{- if .Values.endpoint.enabled }}
  For programs, and kept current by the CronJob {{ include "docker-registry.endpoint.cronJob.name" . }}:
    kubectl get registryendpoint {{ include "docker-registry.fullname" . }} -n {{ include "docker-registry.namespace" . }} -o wide
{{- end }}
{{- end }}

{{- /* docker-registry.notes.risks.endpoint: a line `- sentence` each: where it cannot say what people look for in it. */}}
{{- define "docker-registry.notes.risks.endpoint" -}}
{{- $endpoint := .Values.endpoint }}
{{- $service := .Values.service }}
{{- $edge := or (eq (include "docker-registry.ingress.exists" .) "true") (eq (include "docker-registry.httpRoute.exists" .) "true") }}
{{- if and $endpoint.enabled $service.create (eq $service.type "NodePort") (not $endpoint.nodeAddresses) (not $endpoint.addresses) (not $edge) }}
- Under which addresses the NodePort is reached the RegistryEndpoint cannot say. Set endpoint.nodeAddresses: true, which needs a ClusterRole that lists nodes; or name them in endpoint.addresses.
{{- end }}
{{- if and $endpoint.suspend (eq (include "docker-registry.endpoint.exists" .) "true") }}
- endpoint.suspend is true: no address is brought up to date, and no certificate renewed, until it is false again.
{{- end }}
{{- end }}

{{- define "docker-registry.notes.withoutEffect.endpoint" -}}
{{- $endpoint := .Values.endpoint }}
{{- $unused := list }}
{{- if not $endpoint.enabled }}
{{- $certified := ternary (list) (list "addresses" "nodeAddresses") (eq (include "docker-registry.tls.mode" .) "selfSigned") }}
{{- if eq (include "docker-registry.tls.mode" .) "certManager" }}
{{- $certified = list "nodeAddresses" }}
{{- end }}
{{- range concat $certified (list "caSecret" "hosting" "nodeAddressType" "scheme") | sortAlpha }}
{{- if get $endpoint . }}
{{- $unused = append $unused (printf "endpoint.%s" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if $unused }}
- {{ join ", " $unused }}: endpoint.enabled is false. Set it to true.
{{- else if and $endpoint.nodeAddresses .Values.service.create (eq .Values.service.type "ClusterIP") }}
- endpoint.nodeAddresses: service.type is ClusterIP, which has no port on nodes. Set NodePort, or remove it.
{{- end }}
{{- end }}
