{{- /*
Nodes whose runtime trusts the registry. All helpers take the root context.
*/}}

{{- /* docker-registry.nodeTrust.exists: true where the DaemonSet is; it goes by the RegistryEndpoint. */}}
{{- define "docker-registry.nodeTrust.exists" -}}
{{- if and .Values.endpoint.enabled (dig "enabled" false (.Values.nodeTrust | default dict)) }}true{{ else }}false{{ end }}
{{- end }}
