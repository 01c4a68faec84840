{{- /*
The Redis that replicas cache descriptors in. The registry is told by variables, each of which counts
more than `configData.redis`; passwords are in docker-registry.credentials. All helpers take the root
context.
*/}}

{{- define "docker-registry.redisEnv" -}}
{{- $redis := .Values.redis }}
{{- with $redis.addrs }}
- {name: REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR, value: "redis"}
- {name: REGISTRY_REDIS_ADDRS, value: {{ kindIs "slice" . | ternary . (list .) | toJson | quote }}}
{{- else }}
{{- include "docker-registry.oldRedisEnv" $ }}
{{- end }}
{{- with $redis.sentinel.masterName }}
- {name: REGISTRY_REDIS_MASTERNAME, value: {{ include "docker-registry.scalar" . | quote }}}
{{- end }}
{{- with $redis.sentinel.username }}
- {name: REGISTRY_REDIS_SENTINELUSERNAME, value: {{ include "docker-registry.scalar" . | quote }}}
{{- end }}
{{- /* 0 is what the registry takes by itself; written here it would overrule configData. */}}
{{- range $key, $value := omit $redis "addrs" "username" "password" "sentinel" "tls" "secretRef" "secretKeys" }}
{{- if and $value (not (kindIs "map" $value)) (not (kindIs "slice" $value)) }}
- {name: REGISTRY_REDIS_{{ upper $key }}, value: {{ include "docker-registry.scalar" $value | quote }}}
{{- end }}
{{- end }}
{{- with $redis.tls }}
{{- if .enabled }}
{{- /* The registry speaks TLS only if it is given a file: those of the image, for a public authority. */}}
{{- if or .caSecret (not .certSecret) }}
- {name: REGISTRY_REDIS_TLS_ROOTCAS, value: {{ list (ternary "/etc/docker-registry/redis-ca/ca.crt" "/etc/ssl/certs/ca-certificates.crt" (not (empty .caSecret))) | toJson | quote }}}
{{- end }}
{{- if .certSecret }}
- {name: REGISTRY_REDIS_TLS_CERTIFICATE, value: "/etc/docker-registry/redis-cert/tls.crt"}
- {name: REGISTRY_REDIS_TLS_KEY, value: "/etc/docker-registry/redis-cert/tls.key"}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.oldRedisEnv (root context): what registry 2 read in `configData.redis` and registry 3
reads elsewhere. It does not start without `addrs`, and would speak to Redis in the clear without a file
of authorities. The old pool has no meaning there; its own is larger.
*/}}
{{- define "docker-registry.oldRedisEnv" -}}
{{- if ne (include "docker-registry.imageMajor" .) "2" }}
{{- $addr := include "docker-registry.configured" (list . "redis" "addr") }}
{{- if and $addr (not (include "docker-registry.configured" (list . "redis" "addrs"))) }}
- {name: REGISTRY_REDIS_ADDRS, value: {{ list $addr | toJson | quote }}}
{{- $encrypted := eq (include "docker-registry.configured" (list . "redis" "tls" "enabled")) "true" }}
{{- if and $encrypted (not .Values.redis.tls.enabled) }}
- {name: REGISTRY_REDIS_TLS_ROOTCAS, value: "[\"/etc/ssl/certs/ca-certificates.crt\"]"}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "docker-registry.redisMounts" -}}
{{- range $name, $secret := include "docker-registry.redisFiles" . | fromYaml }}
- name: {{ $name }}
  mountPath: /etc/docker-registry/{{ $name }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "docker-registry.redisVolumes" -}}
{{- range $name, $secret := include "docker-registry.redisFiles" . | fromYaml }}
- name: {{ $name }}
  secret:
    secretName: {{ $secret | quote }}
{{- end }}
{{- end }}

{{- define "docker-registry.redisFiles" -}}
{{- with .Values.redis.tls }}
{{- $files := dict }}
{{- if .enabled }}
{{- with .caSecret }}
{{- $_ := set $files "redis-ca" (include "docker-registry.renderedText" (list $ .)) }}
{{- end }}
{{- with .certSecret }}
{{- $_ := set $files "redis-cert" (include "docker-registry.renderedText" (list $ .)) }}
{{- end }}
{{- end }}
{{- toYaml $files }}
{{- end }}
{{- end }}
