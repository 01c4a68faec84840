{{- /*
What the registry's container and the collector's containers share. Both are made from these same
lines, so that the two can never see different roots, credentials or owners.
*/}}

{{- /* docker-registry.volumeKind (root context): where the store is: claim, hostPath, emptyDir, or none. */}}
{{- define "docker-registry.volumeKind" -}}
{{- if ne .Values.storage "filesystem" }}none
{{- else if .Values.persistence.hostPath.path }}hostPath
{{- else if or .Values.persistence.enabled .Values.persistence.existingClaim }}claim
{{- else }}emptyDir
{{- end }}
{{- end }}

{{- /* docker-registry.port (root context): the port of `configData.http.addr`, 5000 without one. */}}
{{- define "docker-registry.port" -}}
{{- regexFind "[0-9]+$" (include "docker-registry.configured" (list . "http" "addr")) | default "5000" }}
{{- end }}

{{- /* docker-registry.debugPort (root context): where the registry serves its metrics. */}}
{{- define "docker-registry.debugPort" -}}
{{- $address := include "docker-registry.configured" (list . "http" "debug" "addr") }}
{{- regexFind "[0-9]+$" $address | default (include "docker-registry.text" .Values.metrics.port) }}
{{- end }}

{{- define "docker-registry.image" -}}
{{- printf "%s:%s" .Values.image.repository (include "docker-registry.text" .Values.image.tag | default .Chart.AppVersion) }}
{{- end }}

{{- define "docker-registry.gc.image" -}}
{{- $image := .Values.garbageCollect.image }}
{{- $tag := include "docker-registry.text" $image.tag | default .Chart.Version | replace "+" "_" }}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}:{{ $tag }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* docker-registry.config (root context): the text of config.yml. */}}
{{- define "docker-registry.config" -}}
{{- toYaml .Values.configData }}
{{- end }}

{{- define "docker-registry.configFile" -}}
{{- printf "%s/config.yml" (trimSuffix "/" .Values.configPath) }}
{{- end }}

{{- /*
docker-registry.secretData (root context): the keys of `<fullname>-secret`, values not yet encoded,
all but the generated one. Also what the pod's checksum is made from.
*/}}
{{- define "docker-registry.secretData" -}}
{{- $secrets := .Values.secrets }}
{{- $data := dict }}
{{- with $secrets.htpasswd }}
{{- $_ := set $data "htpasswd" . }}
{{- end }}
{{- if eq .Values.storage "azure" }}
{{- range $key, $from := dict "azureAccountName" "accountName" "azureAccountKey" "accountKey" "azureContainer" "container" }}
{{- with index ($secrets.azure | default dict) $from }}
{{- $_ := set $data $key . }}
{{- end }}
{{- end }}
{{- else if eq .Values.storage "s3" }}
{{- $s3 := $secrets.s3 | default dict }}
{{- if and $s3.accessKey $s3.secretKey (not $s3.secretRef) }}
{{- $_ := set $data "s3AccessKey" $s3.accessKey }}
{{- $_ := set $data "s3SecretKey" $s3.secretKey }}
{{- end }}
{{- else if eq .Values.storage "swift" }}
{{- range $key, $from := dict "swiftUsername" "username" "swiftPassword" "password" }}
{{- with index ($secrets.swift | default dict) $from }}
{{- $_ := set $data $key . }}
{{- end }}
{{- end }}
{{- end }}
{{- $_ := set $data "proxyUsername" (.Values.proxy.username | default "") }}
{{- $_ := set $data "proxyPassword" (.Values.proxy.password | default "") }}
{{- toYaml $data }}
{{- end }}

{{- /*
docker-registry.generated (dict "root" "name" "key" "given"): what was given, else what the cluster
has, else random text. Where Helm cannot look (`helm template`, Argo CD), give it.
*/}}
{{- define "docker-registry.generated" -}}
{{- $found := lookup "v1" "Secret" (include "docker-registry.namespace" .root) .name }}
{{- $kept := dig "data" .key "" $found | b64dec }}
{{- coalesce .given $kept (randAlphaNum 32) }}
{{- end }}

