{{- /*
What the registry's configuration says: config.yml, and what the chart must know of it. All helpers
take the root context unless they say otherwise.
*/}}

{{- /*
docker-registry.config: the text of config.yml in the ConfigMap: configData, and what no variable can
say, because a name with `_` in it cannot be told from two.
*/}}
{{- define "docker-registry.config" -}}
{{- $config := deepCopy .Values.configData }}
{{- $driver := .Values.storage }}
{{- $options := dict }}
{{- range $key, $value := include "docker-registry.driverOptions" . | fromYaml }}
{{- if contains "_" $key }}
{{- $_ := set $options $key $value }}
{{- end }}
{{- end }}
{{- if $options }}
{{- $config = mergeOverwrite $config (dict "storage" (dict $driver $options)) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- /* docker-registry.effectiveConfig: the text that the registry reads: with configSecret over it. */}}
{{- define "docker-registry.effectiveConfig" -}}
{{- toYaml (mergeOverwrite (include "docker-registry.config" . | fromYaml) (deepCopy .Values.configSecret)) }}
{{- end }}

{{- /*
docker-registry.redactedConfig: the same without what is secret, for a copy that may outlive its use: no
text of configSecret below a name that speaks of secrets, and no login in an address. What is left is
enough to read it, such as where Redis is.
*/}}
{{- define "docker-registry.redactedConfig" -}}
{{- $redacted := get (include "docker-registry.redacted" (list .Values.configSecret false) | fromJson) "value" }}
{{- toYaml (mergeOverwrite (include "docker-registry.config" . | fromYaml) $redacted) }}
{{- end }}

{{- define "docker-registry.redacted" -}}
{{- $value := index . 0 }}
{{- $hidden := index . 1 }}
{{- if kindIs "map" $value }}
{{- $new := dict }}
{{- range $key, $each := $value }}
{{- $hide := or $hidden (regexMatch "(?i)pass|secret|token|key|auth|cred|header" $key) }}
{{- $_ := set $new $key (get (include "docker-registry.redacted" (list $each $hide) | fromJson) "value") }}
{{- end }}
{{- $value = $new }}
{{- else if kindIs "slice" $value }}
{{- $new := list }}
{{- range $value }}
{{- $new = append $new (get (include "docker-registry.redacted" (list . $hidden) | fromJson) "value") }}
{{- end }}
{{- $value = $new }}
{{- else if kindIs "string" $value }}
{{- $value = $hidden | ternary "unused" (regexReplaceAll "//[^/@]*@" $value "//") }}
{{- end }}
{{- toJson (dict "value" $value) }}
{{- end }}

{{- define "docker-registry.configFile" -}}
{{- printf "%s/config.yml" (trimSuffix "/" .Values.configPath) }}
{{- end }}

{{- /*
docker-registry.configured (list ROOT KEY KEY …): the text of what configData or configSecret has
there. Nothing where neither has anything, also where a section above is `null`: `dig` fails on that.
*/}}
{{- define "docker-registry.configured" -}}
{{- $root := index . 0 }}
{{- $at := $root.Values.configData }}
{{- if $root.Values.configSecret }}
{{- $at = include "docker-registry.effectiveConfig" $root | fromYaml }}
{{- end }}
{{- range rest . }}
{{- if kindIs "map" $at }}
{{- $at = index $at . }}
{{- else }}
{{- $at = "" }}
{{- end }}
{{- end }}
{{- include "docker-registry.text" $at }}
{{- end }}

{{- /* docker-registry.port: the port of `http.addr`, 5000 without one. */}}
{{- define "docker-registry.port" -}}
{{- regexFind "[0-9]+$" (include "docker-registry.configured" (list . "http" "addr")) | default "5000" }}
{{- end }}

{{- /* docker-registry.debugPort: where the registry serves its metrics. */}}
{{- define "docker-registry.debugPort" -}}
{{- $address := include "docker-registry.configured" (list . "http" "debug" "addr") }}
{{- regexFind "[0-9]+$" $address | default (include "docker-registry.text" .Values.metrics.port) }}
{{- end }}

{{- /* docker-registry.drainSeconds: how long the registry finishes requests after SIGTERM. */}}
{{- define "docker-registry.drainSeconds" -}}
{{- $drain := include "docker-registry.configured" (list . "http" "draintimeout") | default "10s" }}
{{- include "docker-registry.seconds" $drain | default "10" }}
{{- end }}

{{- /*
docker-registry.cacheKind: where the registry caches descriptors: inmemory, redis, or nothing.
`layerinfo` is the old name; a variable counts more than the file, and the user's more than ours.
*/}}
{{- define "docker-registry.cacheKind" -}}
{{- $kind := include "docker-registry.configured" (list . "storage" "cache" "blobdescriptor") }}
{{- $kind = $kind | default (include "docker-registry.configured" (list . "storage" "cache" "layerinfo")) }}
{{- if .Values.redis.addrs }}
{{- $kind = "redis" }}
{{- end }}
{{- $extra := include "docker-registry.extraValues" . | fromYaml }}
{{- range list "REGISTRY_STORAGE_CACHE" "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR" }}
{{- if hasKey $extra . }}
{{- $kind = get $extra . }}
{{- end }}
{{- end }}
{{- regexFind "inmemory|redis" $kind }}
{{- end }}
