{{- /* Three charts in one: which of them is told by the version alone, so that no value of ours is in the release. */}}
{{- define "peer" -}}
{{- index (dict "1" "stable" "3" "twuni" "4" "risadams") (splitList "." .Chart.Version | first) }}
{{- end }}

{{- define "peer.name" -}}
{{- .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{- define "peer.fullname" -}}
{{- $own := contains (include "peer.name" .) .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name (include "peer.name" .)) }}
{{- .Values.fullnameOverride | default $own }}
{{- end }}

{{- define "peer.selector" -}}
app: {{ include "peer.name" . }}
release: {{ .Release.Name }}
{{- end }}

{{- define "peer.labels" -}}
{{ include "peer.selector" . }}
chart: {{ .Chart.Name }}-{{ .Chart.Version }}
heritage: {{ .Release.Service }}
{{- if eq (include "peer" .) "risadams" }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/name: {{ include "peer.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}
{{- end }}

{{- define "peer.service" -}}
{{- $given := eq (include "peer" .) "risadams" | ternary .Values.service.name "" }}
{{- $given | default (include "peer.fullname" .) }}
{{- end }}

{{- define "peer.secret" -}}
{{- .Values.existingSecret | default (printf "%s-secret" (include "peer.fullname" .)) }}
{{- end }}

{{- define "peer.folder" -}}
{{- .Values.configPath | default "/etc/docker/registry" }}
{{- end }}

{{- define "peer.env" -}}
{{- $secret := include "peer.secret" . }}
- {name: REGISTRY_HTTP_SECRET, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: haSharedSecret}}}
{{- if .Values.secrets.htpasswd }}
- {name: REGISTRY_AUTH, value: htpasswd}
- {name: REGISTRY_AUTH_HTPASSWD_REALM, value: Registry Realm}
- {name: REGISTRY_AUTH_HTPASSWD_PATH, value: /auth/htpasswd}
{{- end }}
{{- if .Values.tlsSecretName }}
- {name: REGISTRY_HTTP_TLS_CERTIFICATE, value: /etc/ssl/docker/tls.crt}
- {name: REGISTRY_HTTP_TLS_KEY, value: /etc/ssl/docker/tls.key}
{{- end }}
{{- if eq .Values.storage "filesystem" }}
- {name: REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY, value: /var/lib/registry}
{{- else if eq .Values.storage "s3" }}
- {name: REGISTRY_STORAGE_S3_REGION, value: {{ .Values.s3.region | quote }}}
- {name: REGISTRY_STORAGE_S3_BUCKET, value: {{ .Values.s3.bucket | quote }}}
{{- $keys := .Values.secrets.s3.secretRef | default $secret }}
- {name: REGISTRY_STORAGE_S3_ACCESSKEY, valueFrom: {secretKeyRef: {name: {{ $keys }}, key: s3AccessKey}}}
- {name: REGISTRY_STORAGE_S3_SECRETKEY, valueFrom: {secretKeyRef: {name: {{ $keys }}, key: s3SecretKey}}}
{{- end }}
{{- if (.Values.persistence).deleteEnabled }}
- {name: REGISTRY_STORAGE_DELETE_ENABLED, value: "true"}
{{- end }}
{{- if (.Values.proxy).enabled }}
{{- $login := .Values.proxy.secretRef | default $secret }}
- {name: REGISTRY_PROXY_REMOTEURL, value: {{ .Values.proxy.remoteurl | quote }}}
- {name: REGISTRY_PROXY_USERNAME, valueFrom: {secretKeyRef: {name: {{ $login }}, key: proxyUsername}}}
- {name: REGISTRY_PROXY_PASSWORD, valueFrom: {secretKeyRef: {name: {{ $login }}, key: proxyPassword}}}
{{- end }}
{{- with .Values.extraEnvVars }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "peer.mounts" -}}
- {name: {{ include "peer.fullname" . }}-config, mountPath: {{ include "peer.folder" . }}}
{{- if .Values.secrets.htpasswd }}
- {name: auth, mountPath: /auth, readOnly: true}
{{- end }}
{{- if eq .Values.storage "filesystem" }}
- {name: data, mountPath: /var/lib/registry/}
{{- end }}
{{- if .Values.tlsSecretName }}
- {name: tls-cert, mountPath: /etc/ssl/docker, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "peer.volumes" -}}
- name: {{ include "peer.fullname" . }}-config
  configMap: {name: {{ include "peer.fullname" . }}-config}
{{- if .Values.secrets.htpasswd }}
- name: auth
  secret: {secretName: {{ include "peer.secret" . }}, items: [{key: htpasswd, path: htpasswd}]}
{{- end }}
{{- if eq .Values.storage "filesystem" }}
- name: data
  {{- if .Values.persistence.enabled }}
  persistentVolumeClaim: {claimName: {{ tpl (.Values.persistence.existingClaim | default (include "peer.fullname" .)) . }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
{{- if .Values.tlsSecretName }}
- name: tls-cert
  secret: {secretName: {{ .Values.tlsSecretName }}}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "peer.podSecurity" -}}
{{- if .Values.securityContext.enabled }}
{{- toJson (omit .Values.securityContext "enabled") }}
{{- else }}{}{{ end }}
{{- end }}

{{- /* stable has none: its pod is refused where the restricted profile is enforced. */}}
{{- define "peer.containerSecurity" -}}
{{- if (.Values.containerSecurityContext).enabled }}
{{- toJson (omit .Values.containerSecurityContext "enabled") }}
{{- else }}{}{{ end }}
{{- end }}