{{- /*
docker-registry.env (list ROOT SECRET): the registry's environment, credentials from that Secret.
A name in `extraEnvVars` replaces the chart's: given twice, server-side apply refuses it.
*/}}
{{- define "docker-registry.env" -}}
{{- $extra := (index . 0).Values.extraEnvVars | default list }}
{{- $taken := list }}
{{- range $extra }}
{{- $taken = append $taken .name }}
{{- end }}
{{- $env := list }}
{{- range include "docker-registry.ownEnv" . | fromYamlArray }}
{{- if not (has .name $taken) }}
{{- $env = append $env . }}
{{- end }}
{{- end }}
{{- toYaml (concat $env $extra) }}
{{- end }}

{{- define "docker-registry.ownEnv" -}}
{{- $root := index . 0 }}
{{- $secret := index . 1 }}
{{- $data := include "docker-registry.secretData" $root | fromYaml }}
- {name: REGISTRY_HTTP_SECRET, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: haSharedSecret}}}
{{- /* Registry 3 sends traces to localhost:4318 and logs each refusal, unless told not to. */}}
- {name: OTEL_TRACES_EXPORTER, value: "none"}
{{- if not (include "docker-registry.configured" (list $root "http" "draintimeout")) }}
- {name: REGISTRY_HTTP_DRAINTIMEOUT, value: "10s"}
{{- end }}
{{- if $data.htpasswd }}
- {name: REGISTRY_AUTH, value: "htpasswd"}
- {name: REGISTRY_AUTH_HTPASSWD_REALM, value: "Registry Realm"}
- {name: REGISTRY_AUTH_HTPASSWD_PATH, value: "/auth/htpasswd"}
{{- end }}
{{- if $root.Values.tlsSecretName }}
- {name: REGISTRY_HTTP_TLS_CERTIFICATE, value: "/etc/ssl/docker/tls.crt"}
- {name: REGISTRY_HTTP_TLS_KEY, value: "/etc/ssl/docker/tls.key"}
{{- end }}
{{- if $root.Values.metrics.enabled }}
{{- if not (include "docker-registry.configured" (list $root "http" "debug" "addr")) }}
- {name: REGISTRY_HTTP_DEBUG_ADDR, value: {{ printf ":%s" (include "docker-registry.debugPort" $root) | quote }}}
{{- end }}
{{- if ne (include "docker-registry.configured" (list $root "http" "debug" "prometheus" "enabled")) "true" }}
- {name: REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED, value: "true"}
{{- end }}
{{- end }}
{{- if $root.Values.persistence.deleteEnabled }}
- {name: REGISTRY_STORAGE_DELETE_ENABLED, value: "true"}
{{- end }}
{{- include "docker-registry.storageEnv" (list $root $secret $data) }}
{{- include "docker-registry.proxyEnv" (list $root $secret) }}
{{- end }}

