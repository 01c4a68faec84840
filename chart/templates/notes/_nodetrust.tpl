{{- /*
What NOTES.txt says about the nodes that trust the registry. All helpers take the root context.
*/}}

{{- define "docker-registry.notes.nodeTrust" -}}
{{- if eq (include "docker-registry.nodeTrust.exists" .) "true" }}
{{- $host := include "docker-registry.renderedText" (list . .Values.nodeTrust.host) }}
  Nodes trust it by the addresses of its RegistryEndpoint{{ with $host }} and by {{ . }}/NAME{{ end }}. What they did, and what is in the way:
    kubectl logs -n {{ include "docker-registry.nodeTrust.namespace" . }} --prefix -l {{ include "docker-registry.nodeTrust.labels" . }}
{{- end }}
{{- end }}

{{- /* docker-registry.notes.risks.nodeTrust: a line `- sentence` each: where nodes may not come to trust it. */}}
{{- define "docker-registry.notes.risks.nodeTrust" -}}
{{- if eq (include "docker-registry.nodeTrust.exists" .) "true" }}
{{- $trust := .Values.nodeTrust }}
- The pods of nodeTrust have the folder {{ include "docker-registry.nodeTrust.hostFolder" . }} of each node. The namespace must allow that: kubectl label namespace {{ include "docker-registry.nodeTrust.namespace" . }} pod-security.kubernetes.io/enforce=privileged
{{- if and $trust.host (eq $trust.via "Loopback") }}
- Nodes reach {{ include "docker-registry.renderedText" (list . $trust.host) }} by 127.0.0.1, where only kube-proxy in its iptables mode serves the NodePort. Elsewhere: nodeTrust.via: NodeAddress.
{{- end }}
{{- end }}
{{- end }}

{{- define "docker-registry.notes.withoutEffect.nodeTrust" -}}
{{- $trust := .Values.nodeTrust }}
{{- if and $trust.enabled (not $trust.host) (ne $trust.via "Loopback") }}
- nodeTrust.via: it is the way to nodeTrust.host, which is empty. Set that, or remove it.
{{- end }}
{{- end }}
