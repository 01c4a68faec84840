{{- /*
docker-registry.contradictions.endpoint (root context): a line `- sentence` each, about what the script that
keeps the RegistryEndpoint could not do.
*/}}
{{- define "docker-registry.contradictions.endpoint" -}}
{{- $endpoint := .Values.endpoint }}
{{- $api := "docker-registry.dev/v1alpha1" }}
{{- if and $endpoint.enabled (not (.Capabilities.APIVersions.Has $api)) }}
- endpoint.enabled is true, but the cluster does not know RegistryEndpoints ({{ $api }}), whose definition Helm installs on `helm install` alone. First, in the chart's folder: kubectl apply --server-side --force-conflicts --field-manager=helm -f crds/registryendpoints.yaml; or from anywhere: helm show crds CHART | kubectl apply --server-side --force-conflicts --field-manager=helm -f -. `helm template`, which asks no cluster, takes --api-versions {{ $api }}.
{{- end }}
{{- if eq (include "docker-registry.endpoint.exists" .) "true" }}
{{- $schedule := trim (include "docker-registry.text" $endpoint.schedule) }}
{{- if not (regexMatch "^(@[a-z]+( +[0-9]+[0-9a-z]*)?|[^ ]+( +[^ ]+){4})$" $schedule) }}
- endpoint.schedule: {{ quote $endpoint.schedule }} is not a schedule of five fields like "*/5 * * * *" (every five minutes), nor a word like @hourly. To let it rest: endpoint.suspend: true.
{{- end }}
{{- include "docker-registry.duration" (list "endpoint.timeout" $endpoint.timeout) }}
{{- if eq (include "docker-registry.seconds" $endpoint.timeout) "0" }}
- endpoint.timeout is {{ include "docker-registry.text" $endpoint.timeout }}, in which no run can end. Set 30m.
{{- end }}
{{- if not .Values.garbageCollect.enabled }}
{{- include "docker-registry.contradictions.image" (list "garbageCollect.image" .Values.garbageCollect.image) }}
{{- end }}
{{- $addresses := include "docker-registry.rendered" (list . $endpoint.addresses) | fromYamlArray }}
{{- if gt (len $addresses) 16 }}
- endpoint.addresses has {{ len $addresses }} addresses. Set the 16 best ones at most.
{{- end }}
{{- range $at, $address := $addresses }}
{{- include "docker-registry.contradictions.address" (list (printf "endpoint.addresses[%d]" $at) $address) }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.contradictions.address (list NAME TEXT): a sentence, or nothing if TEXT is an address as image names
begin with it (scripts/registry_gc/addresses.py): a host and maybe a port.
*/}}
{{- define "docker-registry.contradictions.address" -}}
{{- $name := index . 0 }}
{{- $text := include "docker-registry.text" (index . 1) | trim | lower }}
{{- $byte := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" }}
{{- $label := "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?" }}
{{- $rest := $text | regexFind "^[^/]*" }}
{{- $host := regexReplaceAll "^(\\[.*\\]|[^:]*):[0-9]+$" $rest "${1}" }}
{{- $port := trimPrefix $host $rest | trimPrefix ":" }}
{{- $isV4 := regexMatch (printf "^%s([.]%s){3}$" $byte $byte) $host }}
{{- $isV6 := regexMatch "^(\\[[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*\\]|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*)$" $host }}
{{- $isName := and (regexMatch (printf "^%s([.]%s)*$" $label $label) $host) (not (regexMatch "^[0-9.]+$" $host)) (le (len $host) 253) }}
{{- if regexMatch "^[a-z0-9+.-]+://" $text }}
- {{ $name }} is {{ quote (index . 1) }}, but an address has neither a scheme nor a path, because docker's clients take none. Write {{ regexReplaceAll "^[^/]*//([^/]*).*$" $text "${1}" | default "registry.example.com" }}{{ if hasPrefix "endpoint." $name }}; the scheme goes into endpoint.scheme{{ end }}.
{{- else if contains "/" $text }}
- {{ $name }} is {{ quote (index . 1) }}, but an address has no path, because docker's clients take none. Write {{ $rest | default "registry.example.com" }}.
{{- else if or (not (or $isV4 $isV6 $isName)) (and $port (or (gt (len $port) 5) (lt (int $port) 1) (gt (int $port) 65535))) }}
- {{ $name }} is {{ quote (index . 1) }}, which is no address. Write a host and maybe a port, such as registry.example.com, 10.0.0.5:30500 or [fd00::5]:30500.
{{- end }}
{{- end }}