{{- define "docker-registry.storageEnv" -}}
{{- $values := (index . 0).Values }}
{{- $secret := index . 1 }}
{{- $data := index . 2 }}
{{- if eq $values.storage "filesystem" }}
- {name: REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY, value: "/var/lib/registry"}
{{- else if eq $values.storage "azure" }}
{{- range $name, $key := dict "ACCOUNTNAME" "azureAccountName" "ACCOUNTKEY" "azureAccountKey" "CONTAINER" "azureContainer" }}
{{- if hasKey $data $key }}
- {name: REGISTRY_STORAGE_AZURE_{{ $name }}, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ $key }}}}}
{{- end }}
{{- end }}
{{- else if eq $values.storage "s3" }}
{{- $from := ($values.secrets.s3 | default dict).secretRef | default (hasKey $data "s3AccessKey" | ternary $secret "") }}
{{- if $from }}
- {name: REGISTRY_STORAGE_S3_ACCESSKEY, valueFrom: {secretKeyRef: {name: {{ $from | quote }}, key: s3AccessKey}}}
- {name: REGISTRY_STORAGE_S3_SECRETKEY, valueFrom: {secretKeyRef: {name: {{ $from | quote }}, key: s3SecretKey}}}
{{- end }}
{{- include "docker-registry.driverEnv" (list "S3" $values.s3 (list "region" "regionEndpoint" "bucket" "rootdirectory" "encrypt" "secure" "forcepathstyle" "skipverify")) }}
{{- else if eq $values.storage "swift" }}
{{- range $name, $key := dict "USERNAME" "swiftUsername" "PASSWORD" "swiftPassword" }}
{{- if hasKey $data $key }}
- {name: REGISTRY_STORAGE_SWIFT_{{ $name }}, valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ $key }}}}}
{{- end }}
{{- end }}
{{- include "docker-registry.driverEnv" (list "SWIFT" $values.swift (list "authurl" "container")) }}
{{- end }}
{{- end }}

{{- /*
docker-registry.driverEnv (list DRIVER MAP KEYS): `false` is an answer (a MinIO without TLS needs
`secure: false`), empty text is none.
*/}}
{{- define "docker-registry.driverEnv" -}}
{{- $driver := index . 0 }}
{{- $map := index . 1 | default dict }}
{{- range index . 2 }}
{{- $value := include "docker-registry.text" (index $map .) }}
{{- if $value }}
- {name: REGISTRY_STORAGE_{{ $driver }}_{{ upper . }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "docker-registry.proxyEnv" -}}
{{- $proxy := (index . 0).Values.proxy }}
{{- if $proxy.enabled }}
- {name: REGISTRY_PROXY_REMOTEURL, value: {{ $proxy.remoteurl | quote }}}
{{- $from := $proxy.secretRef | default (ternary (index . 1) "" (not (or (empty $proxy.username) (empty $proxy.password)))) }}
{{- if $from }}
- {name: REGISTRY_PROXY_USERNAME, valueFrom: {secretKeyRef: {name: {{ $from | quote }}, key: proxyUsername}}}
- {name: REGISTRY_PROXY_PASSWORD, valueFrom: {secretKeyRef: {name: {{ $from | quote }}, key: proxyPassword}}}
{{- end }}
{{- end }}
{{- end }}

{{- /* docker-registry.mounts (root context): of the registry's container and of the collector's. */}}
{{- define "docker-registry.mounts" -}}
- name: {{ include "docker-registry.configVolume.name" . | quote }}
  mountPath: {{ .Values.configPath | quote }}
{{- if .Values.secrets.htpasswd }}
- name: auth
  mountPath: /auth
  readOnly: true
{{- end }}
{{- if ne (include "docker-registry.volumeKind" .) "none" }}
- name: data
  mountPath: /var/lib/registry/
{{- end }}
{{- if .Values.tlsSecretName }}
- name: tls-cert
  mountPath: /etc/ssl/docker
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "docker-registry.volumes" -}}
- name: {{ include "docker-registry.configVolume.name" . | quote }}
  configMap:
    name: {{ printf "%s-config" (include "docker-registry.fullname" .) | quote }}
{{- if .Values.secrets.htpasswd }}
- name: auth
  secret:
    secretName: {{ printf "%s-secret" (include "docker-registry.fullname" .) | quote }}
    items:
      - key: htpasswd
        path: htpasswd
{{- end }}
{{- $kind := include "docker-registry.volumeKind" . }}
{{- if eq $kind "claim" }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "docker-registry.claim.name" . | quote }}
{{- else if eq $kind "hostPath" }}
- name: data
  hostPath:
    path: {{ .Values.persistence.hostPath.path | quote }}
    type: {{ .Values.persistence.hostPath.type | quote }}
{{- else if eq $kind "emptyDir" }}
- name: data
  emptyDir: {}
{{- end }}
{{- if .Values.tlsSecretName }}
- name: tls-cert
  secret:
    secretName: {{ .Values.tlsSecretName | quote }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* docker-registry.podSecurityContext (root context) */}}
{{- define "docker-registry.podSecurityContext" -}}
{{- if .Values.securityContext.enabled }}
{{- include "docker-registry.pruned" (omit .Values.securityContext "enabled") }}
{{- else }}
{{- toYaml dict }}
{{- end }}
{{- end }}

