{{- /*
What the registry's container and the collector's containers share. Both are made from these same
lines, so that the two can never see different roots, credentials or owners.
*/}}

{{- /* docker-registry.workload.kind (root context): what the registry's pods belong to. */}}
{{- define "docker-registry.workload.kind" -}}
{{- ternary "StatefulSet" "Deployment" (eq (include "docker-registry.text" .Values.useStatefulSet) "true") }}
{{- end }}

{{- /* docker-registry.mounts (root context): of the registry's container and of the collector's. */}}
{{- define "docker-registry.mounts" -}}
- name: {{ include "docker-registry.configVolume.name" . | quote }}
  mountPath: {{ .Values.configPath | quote }}
{{- include "docker-registry.htpasswdMounts" . }}
{{- include "docker-registry.storageMounts" . }}
{{- include "docker-registry.tlsMounts" . }}
{{- include "docker-registry.tokenMounts" . }}
{{- include "docker-registry.gcsMounts" . }}
{{- include "docker-registry.redisMounts" . }}
{{- with .Values.extraVolumeMounts }}
{{ include "docker-registry.rendered" (list $ .) }}
{{- end }}
{{- end }}

{{- define "docker-registry.volumes" -}}
- name: {{ include "docker-registry.configVolume.name" . | quote }}
  {{- if .Values.configSecret }}
  secret:
    secretName: {{ include "docker-registry.configSecret.name" . | quote }}
  {{- else }}
  configMap:
    name: {{ printf "%s-config" (include "docker-registry.fullname" .) | quote }}
  {{- end }}
{{- include "docker-registry.htpasswdVolumes" . }}
{{- include "docker-registry.storageVolumes" . }}
{{- include "docker-registry.tlsVolumes" . }}
{{- include "docker-registry.tokenVolumes" . }}
{{- include "docker-registry.gcsVolumes" . }}
{{- include "docker-registry.redisVolumes" . }}
{{- with .Values.extraVolumes }}
{{ include "docker-registry.rendered" (list $ .) }}
{{- end }}
{{- end }}

{{- define "docker-registry.configSecret.name" -}}
{{- include "docker-registry.fullname" . }}-config-secret
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

{{- /* docker-registry.preStopSeconds (root context): how long a pod that is to end goes on serving. */}}
{{- define "docker-registry.preStopSeconds" -}}
{{- include "docker-registry.seconds" .Values.preStopDelay | default "0" }}
{{- end }}

{{- /* docker-registry.stopSeconds (root context): how long the registry runs on after its pod was told to end. */}}
{{- define "docker-registry.stopSeconds" -}}
{{- add (include "docker-registry.preStopSeconds" . | int) (include "docker-registry.drainSeconds" . | int) }}
{{- end }}

{{- /*
docker-registry.terminationGracePeriod (root context), in seconds. The registry waits and drains first;
the collector is told to end after it, and then puts back what it has not yet removed for good, for
which it has 90 seconds (docker-registry.gc.stopTimeout).
*/}}
{{- define "docker-registry.terminationGracePeriod" -}}
{{- $after := eq (include "docker-registry.gc.inPod" .) "true" | ternary 100 30 }}
{{- $own := add (include "docker-registry.stopSeconds" . | int) $after }}
{{- include "docker-registry.text" .Values.terminationGracePeriodSeconds | default $own }}
{{- end }}

{{- /* docker-registry.gc.inPod (root context): true where the collector runs beside the registry. */}}
{{- define "docker-registry.gc.inPod" -}}
{{- $gc := .Values.garbageCollect }}
{{- if and $gc.enabled (eq .Values.storage "filesystem") (ne $gc.mode "cronjob") }}true{{ else }}false{{ end }}
{{- end }}
