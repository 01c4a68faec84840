{{- /*
Nodes whose runtime trusts the registry. All helpers take the root context.
*/}}

{{- /* docker-registry.nodeTrust.exists: true where the DaemonSet is; it goes by the RegistryEndpoint. */}}
{{- define "docker-registry.nodeTrust.exists" -}}
{{- if and .Values.endpoint.enabled (dig "enabled" false (.Values.nodeTrust | default dict)) }}true{{ else }}false{{ end }}
{{- end }}

{{- /* docker-registry.nodeTrust.hostFolder: the runtime's folder on the nodes. */}}
{{- define "docker-registry.nodeTrust.hostFolder" -}}
{{- $trust := .Values.nodeTrust }}
{{- $usual := eq $trust.runtime "crio" | ternary "/etc/containers" "/etc/containerd" }}
{{- include "docker-registry.renderedText" (list . $trust.hostFolder) | trimSuffix "/" | default $usual }}
{{- end }}

{{- /* docker-registry.nodeTrust.folders: a JSON list of the folders below it that are written to. */}}
{{- define "docker-registry.nodeTrust.folders" -}}
{{- eq .Values.nodeTrust.runtime "crio" | ternary (list "certs.d" "registries.conf.d") (list "certs.d") | toJson }}
{{- end }}

{{- /*
docker-registry.nodeTrust.owner: whose a file on a node is. A parent chart may have two registries in one release, and
each removes what is its own.
*/}}
{{- define "docker-registry.nodeTrust.owner" -}}
{{- include "docker-registry.namespace" . }}/{{ .Release.Name }}/{{ include "docker-registry.name" . }}
{{- end }}

{{- /* docker-registry.nodeTrust.ready: a file that is there while the node trusts; the probe looks for it. */}}
{{- define "docker-registry.nodeTrust.ready" -}}
/tmp/trusting
{{- end }}

{{- /*
docker-registry.nodeTrust.selector: its pods. They may live in a namespace that releases of one name share,
so the selector names the release's namespace too.
*/}}
{{- define "docker-registry.nodeTrust.selector" -}}
{{- $finder := include "docker-registry.finder" (list . "node-trust") | fromYaml }}
{{- toYaml (set $finder "docker-registry.dev/home" (include "docker-registry.namespace" .)) }}
{{- end }}

{{- /* docker-registry.nodeTrust.labels: the same, as `kubectl -l` takes it. */}}
{{- define "docker-registry.nodeTrust.labels" -}}
{{- $labels := list }}
{{- range $name, $value := include "docker-registry.nodeTrust.selector" . | fromYaml }}
{{- $labels = append $labels (printf "%s=%s" $name $value) }}
{{- end }}
{{- join "," $labels }}
{{- end }}