{{- /* docker-registry.containerSecurityContext (root context): of the registry and all that touches its files. */}}
{{- define "docker-registry.containerSecurityContext" -}}
{{- if .Values.containerSecurityContext.enabled }}
{{- include "docker-registry.pruned" (omit .Values.containerSecurityContext "enabled") }}
{{- else }}
{{- toYaml dict }}
{{- end }}
{{- end }}

{{- /* docker-registry.userId (root context): the registry's, or nothing where the image or the cluster decides. */}}
{{- define "docker-registry.userId" -}}
{{- $pod := include "docker-registry.podSecurityContext" . | fromYaml }}
{{- $container := include "docker-registry.containerSecurityContext" . | fromYaml }}
{{- include "docker-registry.text" (dig "runAsUser" $pod.runAsUser $container) }}
{{- end }}

{{- /* docker-registry.groupId (root context): of the store's folder on a node. */}}
{{- define "docker-registry.groupId" -}}
{{- $pod := include "docker-registry.podSecurityContext" . | fromYaml }}
{{- $container := include "docker-registry.containerSecurityContext" . | fromYaml }}
{{- $group := dig "runAsGroup" (dig "runAsGroup" $pod.fsGroup $pod) $container }}
{{- include "docker-registry.text" $group | default (include "docker-registry.userId" .) }}
{{- end }}

{{- /* docker-registry.restricted (no context): the containers that touch no file of the registry. */}}
{{- define "docker-registry.restricted" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* docker-registry.drainSeconds (root context): how long the registry finishes requests after SIGTERM. */}}
{{- define "docker-registry.drainSeconds" -}}
{{- $drain := include "docker-registry.configured" (list . "http" "draintimeout") | default "10s" }}
{{- include "docker-registry.seconds" $drain | default "10" }}
{{- end }}

{{- /*
docker-registry.terminationGracePeriod (root context), in seconds. The registry drains first; the
collector is told to end after it, and then puts back what it has not yet removed for good, for which
it has 90 seconds (docker-registry.gc.stopTimeout).
*/}}
{{- define "docker-registry.terminationGracePeriod" -}}
{{- $after := eq (include "docker-registry.gc.inPod" .) "true" | ternary 100 30 }}
{{- $own := add (include "docker-registry.drainSeconds" . | int) $after }}
{{- include "docker-registry.text" .Values.terminationGracePeriodSeconds | default $own }}
{{- end }}

{{- /* docker-registry.gc.inPod (root context): true where the collector runs beside the registry. */}}
{{- define "docker-registry.gc.inPod" -}}
{{- $gc := .Values.garbageCollect }}
{{- if and $gc.enabled (eq .Values.storage "filesystem") (ne $gc.mode "cronjob") }}true{{ else }}false{{ end }}
{{- end }}

{{- /*
docker-registry.cacheKind (root context): where the registry caches descriptors: inmemory, redis, or
nothing. `layerinfo` is the old name; a variable counts more than the file.
*/}}
{{- define "docker-registry.cacheKind" -}}
{{- $kind := include "docker-registry.configured" (list . "storage" "cache" "blobdescriptor") }}
{{- $kind = $kind | default (include "docker-registry.configured" (list . "storage" "cache" "layerinfo")) }}
{{- range .Values.extraEnvVars }}
{{- if has .name (list "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR" "REGISTRY_STORAGE_CACHE") }}
{{- $kind = .value | default "" | toString }}
{{- end }}
{{- end }}
{{- regexFind "inmemory|redis" $kind }}
{{- end }}
